"""Reading a file in a test: rows and a plan in, everything that came out of it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from suppli_contracts.events.sales import SaleLine

from suppli_connector_upload.domain.files import Cell, FileKind, Layout
from suppli_connector_upload.domain.outcomes import ControlTotals, FileSale, Notice, RowError
from suppli_connector_upload.domain.plan import Field, Plan, Shape
from suppli_connector_upload.domain.sales import SalesReader
from suppli_connector_upload.reading.spool import DiskSpool


@dataclass
class Outcome:
    """What came out of a file."""

    sales: list[FileSale]
    errors: list[RowError]
    notices: list[Notice]
    totals: ControlTotals = field(default_factory=ControlTotals)

    def lines(self) -> list[SaleLine]:
        """Return the lines of all sales."""
        return [line for found in self.sales for line in found.sale.lines]

    def ids(self) -> dict[str, set[str]]:
        """Return every line's id by its order."""
        return {found.sale.order_id: {line.line_id for line in found.sale.lines} for found in self.sales}


def a_plan(columns: Mapping[Field, str], names: Iterable[str] = (), **more: Any) -> Plan:
    """Return what a person answered for a file of these columns."""
    values: dict[str, Any] = {
        "shape": Shape.GENERIC,
        "fingerprint": "",
        "layout": Layout(kind=FileKind.TEXT, columns=tuple(names) or tuple(columns.values())),
        "columns": dict(columns),
        "timezone": "UTC",
        "currency": "USD",
        "location_id": "shop",
    }
    return Plan(**(values | more))


def read(plan: Plan, rows: Iterable[Iterable[Cell]]) -> Outcome:
    """Read rows that begin in line 2."""
    reader = SalesReader(plan, DiskSpool)
    try:
        errors = list(reader.take((line, list(cells)) for line, cells in enumerate(rows, start=2)))
        sales = list(reader.sales())
    finally:
        reader.close()
    return Outcome(sales, errors, reader.notices, reader.totals)
