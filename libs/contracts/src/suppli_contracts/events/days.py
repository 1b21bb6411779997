"""What is known of a business day: whether a figure of zero means "sold nothing" or "not known"."""

from __future__ import annotations

from datetime import date
from typing import ClassVar
from uuid import UUID

from suppli_contracts.events.base import Event, Instant, OpenEnum, Part


class DayState(OpenEnum):
    """What is known of a business day.

    `complete`: all of it was asked for, and sales came. `empty_verified`: all of it was asked for, every
    location answered, and nothing was sold. `suspect`: nothing came although sales were expected, or a part
    of the provider did not answer. `partial`: the day is not over, or only a part of it was asked for.
    `missing`: nothing of it was asked for.
    """

    COMPLETE = "complete"
    PARTIAL = "partial"
    MISSING = "missing"
    EMPTY_VERIFIED = "empty_verified"
    SUSPECT = "suspect"
    UNKNOWN = "unknown"


class WayUse(OpenEnum):
    """What becomes of a way's sales on a day: they count, another way's count instead, or they never do."""

    COUNTS = "counts"
    SUPERSEDED = "superseded"
    ONLY_COMPARE = "only_compare"
    UNKNOWN = "unknown"


class DayFigures(Part, frozen=True, kw_only=True):
    """How many, and their money without tax in minor units."""

    number: int = 0
    net: int = 0


class DayMoney(Part, frozen=True, kw_only=True):
    """Where a day's money in one currency went.

    entries + parked + ignored + superseded + other + adjustments = `provider_net`, always.

    Attributes:
        entries: product entries that stand, modifiers' too (they have no money).
        parked: lines that wait for a mapping, or for their location's tie.
        ignored: lines of items that somebody decided to leave out.
        superseded: lines whose day another way counts, or that are only there to compare.
        other: lines that count for nothing: cancelled, not yet paid, tests, voids.
        adjustments: money of orders that belongs to no line.
        provider_net: the provider's own total less tax, over the orders.
    """

    currency: str
    entries: DayFigures = DayFigures()
    parked: DayFigures = DayFigures()
    ignored: DayFigures = DayFigures()
    superseded: DayFigures = DayFigures()
    other: DayFigures = DayFigures()
    adjustments: DayFigures = DayFigures()
    provider_net: int = 0


class DayWay(Part, frozen=True, kw_only=True):
    """One way that a day's sales came: a location of a connection.

    Attributes:
        external_location_id: the provider's location.
        use: whether this way's sales are the ones that count.
        stands_for: the connection that carries the same sales.
        covered_until: what was sold before this instant was asked for without a gap from the day's begin;
            None where nothing was.
        orders: orders of that day, whatever became of them.
        money: by currency.
    """

    connection_id: UUID
    provider: str
    external_location_id: str
    state: DayState
    use: WayUse = WayUse.COUNTS
    stands_for: UUID | None = None
    covered_until: Instant | None = None
    orders: int = 0
    money: tuple[DayMoney, ...] = ()


class SalesDayStated(Event, frozen=True, kw_only=True):
    """What is known of one business day of a Suppli location (topic `suppli.sales.days.v1`, compacted).

    Said after the day's product sales, again when they change, and daily.

    Attributes:
        location_id: the Suppli location.
        revision: grows per key; drop lower ones.
        state: the least that is known of the ways that count: `missing` before `suspect` before `partial`;
            `empty_verified` only where all of them are empty.
        covered_until: the earliest of the ways that count.
        ways: every way the day's sales came or should have come.
    """

    event_type: ClassVar[str] = "suppli.SalesDayStated.v1"

    location_id: str
    business_date: date
    revision: int
    at: Instant
    state: DayState
    covered_until: Instant | None = None
    ways: tuple[DayWay, ...] = ()
    deleted: bool = False

    def topic_key(self) -> str:
        """Key by tenant, location and business date."""
        return f"{self.tenant_id}:{self.location_id}:{self.business_date}"
