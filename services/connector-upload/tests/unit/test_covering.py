"""Which days a file covers decides what it may end at zero, and what counts as known."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st
from suppli_connector_upload.domain.covering import CLOSED_DAYS, Days, covered_days, without

FIRST = date(2026, 3, 1)
DAYS = st.integers(0, 60).map(lambda number: FIRST + timedelta(days=number))
SPANS = st.tuples(DAYS, DAYS).map(lambda pair: Days(min(pair), max(pair)))


def test_a_closed_weekend_is_covered_and_a_mistyped_year_is_not() -> None:
    """Days without sales inside an export were asked for; what lies between an export and one wrong date was
    not, and must not be emptied."""
    days = [date(2026, 3, 6), date(2026, 3, 9), date(2062, 3, 9)]
    assert covered_days(days) == (
        Days(date(2026, 3, 6), date(2026, 3, 9)),
        Days(date(2062, 3, 9), date(2062, 3, 9)),
    )
    longest = FIRST + timedelta(days=CLOSED_DAYS + 1)
    assert covered_days([FIRST, longest]) == (Days(FIRST, longest),)
    assert len(covered_days([FIRST, longest + timedelta(days=1)])) == 2


@given(st.lists(SPANS, max_size=5), st.lists(SPANS, max_size=5))
def test_days_less_other_days_is_set_arithmetic(spans: list[Days], others: list[Days]) -> None:
    """A day that another file still covers must not be withdrawn with the one that is undone, and any other
    must be."""
    left = without(spans, others)
    for number in range(61):
        day = FIRST + timedelta(days=number)
        wanted = any(day in span for span in spans) and not any(day in other for other in others)
        assert any(day in span for span in left) == wanted
