"""The totals of a Square "Items detail" export, computed from the file alone.

Shares nothing with the services: it is what their result is held against.
"""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

VOIDED = " (Voided)"


@dataclass(frozen=True, slots=True)
class ControlTotals:
    """Sums of an export; money in minor units, refunds subtracted.

    Attributes:
        quantity: sold less returned, without voided rows.
        voided: quantity on voided rows.
    """

    rows: int
    gross: int
    discounts: int
    net: int
    tax: int
    quantity: Decimal
    voided: Decimal


def control_totals(path: Path) -> ControlTotals:
    """Add up an export file (plain or gzip).

    Raises:
        ValueError: a column is missing or a cell is not a number; says which.
    """
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    for column in ("Item", "Qty", "Gross Sales", "Discounts", "Net Sales", "Tax"):
        if rows and column not in rows[0]:
            raise ValueError(f"{path}: no column {column!r}; is it a Square items detail export?")
    voided = [row for row in rows if row["Item"].endswith(VOIDED)]
    kept = [row for row in rows if not row["Item"].endswith(VOIDED)]
    return ControlTotals(
        rows=len(rows),
        gross=sum(_minor(row["Gross Sales"]) for row in rows),
        discounts=-sum(_minor(row["Discounts"]) for row in rows),
        net=sum(_minor(row["Net Sales"]) for row in rows),
        tax=sum(_minor(row["Tax"]) for row in rows),
        quantity=sum((Decimal(row["Qty"]) for row in kept), Decimal(0)),
        voided=sum((Decimal(row["Qty"]) for row in voided), Decimal(0)),
    )


def _minor(cell: str) -> int:
    return int(Decimal(cell.replace("$", "").replace(",", "")) * 100)
