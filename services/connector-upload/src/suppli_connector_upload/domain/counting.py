"""Adding up what was understood, for people to hold against the report that they know."""

from __future__ import annotations

from decimal import Decimal

from suppli_contracts.events.sales import Disposition

from suppli_connector_upload.domain.outcomes import ControlTotals, FileSale, Totals

_COUNTED = frozenset({Disposition.SOLD, Disposition.COMPED, Disposition.RETURNED})
_ONE = Decimal(1)


def count(found: FileSale, into: ControlTotals) -> None:
    """Add a sale to the totals of its day."""
    day = into.by_day.get(found.business_date)
    if day is None:
        day = into.by_day[found.business_date] = Totals()
    into.currencies.add(found.sale.currency)
    day.rows += found.rows
    day.orders += 1
    for line in found.sale.lines:
        quantity = _ONE if line.quantity == "1" else Decimal(line.quantity)
        if line.disposition in _COUNTED:
            day.quantity += quantity
            day.gross += line.gross
            day.discount += line.discount
            day.net += line.net
            day.tax += line.tax
        else:
            day.left_out_rows += 1
            day.left_out_quantity += quantity
            day.left_out_net += line.net
    for adjustment in found.sale.adjustments:
        day.adjustments += adjustment.amount


def add_up(totals: ControlTotals) -> None:
    """Make the sum of all days."""
    whole = Totals()
    for day in totals.by_day.values():
        whole.rows += day.rows
        whole.orders += day.orders
        whole.quantity += day.quantity
        whole.gross += day.gross
        whole.discount += day.discount
        whole.net += day.net
        whole.tax += day.tax
        whole.adjustments += day.adjustments
        whole.left_out_rows += day.left_out_rows
        whole.left_out_quantity += day.left_out_quantity
        whole.left_out_net += day.left_out_net
    totals.all = whole
