"""Which of the ways that a till's sales come is the one that counts on a day.

A till may reach us by its connection and by files that carry the same sales. Per Suppli location and business
date exactly one counts: the connection on its complete days, else the newest file.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from uuid import UUID

import msgspec
from suppli_contracts.events.connections import ZonePeriod
from suppli_contracts.events.days import DayState

from suppli_mapping.domain.days import Span

WayKey = tuple[UUID, str]
"""A location of a connection: (connection, the provider's location)."""

_FULL = frozenset({DayState.COMPLETE, DayState.EMPTY_VERIFIED, DayState.SUSPECT})


class DayRule(msgspec.Struct, frozen=True, gc=False):
    """Which business dates of a way count.

    What stands for another connection does not count before it is decided that it does: otherwise a day that
    its connection has already would count twice until then.

    Attributes:
        usually: whether a date counts that is not among `others`.
        others: dates for which it is the other way round.
    """

    usually: bool = True
    others: frozenset[date] = frozenset()

    def counts(self, day: date) -> bool:
        """Return whether sales of a date count."""
        return self.usually != (day in self.others)


def rule_of(stands_for: UUID | None, only_compare: bool, switched: frozenset[date]) -> DayRule | None:
    """Return which days of a connection's location count; None = all of them.

    Args:
        stands_for: the connection that carries the same sales.
        only_compare: whether its sales never count.
        switched: dates for which it is not as usual.
    """
    if only_compare:
        return DayRule(usually=False)
    if stands_for is None and not switched:
        return None
    return DayRule(stands_for is None, switched)


class Way(msgspec.Struct, frozen=True):
    """A location of a connection, tied to a Suppli location.

    Attributes:
        place: the Suppli location.
        live: whether its sales are to come by themselves from `start_date` on.
        switched: dates whose use is not the usual one.
        spans: times that its connection has asked for without a gap.
    """

    key: WayKey
    place: str
    provider: str = ""
    live: bool = True
    start_date: date | None = None
    zones: tuple[ZonePeriod, ...] = ()
    stands_for: UUID | None = None
    only_compare: bool = False
    switched: frozenset[date] = frozenset()
    spans: tuple[Span, ...] = ()

    @property
    def till(self) -> UUID:
        """The connection whose sales it carries: its own, or the one that it stands for."""
        return self.stands_for or self.key[0]

    def counts(self, day: date) -> bool:
        """Return whether its sales of a date count, as it was last decided."""
        rule = rule_of(self.stands_for, self.only_compare, self.switched)
        return rule is None or rule.counts(day)


class WayOfDay(msgspec.Struct, frozen=True):
    """One way on one day, as far as it decides.

    Attributes:
        key: which way.
        state: what is known of the day by this way alone.
        orders: how many orders it has of that day.
        claimed_at: since when a file covers the whole day; None = no file does.
    """

    key: WayKey
    state: DayState
    orders: int = 0
    claimed_at: datetime | None = None


def counting(own: Sequence[WayOfDay], files: Sequence[WayOfDay]) -> frozenset[WayKey]:
    """Return the ways of one till, location and day whose sales count; those of one connection alone.

    In this order: the till's connection where the day is complete; the newest file that covers the day; the
    connection where it has anything, or no file has; the newest file that has a part of it. Nothing is no
    evidence against something: a connection without a sale that day does not displace a file with sales, nor
    an empty file a connection that has some.

    Args:
        own: the connection's locations that are tied to the Suppli location; none where it is gone.
        files: the locations of connections that stand for it, those that only compare left out.
    """
    sold = any(way.orders for way in own)
    ours = frozenset(way.key for way in own)
    exports = sorted(map(_Export.of, _by_connection(files).values()), key=lambda each: each.rank)
    filed = any(export.sold for export in exports)
    if own and (sold or not filed) and all(way.state in _FULL for way in own):
        return ours
    claims = [export for export in exports if export.claimed]
    if claims and (claims[-1].sold or not (sold or filed)):
        return claims[-1].keys
    if (own and (sold or not filed)) or not exports:
        return ours
    return exports[-1].keys


class _Export(msgspec.Struct, frozen=True):
    """What came of a day by one connection's files: its locations count together."""

    sold: bool
    claimed: bool
    rank: tuple[bool, datetime, WayKey]
    keys: frozenset[WayKey]

    @classmethod
    def of(cls, ways: Sequence[WayOfDay]) -> _Export:
        sold = any(way.orders for way in ways)
        claims = [way.claimed_at for way in ways if way.claimed_at is not None]
        newest = max(claims, default=datetime.min.replace(tzinfo=UTC))
        return cls(
            sold, bool(claims), (sold, newest, max(way.key for way in ways)), frozenset(w.key for w in ways)
        )


def _by_connection(files: Sequence[WayOfDay]) -> dict[UUID, list[WayOfDay]]:
    found: dict[UUID, list[WayOfDay]] = {}
    for way in files:
        found.setdefault(way.key[0], []).append(way)
    return found
