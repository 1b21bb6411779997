"""Which way counts on a day, and what is known of it, without any server."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suppli_contracts.events.connections import ZonePeriod
from suppli_contracts.events.days import DayState, WayUse
from suppli_mapping.domain.days import (
    covered_until,
    dates_between,
    difference,
    expected,
    span_of,
    state_of,
    together,
)
from suppli_mapping.domain.statements import Facts, judge, past_weeks, stated, switches
from suppli_mapping.domain.ways import Way, WayOfDay, counting

DAY = date(2026, 5, 4)
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
OWN, FILES, NEWER = UUID(int=1), UUID(int=2), UUID(int=3)
SPAN = span_of(DAY, ())


def own(state: DayState, orders: int = 0, location: str = "L1") -> WayOfDay:
    return WayOfDay((OWN, location), state, orders)


def file(connection: UUID, orders: int = 1, *, claimed: int | None = None) -> WayOfDay:
    at = None if claimed is None else NOON + timedelta(hours=claimed)
    state = DayState.PARTIAL if claimed is None else DayState.COMPLETE
    return WayOfDay((connection, "F"), state, orders, at)


@pytest.mark.parametrize(
    ("ours", "files", "wins"),
    [
        ([own(DayState.COMPLETE, 3)], [file(FILES, 5, claimed=1)], OWN),
        ([own(DayState.PARTIAL, 3)], [file(FILES, 5, claimed=1)], FILES),
        ([own(DayState.MISSING)], [file(FILES, 5, claimed=1), file(NEWER, 4, claimed=2)], NEWER),
        ([own(DayState.MISSING)], [file(FILES, 5, claimed=2), file(NEWER, 4, claimed=1)], FILES),
        ([own(DayState.EMPTY_VERIFIED)], [file(FILES, 5, claimed=1)], FILES),
        ([own(DayState.EMPTY_VERIFIED)], [file(FILES, 0, claimed=1)], OWN),
        ([own(DayState.PARTIAL, 3)], [file(FILES, 0, claimed=1)], OWN),
        ([own(DayState.MISSING)], [file(FILES, 0, claimed=1)], FILES),
        ([own(DayState.PARTIAL, 3)], [file(FILES, 5)], OWN),
        ([own(DayState.MISSING)], [file(FILES, 5)], FILES),
        ([own(DayState.COMPLETE, 3), own(DayState.PARTIAL, 1, "L2")], [file(FILES, 5, claimed=1)], FILES),
        (
            [own(DayState.COMPLETE, 3), own(DayState.EMPTY_VERIFIED, 0, "L2")],
            [file(FILES, 5, claimed=1)],
            OWN,
        ),
        ([], [file(FILES, 5, claimed=1)], FILES),
        ([own(DayState.MISSING)], [], OWN),
    ],
)
def test_the_connections_complete_day_counts_else_the_newest_file(
    ours: list[WayOfDay], files: list[WayOfDay], wins: UUID
) -> None:
    """A day would be the sum of both, or the staler one, or an empty answer would erase sales."""
    assert {key[0] for key in counting(ours, files)} == {wins}


states = st.sampled_from([state for state in DayState if state is not DayState.UNKNOWN])
ours = st.lists(
    st.builds(own, states, st.integers(0, 2), st.sampled_from(["L1", "L2"])),
    max_size=2,
    unique_by=lambda way: way.key,
)
theirs = st.lists(
    st.builds(
        lambda connection, location, orders, claimed: WayOfDay(
            (UUID(int=connection), location), DayState.PARTIAL, orders,
            None if claimed is None else NOON + timedelta(hours=claimed),
        ),
        st.integers(2, 4), st.sampled_from(["F1", "F2"]), st.integers(0, 2), st.none() | st.integers(0, 5),
    ),
    max_size=4,
    unique_by=lambda way: way.key,
)  # fmt: skip


@given(ours, theirs, st.randoms(use_true_random=False))
def test_whatever_is_known_the_ways_of_one_connection_count(own_ways, files, random) -> None:  # type: ignore[no-untyped-def]
    """Two ways of the same sales that both count are sales doubled; none at all are sales lost."""
    found = counting(own_ways, files)
    everything = [*own_ways, *files]
    assert len({key[0] for key in found}) == (1 if everything else 0)
    assert found <= {way.key for way in everything}
    if any(way.orders for way in everything):
        assert any(way.orders for way in everything if way.key in found), (
            "what has sales is not displaced by none"
        )
    random.shuffle(own_ways)
    random.shuffle(files)
    assert counting(own_ways, files) == found, "in whatever order the ways come"


def test_a_days_begin_is_its_cut_off_on_the_wall() -> None:
    """A night's sales would be asked for on the wrong day, and a covered day look open."""
    york = (
        ZonePeriod(timezone="America/New_York", day_cutoff="03:00"),
        ZonePeriod(timezone="America/New_York", day_cutoff="05:00", from_date=date(2026, 6, 1)),
    )
    assert span_of(date(2026, 3, 7), york) == (
        datetime(2026, 3, 7, 8, tzinfo=UTC),
        datetime(2026, 3, 8, 7, tzinfo=UTC),
    ), "23 hours: the clocks go forward"
    assert span_of(date(2026, 6, 1), york)[0] == datetime(2026, 6, 1, 9, tzinfo=UTC)
    assert dates_between([(NOON, NOON + timedelta(hours=1))], york) == {DAY}
    assert dates_between([(datetime(2026, 5, 4, 6, tzinfo=UTC), NOON)], york) == {date(2026, 5, 3), DAY}


@pytest.mark.parametrize(
    ("spans", "orders", "past", "state"),
    [
        ([], 0, [True] * 4, DayState.MISSING),
        ([(SPAN[0], NOON)], 0, [True] * 4, DayState.PARTIAL),
        ([(NOON, SPAN[1])], 0, [True] * 4, DayState.PARTIAL),
        ([(SPAN[0], NOON), (NOON + timedelta(hours=1), SPAN[1])], 5, [True] * 4, DayState.PARTIAL),
        ([SPAN], 5, [False] * 4, DayState.COMPLETE),
        ([SPAN], 0, [False, False, False, True], DayState.EMPTY_VERIFIED),
        ([SPAN], 0, [False, True, True, False], DayState.SUSPECT),
        ([(SPAN[0], SPAN[1] - timedelta(microseconds=1))], 5, [], DayState.PARTIAL),
        ([], 5, [], DayState.PARTIAL),
    ],
)
def test_zero_needs_evidence(
    spans: list[tuple[datetime, datetime]], orders: int, past: list[bool], state: DayState
) -> None:
    """Nobody asked, or nobody answered, would read as "sold nothing"; an order would not be placed."""
    found = state_of(
        orders=orders,
        until=covered_until(spans, SPAN),
        end=SPAN[1],
        asked=bool(spans),
        sale_expected=expected(past),
    )
    assert found is state


def test_only_what_changed_of_a_coverage_is_looked_at_again() -> None:
    """Each sync would have every day of the shop's past stated anew, or a lost hour would go unseen."""
    hours = [NOON + timedelta(hours=number) for number in range(5)]
    before = [(hours[0], hours[2])]
    assert difference(before, [(hours[0], hours[3])]) == [(hours[2], hours[3])]
    assert difference(before, []) == before
    assert difference(before, [(hours[1], hours[2])]) == [(hours[0], hours[1])]
    assert difference(before, before) == []


def test_the_day_is_known_as_far_as_the_least_known_way_that_counts() -> None:
    """One of two tills that is missing would hide behind the other's complete day."""
    assert together([DayState.COMPLETE, DayState.MISSING]) is DayState.MISSING
    assert together([DayState.EMPTY_VERIFIED, DayState.COMPLETE]) is DayState.COMPLETE
    assert together([DayState.EMPTY_VERIFIED]) is DayState.EMPTY_VERIFIED
    assert together([DayState.SUSPECT, DayState.PARTIAL]) is DayState.SUSPECT


def test_a_connection_that_finds_nothing_where_its_file_has_sales_is_suspect() -> None:
    """Its empty day would pass for verified although its own till's export says otherwise."""
    till = Way((OWN, "L1"), "bar", start_date=DAY, spans=(SPAN,))
    export = Way((FILES, "F"), "bar", stands_for=OWN)
    facts = Facts({(FILES, "F", DAY): 2}, {(FILES, "F", DAY): NOON})
    judged = judge([till, export], DAY, facts)
    assert [(each.state, each.counts) for each in judged] == [
        (DayState.SUSPECT, False),
        (DayState.COMPLETE, True),
    ]
    assert switches(judged, DAY) == [till.key, export.key]
    state, until, ways = stated(judged, {}, DAY)
    assert (state, until) == (DayState.COMPLETE, SPAN[1])
    assert [way.use for way in ways] == [WayUse.SUPERSEDED, WayUse.COUNTS]


def test_a_way_is_missed_only_where_its_sales_should_have_come() -> None:
    """Days before the start, and files that nobody owes us, would be reported as holes for ever."""
    till = Way((OWN, "L1"), "bar", start_date=DAY)
    export = Way((FILES, "F"), "bar", stands_for=OWN, start_date=DAY)
    nothing = Facts({}, {})
    assert [each.way for each in judge([till, export], DAY, nothing)] == [till]
    assert judge([till], DAY - timedelta(days=1), nothing) == []
    assert past_weeks(DAY)[0] == DAY - timedelta(days=7)
