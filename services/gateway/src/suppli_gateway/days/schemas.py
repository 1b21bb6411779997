"""Business days as the public API says them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

DayStateName = Literal["complete", "partial", "missing", "empty_verified", "suspect", "unknown"]
WayUseName = Literal["counts", "superseded", "only_compare", "unknown"]

_NOTHING: Any = {"number": 0, "net": 0}
DAY_EXAMPLE: Any = {
    "location_id": "pike-street",
    "business_date": "2026-03-01",
    "revision": 3,
    "at": "2026-03-02T11:10:00Z",
    "state": "complete",
    "covered_until": "2026-03-02T11:00:00Z",
    "ways": [
        {
            "connection_id": "01980a4d-2b3c-7d11-8c0a-6a5f1e2d3c4b",
            "provider": "square",
            "external_location_id": "LSEATTLE",
            "state": "complete",
            "use": "counts",
            "stands_for": None,
            "covered_until": "2026-03-02T11:00:00Z",
            "orders": 61,
            "money": [
                {
                    "currency": "USD",
                    "entries": {"number": 140, "net": 91250},
                    "parked": {"number": 3, "net": 1650},
                    "ignored": _NOTHING,
                    "superseded": _NOTHING,
                    "other": _NOTHING,
                    "adjustments": {"number": 12, "net": 3100},
                    "provider_net": 96000,
                }
            ],
        }
    ],
}


class FiguresView(BaseModel):
    """How many, and their money without tax in minor units."""

    number: int = 0
    net: int = 0


class MoneyView(BaseModel):
    """Where a day's money in one currency went; the parts add up to the provider's own total less tax."""

    currency: str
    entries: FiguresView = FiguresView()
    parked: FiguresView = FiguresView()
    ignored: FiguresView = FiguresView()
    superseded: FiguresView = FiguresView()
    other: FiguresView = FiguresView()
    adjustments: FiguresView = FiguresView()
    provider_net: int = 0


class WayOfDayView(BaseModel):
    """One way that a day's sales came: a location of a connection."""

    connection_id: UUID
    provider: str
    external_location_id: str = Field(description="The provider's location.")
    state: DayStateName
    use: WayUseName = Field("counts", description="Whether these sales are the ones that count.")
    stands_for: UUID | None = Field(None, description="The connection that carries the same sales.")
    covered_until: datetime | None = None
    orders: int = 0
    money: list[MoneyView] = Field(default_factory=list)


class KnownDayView(BaseModel):
    """What is known of one business day of a location."""

    model_config = ConfigDict(json_schema_extra={"examples": [DAY_EXAMPLE]})

    location_id: str
    business_date: date
    revision: int
    at: datetime
    state: DayStateName = Field(
        description="`complete`; `empty_verified`: all was asked for and nothing sold; `suspect`: nothing"
        " came although sales were expected; `partial`; `missing`: nobody could ask."
    )
    covered_until: datetime | None = Field(None, description="Sales before it are known, by every way.")
    ways: list[WayOfDayView] = Field(default_factory=list)


class KnownDayPage(BaseModel):
    """Business days of a location, oldest first; a day that nothing is known of is not among them."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [DAY_EXAMPLE]}]})

    items: list[KnownDayView]
