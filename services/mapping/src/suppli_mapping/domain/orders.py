"""An order as the ledger takes it: its parts, its days and what must be proven."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date

import msgspec
from suppli_contracts.events.sales import OrderState, SaleLine, SaleRecorded

from suppli_mapping.domain.entries import LINE, Part
from suppli_mapping.domain.items import item_id, line_key, modifier_key
from suppli_mapping.domain.units import BadQuantity, exact, unit_name

_LONGEST_ID = 255
_BIGGEST_MONEY = 10**15


class BadSale(Exception):
    """A raw sale that contradicts itself; `field` is the JSON path."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class OrderDay(msgspec.Struct, frozen=True):
    """An order's money on one day, in minor units; `provider_net`: the provider's total less tax."""

    business_date: date
    adjustments: int
    provider_net: int


def check(sale: SaleRecorded) -> None:
    """Refuse a sale that could not be kept.

    Raises:
        BadSale: a line id repeats, a quantity is no decimal, a figure is beyond all measure.
    """
    lines: set[str] = set()
    for index, line in enumerate(sale.lines):
        path = f"$.lines[{index}]"
        if line.line_id in lines:
            raise BadSale(f"{path}.line_id", f"repeats {line.line_id[:40]!r}")
        lines.add(line.line_id)
        _number(f"{path}.quantity", line.quantity)
        if not _measurable(line.gross, line.discount, line.net, line.tax):
            raise BadSale(f"{path}.net", "or another amount of the line is beyond all measure")
        if line.modifiers:
            _check_modifiers(path, line)
    for text, name in ((sale.order_id, "order_id"), (sale.location_id, "location_id")):
        if not text or len(text) > _LONGEST_ID:
            raise BadSale(f"$.{name}", "is empty or too long")


def _measurable(*amounts: int) -> bool:
    return max(map(abs, amounts)) < _BIGGEST_MONEY


def _check_modifiers(path: str, line: SaleLine) -> None:
    ids = [modifier.modifier_id for modifier in line.modifiers]
    if "" in ids or len(set(ids)) < len(ids):
        raise BadSale(f"{path}.modifiers", "have ids that are empty or repeat")
    for position, modifier in enumerate(line.modifiers):
        _number(f"{path}.modifiers[{position}].quantity", modifier.quantity)


def _number(path: str, text: str) -> None:
    try:
        exact(text)
    except BadQuantity as error:
        raise BadSale(path, str(error)) from error
    if "/" in text:
        raise BadSale(path, "must be a decimal")


def parts(sale: SaleRecorded) -> Iterator[tuple[Part, SaleLine, str]]:
    """Yield each part of a sale with its line and item key; none of an order that is gone."""
    if sale.state is OrderState.DELETED:
        return
    connection, location, currency = sale.connection_id, sale.location_id, sale.currency
    for line in sale.lines:
        key = line_key(line)
        yield (
            Part(
                line.line_id, LINE, item_id(connection, key), location, line.business_date, line.occurred_at,
                currency, line.disposition, line.quantity, unit_name(line.unit), line.gross, line.discount,
                line.net, line.tax, line.restock,
            ),
            line,
            key,
        )  # fmt: skip
        for modifier in line.modifiers:
            key = modifier_key(modifier)
            yield (
                Part(
                    line.line_id, modifier.modifier_id, item_id(connection, key), location,
                    line.business_date,
                    line.occurred_at, currency, line.disposition, modifier.quantity, "each",
                    modifier.gross, 0, 0, 0, line.restock,
                ),
                line,
                key,
            )  # fmt: skip


def days(sale: SaleRecorded) -> list[OrderDay]:
    """Return the order's money by business date.

    The provider gives one total an order. What its lines and adjustments of other days say (a return of a
    later
    day carried by the same order) is taken from it; the rest is the first day's, so a difference stays
    visible.
    """
    if sale.state is OrderState.DELETED:
        return []
    provider = sale.totals.total - sale.totals.tax
    if sale.lines and not sale.adjustments:
        day = sale.lines[0].business_date
        if all(line.business_date == day for line in sale.lines):
            return [OrderDay(day, 0, provider)]
    adjustments: defaultdict[date, int] = defaultdict(int)
    lines: defaultdict[date, int] = defaultdict(int)
    for line in sale.lines:
        lines[line.business_date] += line.net
    for adjustment in sale.adjustments:
        adjustments[adjustment.business_date] += adjustment.amount
    dates = sorted({*lines, *adjustments})
    if not dates:
        return [OrderDay(sale.recorded_at.date(), 0, provider)] if provider else []
    others = {day: lines[day] + adjustments[day] for day in dates[1:]}
    first = OrderDay(dates[0], adjustments[dates[0]], provider - sum(others.values()))
    return [first, *(OrderDay(day, adjustments[day], net) for day, net in others.items())]
