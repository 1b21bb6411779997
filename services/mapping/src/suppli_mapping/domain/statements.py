"""A day's statement from what is known of its ways: which count, and what each is worth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec
from suppli_contracts.events.days import DayMoney, DayState, DayWay, WayUse

from suppli_mapping.domain.days import (
    WEEKS,
    covered_until,
    expected,
    span_of,
    state_of,
    together,
    touched,
)
from suppli_mapping.domain.ways import Way, WayKey, WayOfDay, counting

_WEEK = timedelta(days=7)


class Facts(msgspec.Struct, frozen=True):
    """What is known of ways' days, by (connection, location, date)."""

    orders: Mapping[tuple[UUID, str, date], int]
    claims: Mapping[tuple[UUID, str, date], datetime]


class JudgedWay(msgspec.Struct, frozen=True):
    """A way on one day.

    Attributes:
        until: up to where the day was asked for without a gap.
        counts: whether its sales are to count.
    """

    way: Way
    state: DayState
    orders: int
    until: datetime | None
    claimed_at: datetime | None
    counts: bool


def past_weeks(day: date) -> list[date]:
    """Return the same weekday of the weeks that say what is expected."""
    return [day - week * _WEEK for week in range(1, WEEKS + 1)]


def judge(ways: Sequence[Way], day: date, facts: Facts) -> list[JudgedWay]:
    """Return the ways that a day's sales came or should have come, and which of them are to count.

    Args:
        ways: all that are tied to the Suppli location.
        day: the business date.
        facts: of these ways, also on the same weekday of the `past_weeks`.
    """
    judged = [each for way in ways if (each := _alone(way, day, facts)) is not None]
    tills: defaultdict[UUID, list[JudgedWay]] = defaultdict(list)
    for each in judged:
        if not each.way.only_compare:
            tills[each.way.till].append(each)
    used: set[WayKey] = set()
    emptied: set[WayKey] = set()
    for till, its in tills.items():
        own = [_of_day(each) for each in its if each.way.key[0] == till]
        files = [_of_day(each) for each in its if each.way.key[0] != till]
        used |= counting(own, files)
        if any(way.orders for way in files) and not any(way.orders for way in own):
            emptied |= {way.key for way in own}
    return [
        msgspec.structs.replace(
            each,
            counts=each.way.key in used,
            # another way of the same sales has some, so finding none is no evidence
            state=DayState.SUSPECT
            if each.way.key in emptied and each.state is DayState.EMPTY_VERIFIED
            else each.state,
        )
        for each in judged
    ]


def _alone(way: Way, day: date, facts: Facts) -> JudgedWay | None:
    """Return what a way by itself says of a day; None where nothing has come and nothing should have."""
    key = (*way.key, day)
    orders, claimed_at = facts.orders.get(key, 0), facts.claims.get(key)
    span = span_of(day, way.zones)
    asked = claimed_at is not None or touched(way.spans, span)
    should = (
        way.live
        and way.stands_for is None
        and not way.only_compare
        and way.start_date is not None
        and day >= way.start_date
    )
    if not (orders or claimed_at or should):
        return None
    until = span[1] if claimed_at is not None else covered_until(way.spans, span)
    state = state_of(
        orders=orders,
        until=until,
        end=span[1],
        asked=asked,
        sale_expected=expected([bool(facts.orders.get((*way.key, past))) for past in past_weeks(day)]),
    )
    return JudgedWay(way, state, orders, until, claimed_at, counts=False)


def _of_day(each: JudgedWay) -> WayOfDay:
    return WayOfDay(each.way.key, each.state, each.orders, each.claimed_at)


def switches(judged: Sequence[JudgedWay], day: date) -> list[WayKey]:
    """Return the ways whose sales are counted otherwise than they are to be."""
    return [
        each.way.key for each in judged if not each.way.only_compare and each.way.counts(day) != each.counts
    ]


def stated(
    judged: Sequence[JudgedWay], money: Mapping[tuple[UUID, str, date], tuple[DayMoney, ...]], day: date
) -> tuple[DayState, datetime | None, tuple[DayWay, ...]]:
    """Return what a day's statement says: its state, up to where it was asked for, and its ways."""
    ways = tuple(
        DayWay(
            connection_id=each.way.key[0],
            provider=each.way.provider,
            external_location_id=each.way.key[1],
            state=each.state,
            use=_use(each),
            stands_for=each.way.stands_for,
            covered_until=each.until,
            orders=each.orders,
            money=money.get((*each.way.key, day), ()),
        )
        for each in judged
    )
    counted = [way for way in ways if way.use is WayUse.COUNTS]
    ends = [way.covered_until for way in counted]
    until = None if None in ends else min((end for end in ends if end is not None), default=None)
    state = together(way.state for way in counted) if counted else DayState.MISSING
    return state, until, ways


def _use(each: JudgedWay) -> WayUse:
    if each.way.only_compare:
        return WayUse.ONLY_COMPARE
    return WayUse.COUNTS if each.counts else WayUse.SUPERSEDED
