"""A whole file by a plan: rows in, sales out, in little memory whatever the file's size and sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date

from suppli_connector_upload.domain.counting import add_up, count
from suppli_connector_upload.domain.files import Cell, Row
from suppli_connector_upload.domain.ids import IdWatch, broken_items_notice
from suppli_connector_upload.domain.orders import DayGatherer, part_of
from suppli_connector_upload.domain.outcomes import ControlTotals, FileSale, Notice, RowError
from suppli_connector_upload.domain.pieces import record_of
from suppli_connector_upload.domain.plan import Plan
from suppli_connector_upload.domain.ports import Spool
from suppli_connector_upload.domain.rows import RowProblem, RowReader, Skip
from suppli_connector_upload.domain.texts import plain_text

DAY_ROWS = 20_000
"""A day with more rows is gathered in parts of about so many."""

_SHOWN = 100
_UNREADABLE = "a quote is opened in this row and not closed: the rows that follow it are swallowed"


def error_of(line: int, cells: Sequence[Cell], problem: RowProblem | None, plan: Plan) -> RowError:
    """Return what to say of a row that is left out; no `problem`: its cells could not be told."""
    if problem is None:
        return RowError(line, None, "", _UNREADABLE)
    columns = plan.layout.columns
    at = problem.column
    if at is None or at >= len(columns):
        return RowError(line, None, "", problem.reason)
    value = plain_text(cells[at]) if at < len(cells) else ""
    return RowError(line, columns[at], value[:_SHOWN], problem.reason)


class SalesReader:
    """Reads one file, once: `take` all its rows, then its `sales`.

    Attributes:
        totals: complete once `sales` has come to its end; of errors and skipped rows, once `take` has.
        notices: what a person should know; complete once `take` has come to its end.
    """

    def __init__(self, plan: Plan, new_spool: Callable[[], Spool]) -> None:
        """Prepare for a file.

        Args:
            new_spool: makes an empty spool; a second one is made for each day of more than `DAY_ROWS` rows.
        """
        self._plan, self._new_spool = plan, new_spool
        self._spool = new_spool()
        self.totals = ControlTotals()
        self.notices: list[Notice] = []
        self._by_order = False

    def take(self, rows: Iterable[Row]) -> Iterator[RowError]:
        """Understand every row and put it aside; yield what is left out."""
        reader, watch, add = RowReader(self._plan), IdWatch(), self._spool.add
        totals, see = self.totals, watch.see
        for line, cells in rows:
            if cells is None:
                totals.errors += 1
                yield error_of(line, (), None, self._plan)
                continue
            try:
                piece = reader.read(cells)
            except RowProblem as problem:
                totals.errors += 1
                yield error_of(line, cells, problem, self._plan)
                continue
            if isinstance(piece, Skip):
                if piece is Skip.ELSEWHERE:
                    totals.elsewhere += 1
                else:
                    totals.ignored += 1
                continue
            if piece.order is not None:
                see(piece.order, piece.at_us)
            add(piece.day, record_of(line, piece))
        watch.broken = reader.broken_ids
        damage = watch.damage()
        self._by_order = self._plan.use_order_ids and damage is None
        found = (
            damage if self._plan.use_order_ids else None,
            watch.broken_notice(),
            broken_items_notice(reader.broken_items),
        )
        self.notices += [notice for notice in found if notice is not None]

    def sales(self) -> Iterator[FileSale]:
        """Yield the orders of every day, from the oldest on."""
        plan, totals = self._plan, self.totals
        for day in self._spool.known():
            gatherer = DayGatherer(date.fromordinal(day), plan.location_id, self._by_order)
            for records in self._groups(day):
                for sale in gatherer.sales(records):
                    count(sale, totals)
                    yield sale
        add_up(totals)

    def _groups(self, day: int) -> Iterator[Iterable[bytes]]:
        """Yield a day's records: all at once, or in parts that no order and no pair of equal rows crosses."""
        rows = self._spool.count(day)
        if rows <= DAY_ROWS:
            yield self._spool.records(day)
            return
        parts, number = self._new_spool(), rows // DAY_ROWS + 1
        try:
            for record in self._spool.records(day):
                parts.add(part_of(record, number, by_order=self._by_order), record)
            for part in parts.known():
                yield parts.records(part)
        finally:
            parts.close()

    def close(self) -> None:
        """Give back what was put aside."""
        self._spool.close()
