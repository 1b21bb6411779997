"""What a look at a whole file finds: its totals by day and the first sales, as they will be understood."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from msgspec import Struct

from suppli_connector_upload.domain.covering import Days, covered_days
from suppli_connector_upload.domain.outcomes import ControlTotals, FileSale, Notice, RowError, Totals

FIRST_SALES = 20
FIRST_ERRORS = 20


class Look(Struct, frozen=True, kw_only=True):
    """A file as it will be understood by a plan.

    Attributes:
        days: totals by business date, oldest first.
        sales: the first ones.
        first_errors: the first rows that are left out; `errors` counts all.
    """

    totals: Totals
    days: tuple[tuple[date, Totals], ...]
    currencies: tuple[str, ...]
    errors: int
    elsewhere: int
    ignored: int
    sales: tuple[FileSale, ...]
    first_errors: tuple[RowError, ...]
    notices: tuple[Notice, ...]

    @property
    def covered(self) -> tuple[Days, ...]:
        """The business dates that the file covers."""
        return covered_days(day for day, _ in self.days)


def look_of(
    totals: ControlTotals,
    *,
    sales: Iterable[FileSale],
    first_errors: Iterable[RowError],
    notices: Iterable[Notice],
) -> Look:
    """Return what was found once a file is read to its end."""
    return Look(
        totals=totals.all,
        days=tuple(sorted(totals.by_day.items())),
        currencies=tuple(sorted(totals.currencies)),
        errors=totals.errors,
        elsewhere=totals.elsewhere,
        ignored=totals.ignored,
        sales=tuple(sales),
        first_errors=tuple(first_errors),
        notices=tuple(notices),
    )
