"""What somebody who types a schedule would lose: an error that is taken, or refused without a reason."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice, pairwise

import pytest
from suppli_service_kit.cron import EXAMPLE, MAX_LENGTH, BadCron, Cron


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("61 * * * *", ("'61' as minute", "0 to 59")),
        ("0 24 * * *", ("'24' as hour", "0 to 23")),
        ("0 4 0 * *", ("'0' as day of month", "1 to 31")),
        ("0 4 * 13 *", ("'13' as month", "1 to 12")),
        ("0 4 * * FUN", ("'FUN' as day of week", "SUN to SAT")),
        ("0 4 * * 1#6", ("'1#6' as day of week",)),
        ("*/0 * * * *", ("'*/0' as minute",)),
        ("9-5 * * * *", ("'9-5' as minute",)),
        ("1,,2 * * * *", ("'1,,2' as minute",)),
        ("\u0661 * * * *", ("as minute",)),  # a digit elsewhere, no digit of cron
        ("@daily", ("has 1 fields; give five", EXAMPLE)),
        ("0 0 4 * * *", ("has 6 fields; give five", EXAMPLE)),
        ("", ("has 0 fields",)),
        ("0 4 30 2 *", ("day of month '30' in month '2'", "no such date")),
        ("0 4 31 4,6,9,11 *", ("no such date",)),
        ("0 " * MAX_LENGTH, (f"longer than {MAX_LENGTH}",)),
    ],
)
def test_a_wrong_expression_is_refused_with_what_where_and_what_instead(
    expression: str, says: tuple[str, ...]
) -> None:
    with pytest.raises(BadCron) as caught:
        Cron(expression)
    for part in says:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "minutes"),
    [
        ("* * * * *", 1),
        ("*/5 * * * *", 5),
        ("0,58 * * * *", 2),  # over the hour
        ("0,58 0,23 * * *", 2),  # over midnight
        ("0,58 0,23 1 * *", 58),  # on days that never follow one another
        ("0,58 0,23 31,1 * *", 2),  # on days that do, across a month
        ("0,58 0,23 * * FRI,SAT", 2),
        ("0,58 0,23 * * MON,WED", 58),
        ("30 4 * * *", 24 * 60),
        ("30 4 29 2 *", 24 * 60),  # at most a day is told
    ],
)
def test_the_least_distance_is_that_of_the_times_themselves(expression: str, minutes: int) -> None:
    """A limit that is tried on one day alone is passed by two times around midnight."""
    cron = Cron(expression)
    assert cron.closest() == timedelta(minutes=minutes)
    times = list(islice(cron.walls(datetime(2026, 1, 1)), 300))  # noqa: DTZ001 - wall times have no zone
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(min(gaps), timedelta(days=1)) == cron.closest()


def test_names_and_last_days_are_understood() -> None:
    """Shops say "weekdays" and "the last day of the month"."""
    begin = datetime(2026, 1, 29)  # noqa: DTZ001
    assert [f"{wall:%m-%d}" for wall in islice(Cron("0 4 l * *").walls(begin), 3)] == [
        "01-31",
        "02-28",
        "03-31",
    ]
    weekdays = islice(Cron("30 4 * * mon-fri").walls(begin), 3)
    assert [f"{wall:%a}" for wall in weekdays] == ["Thu", "Fri", "Mon"]
