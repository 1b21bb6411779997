"""A wish to republish that is taken half, or refused without a reason, leaves a consumer with a hole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from suppli_contracts.events.sync import LONGEST_ORDER_ID, MOST_REPUBLISHED, Republish
from suppli_gateway.runs.republishing import LONGEST_WINDOW, republish_errors

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    "wanted",
    [
        Republish(order_ids=("A",)),
        Republish(from_at=NOW - DAY),
        Republish(from_at=NOW - LONGEST_WINDOW, to_at=NOW),
        Republish(from_at=NOW - 900 * DAY, to_at=NOW - 899 * DAY, order_ids=("A", "B")),
        Republish(order_ids=tuple(map(str, range(MOST_REPUBLISHED)))),
    ],
)
def test_what_can_be_commanded_is_taken(wanted: Republish) -> None:
    assert republish_errors(wanted, now=NOW) == []
    assert wanted.problem() is None, "the scheduler takes it too"


@pytest.mark.parametrize(
    ("wanted", "field", "says"),
    [
        (Republish(), "", "give `from_at`"),
        (Republish(to_at=NOW), "from_at", "is needed"),
        (Republish(from_at=NOW + DAY), "from_at", "future"),
        (Republish(from_at=NOW - DAY, to_at=NOW - DAY), "to_at", "not after"),
        (Republish(from_at=NOW - DAY, to_at=NOW - 2 * DAY), "to_at", "not after"),
        (Republish(from_at=NOW - LONGEST_WINDOW - DAY), "from_at", "366 days"),
        (Republish(from_at=(NOW - DAY).replace(tzinfo=None)), "from_at", "no time zone"),
        (Republish(from_at=NOW - DAY, to_at=NOW.replace(tzinfo=None)), "to_at", "no time zone"),
        (Republish(order_ids=tuple(map(str, range(MOST_REPUBLISHED + 1)))), "order_ids", "1001 orders"),
        (Republish(order_ids=("A", "")), "order_ids[1]", "1 to 256"),
        (Republish(order_ids=("x" * (LONGEST_ORDER_ID + 1),)), "order_ids[0]", "1 to 256"),
    ],
)
def test_what_cannot_be_commanded_is_named(wanted: Republish, field: str, says: str) -> None:
    (error,) = republish_errors(wanted, now=NOW)
    assert error.field == field
    assert says in error.reason
