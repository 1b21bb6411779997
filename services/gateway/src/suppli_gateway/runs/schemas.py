"""Runs and coverage as the public API says them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from suppli_contracts.events.sync import MOST_REPUBLISHED, Republish

RunStateName = Literal["queued", "running", "succeeded", "failed", "cancelled", "unknown"]
RunKindName = Literal["scheduled", "manual", "backfill", "sweep", "republish", "unknown"]
WaitsForName = Literal["database", "messaging", "secrets", "connector", "scheduler", "mapping", "unknown"]

COUNTS_EXAMPLE: Any = {
    "orders_read": 5210,
    "orders_published": 5000,
    "orders_unchanged": 205,
    "orders_set_aside": 1,
    "orders_before_start": 4,
    "orders_elsewhere": 0,
    "lines_published": 11873,
    "items_published": 214,
    "pages": 6,
}
RUN_EXAMPLE: Any = {
    "run_id": "01980a4e-7c1e-7f3a-9a57-0d2f6c1b4a10",
    "connection_id": "01980a4d-2b3c-7d11-8c0a-6a5f1e2d3c4b",
    "kind": "manual",
    "state": "running",
    "attempt": 1,
    "requested_at": "2026-03-02T06:00:00Z",
    "started_at": "2026-03-02T06:00:01Z",
    "finished_at": None,
    "duration_seconds": None,
    "next_attempt_at": None,
    "progress": 0.42,
    "counts": COUNTS_EXAMPLE,
    "error": None,
    "waits_for": None,
    "nothing_found": None,
    "republish": None,
    "updated_at": "2026-03-02T06:00:09Z",
}

REQUESTED_EXAMPLE: Any = {
    "run_id": RUN_EXAMPLE["run_id"],
    "connection_id": RUN_EXAMPLE["connection_id"],
    "kind": "manual",
    "state": "queued",
    "attempt": 1,
    "requested_at": "2026-03-02T06:00:00Z",
    "follow_up": False,
    "promoted": False,
}


class RunCountsView(BaseModel):
    """What a run has read and done so far."""

    orders_read: int = Field(0, description="Orders in the provider's answers, overlaps included.")
    orders_published: int = Field(0, description="Orders that were new or changed.")
    orders_unchanged: int = Field(0, description="Orders seen before with the same content.")
    orders_set_aside: int = Field(0, description="Orders that could not be understood; see `set-aside`.")
    orders_before_start: int = Field(0, description="Orders older than the start date.")
    orders_elsewhere: int = Field(0, description="Orders at locations that are not chosen or not tied.")
    lines_published: int = 0
    items_published: int = 0
    pages: int = 0


class RunErrorView(BaseModel):
    """Why a run failed."""

    error_class: str = Field(
        description="network, auth, rate_limited, provider_unavailable, bad_data or internal."
    )
    message: str = Field(description="One sentence for a person.")


class RepublishedView(BaseModel):
    """What a run publishes again."""

    from_at: datetime | None = None
    to_at: datetime | None = Field(None, description="Exclusive; null = up to now.")
    orders: int = Field(0, description="How many orders were named.")


class NothingFoundView(BaseModel):
    """What it is worth that a run found no sale."""

    outcome: Literal["empty_verified", "suspect", "unknown"] = Field(
        description="`empty_verified`: every chosen location answered for exactly the window, and no sale was"
        " expected. `suspect`: a location failed or did not answer, or sales were expected."
    )
    reason: str | None = Field(None, description="One sentence for a person, where it is suspect.")
    location_ids: list[str] = Field(default_factory=list, description="The provider's locations in doubt.")


class RunView(BaseModel):
    """One sync: queued, in progress or done."""

    model_config = ConfigDict(json_schema_extra={"examples": [RUN_EXAMPLE]})

    run_id: UUID
    connection_id: UUID
    kind: RunKindName
    state: RunStateName
    attempt: int = Field(description="1 for the first, +1 with every retry.")
    requested_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration_seconds: float | None = None
    next_attempt_at: datetime | None = Field(None, description="When a failed run is tried again.")
    progress: float | None = Field(None, description="0 to 1, where it can be told.")
    counts: RunCountsView = RunCountsView()
    error: RunErrorView | None = None
    waits_for: WaitsForName | None = Field(
        None, description="The part of Suppli that is away and holds the run up; it goes on by itself."
    )
    nothing_found: NothingFoundView | None = Field(
        None, description="Of a run that ended without having read a sale: what that is worth."
    )
    republish: RepublishedView | None = Field(
        None, description="For kind `republish`, unless it joined a run that waited."
    )
    updated_at: datetime


class RequestedRun(BaseModel):
    """A run as it was taken: `follow_up` when one is in progress, `promoted` when one was queued already."""

    model_config = ConfigDict(json_schema_extra={"examples": [REQUESTED_EXAMPLE]})

    run_id: UUID
    connection_id: UUID
    kind: RunKindName
    state: RunStateName
    attempt: int
    requested_at: datetime
    follow_up: bool = False
    promoted: bool = False


class RepublishBody(BaseModel):
    """What is published again although it has not changed: orders that were modified within a window, orders
    by their ids, or both.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"from_at": "2026-03-01T08:00:00Z", "to_at": "2026-03-02T08:00:00Z"},
                {"order_ids": ["O1"]},
            ]
        },
    )

    from_at: datetime | None = Field(None, description="Begin of the window, with its time zone.")
    to_at: datetime | None = Field(None, description="Its end, exclusive; left out = now.")
    order_ids: list[str] = Field(
        default_factory=list, description=f"The provider's order ids, at most {MOST_REPUBLISHED}."
    )

    def republish(self) -> Republish:
        """Return the same as the command says it; each order once."""
        return Republish(
            from_at=self.from_at, to_at=self.to_at, order_ids=tuple(dict.fromkeys(self.order_ids))
        )


class RunPage(BaseModel):
    """Runs, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [RUN_EXAMPLE], "next_cursor": None}]})

    items: list[RunView]
    next_cursor: str | None = None


class CoverageInterval(BaseModel):
    """A time of modification that is fully imported, half open."""

    location_id: str
    stream: str
    from_at: datetime
    to_at: datetime


class CoverageView(BaseModel):
    """What is imported without gaps, as of `as_of`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "connection_id": RUN_EXAMPLE["connection_id"],
                    "as_of": "2026-03-02T06:00:12Z",
                    "intervals": [
                        {
                            "location_id": "LSEATTLE",
                            "stream": "orders",
                            "from_at": "2026-01-01T08:00:00Z",
                            "to_at": "2026-03-02T06:00:10Z",
                        }
                    ],
                }
            ]
        }
    )

    connection_id: UUID
    as_of: datetime | None = None
    intervals: list[CoverageInterval]
