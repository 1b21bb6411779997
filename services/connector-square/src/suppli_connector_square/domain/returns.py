"""Returns: things taken back are lines of their own, money given back alone is an adjustment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from suppli_connector_kit.domain import quantities
from suppli_connector_kit.domain.ids import Ids
from suppli_contracts.events.sales import AdjustmentKind, Disposition, ReturnedLine, SaleLine

from suppli_connector_square.domain.lines import Moment, amount, figures, inclusive_taxes, sale_line
from suppli_connector_square.domain.models import MoneyAmounts, Return, ReturnLineItem, ServiceCharge

Piece = tuple[AdjustmentKind, str, int]
"""Kind, id and amount of an adjustment in the making."""


def charge_amount(charge: ServiceCharge) -> int:
    """Return a service charge without its tax, in minor units."""
    if charge.total_money is not None:
        return charge.total_money.amount - amount(charge.total_tax_money)
    return amount(charge.applied_money)


def returned(
    part: Return, number: int, *, moment: Moment, ids: Ids, outcome: Disposition
) -> Iterator[SaleLine | Piece]:
    """Yield the lines and adjustments of one return, all negative.

    A custom amount that points to no sold line is how Square writes a refund by amount.
    """
    inclusive = inclusive_taxes(part.return_taxes)
    for index, line in enumerate(part.return_line_items or ()):
        path = f"returns[{number}].return_line_items[{index}]"
        yield _line(part, line, inclusive, path, moment, ids, outcome)
    if not part.return_line_items and part.return_amounts is not None:
        yield from amount_only(part.return_amounts, f"return-{number}")
    for index, charge in enumerate(part.return_service_charges or ()):
        uid = ids.take(charge.uid, f"return-{number}:service-charge-{index}")
        yield AdjustmentKind.SERVICE_CHARGE, uid, -charge_amount(charge)
    if part.rounding_adjustment is not None:
        yield (
            AdjustmentKind.ROUNDING,
            f"return-{number}:rounding",
            -amount(part.rounding_adjustment.amount_money),
        )


def _line(
    part: Return,
    line: ReturnLineItem,
    inclusive: Mapping[str, str],
    path: str,
    moment: Moment,
    ids: Ids,
    outcome: Disposition,
) -> SaleLine | Piece:
    money = figures(line, inclusive, path)
    uid = ids.take(line.uid, path)
    if line.item_type == "GIFT_CARD":
        return AdjustmentKind.GIFT_CARD, uid, -money.net
    if line.item_type == "CUSTOM_AMOUNT" and line.source_line_item_uid is None:
        return AdjustmentKind.REFUND_AMOUNT, uid, -money.net
    source = part.source_order_id
    return sale_line(
        line,
        money,
        quantities.parse(line.quantity, f"{path}.quantity"),
        line_id=uid,
        moment=moment,
        outcome=outcome,
        path=path,
        returns=ReturnedLine(order_id=source, line_id=line.source_line_item_uid) if source else None,
    )


def amount_only(amounts: MoneyAmounts, name: str) -> Iterator[Piece]:
    """Yield the money of a return that has no lines, without tax; tips and charges are said by themselves."""
    money = amount(amounts.total_money) - amount(amounts.tax_money)
    money -= amount(amounts.tip_money) + amount(amounts.service_charge_money)
    yield AdjustmentKind.REFUND_AMOUNT, name, -money


def tips(parts: list[Return] | None, amounts: MoneyAmounts | None) -> int:
    """Return the tips given back, positive."""
    if amounts is not None and amounts.tip_money is not None:
        return amounts.tip_money.amount
    return sum(amount(tip.applied_money) for part in parts or () for tip in part.return_tips or ())
