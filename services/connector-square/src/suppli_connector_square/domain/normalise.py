"""An order of Square's as a sale: what was sold, given away, taken back, and the money beside it.

Which states count follows Square's own reports: COMPLETED, or OPEN and fully paid, is sold.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace
from suppli_connector_kit.domain.drafts import Extra, SaleDraft, happened_at, state_of, unsold
from suppli_connector_kit.domain.money import LineMoney, as_shown, without_inclusive_tax
from suppli_connector_kit.domain.parts import Money, MoneyIn, amount_of
from suppli_connector_kit.domain.units import EACH
from suppli_connector_kit.errors import OrderNotUnderstood
from suppli_connector_kit.protocol import LocationContext, Sale
from suppli_contracts.events import sales
from suppli_contracts.events.sales import AdjustmentKind as Kind
from suppli_contracts.events.sales import Disposition, OrderState

from suppli_connector_square.domain import models
from suppli_connector_square.domain.models import Line, Order, Return, unit_name

REVISION = 1
"""Grows with every change of meaning: what was set aside is then read again."""

VOIDED = "(Voided)"  # how Square's own exports name a line voided at the till
_NO_REFUND = frozenset({"REJECTED", "FAILED"})
_NOT_STATED = models.MoneyAmounts()


def normalise(order: Order, location: LocationContext) -> Sale:
    """Understand an order.

    Raises:
        OrderNotUnderstood: with reason and field path.
    """
    if order.refunds and all(refund.status in _NO_REFUND for refund in order.refunds):
        # nothing went back: what is said of returns did not happen
        order = replace(order, returns=None, return_amounts=None, net_amounts=None)
    state = state_of(order.state)
    sold = state is OrderState.COMPLETED or (state is OrderState.OPEN and _is_paid(order))
    outcome = None if sold else unsold(state)
    draft = SaleDraft(_counts_on(order, state), location)
    taxes = _inclusive(order.taxes)
    for index, line in enumerate(order.line_items or ()):
        _add_line(draft, line, f"line_items[{index}]", taxes, outcome)
    _add_returns(draft, order, outcome)
    _add_charges(draft, order.service_charges, "service-charge", 1)
    if order.rounding_adjustment is not None:
        draft.adjust(Kind.ROUNDING, "rounding", amount_of(order.rounding_adjustment.amount_money))
    totals = _totals(order, draft)
    if totals.total - totals.tax != draft.explained():  # a total without tips adds up without them
        _add_tips(draft, order)
    return draft.sale(
        order.id,
        state,
        totals,
        currency=next((money.currency for money in _stated(order) if money.currency), None),
        path="total_money.currency",
        channel=(order.source.name or None) if order.source is not None else None,
    )


def _is_paid(order: Order) -> bool:
    """Return whether an open order is fully paid: payments cover its total and nothing is due."""
    if not order.tenders or amount_of(order.net_amount_due_money) > 0:
        return False
    return sum(amount_of(tender.amount_money) for tender in order.tenders) >= _total(order)


def _counts_on(order: Order, state: OrderState) -> datetime:
    """Return when an order counts: when it was closed, else last paid, else made."""
    tenders = () if state is OrderState.CANCELLED else order.tenders or ()
    paid = [tender.created_at for tender in tenders if tender.created_at]
    return happened_at(
        (order.closed_at, "closed_at"),
        (max(paid, default=None), "tenders"),
        (order.created_at or order.updated_at, "created_at"),
    )


def _inclusive(taxes: list[models.Tax] | None) -> Mapping[str, str]:
    """Return the percentages of the taxes that are inside the price, by uid; mostly none."""
    inside = [tax for tax in taxes or () if tax.type == "INCLUSIVE" and tax.uid]
    return {tax.uid or "": tax.percentage or "0" for tax in inside}


def _add_line(
    draft: SaleDraft,
    line: Line,
    path: str,
    taxes: Mapping[str, str],
    outcome: Disposition | None,
    part: Return | None = None,
) -> None:
    """Add a line that was sold, or with `part` one that was taken back in that return."""
    money, custom = _money(line, path, taxes), line.item_type == "CUSTOM_AMOUNT"
    beside = Kind.GIFT_CARD if line.item_type == "GIFT_CARD" else None  # a liability, not a sale
    if part is not None and custom and line.source_line_item_uid is None:
        # points to no sold line: this is how Square writes a refund by amount
        beside = Kind.REFUND_AMOUNT
    if outcome is None and part is None and money.gross == 0 and _is_voided(line):
        outcome = Disposition.VOID_UNKNOWN
    draft.add(
        draft.ids.take(line.uid, path),
        outcome,
        money,
        line.quantity,
        path=path,
        back=part is not None,
        returns=_returned(line, part),
        unit=EACH if line.quantity_unit is None else unit_name(line.quantity_unit.measurement_unit),
        kind=sales.LineKind.CUSTOM_AMOUNT if custom else sales.LineKind.ITEM,
        variation_id=line.catalog_object_id,
        name=line.name,
        variation_name=line.variation_name,
        extras=[_extra(each) for each in line.modifiers or line.return_modifiers or ()],
        beside=beside,
        priced=amount_of(line.base_price_money) > 0,
    )


def _is_voided(line: Line) -> bool:
    return line.name is not None and line.name.rstrip().endswith(VOIDED)


def _returned(line: Line, part: Return | None) -> sales.ReturnedLine | None:
    if part is None or not part.source_order_id:
        return None
    return sales.ReturnedLine(order_id=part.source_order_id, line_id=line.source_line_item_uid)


def _extra(each: models.LineModifier) -> Extra:
    price = amount_of(each.total_price_money)
    return Extra(each.uid, each.catalog_object_id, each.name, each.quantity, price)


def _money(line: Line, path: str, taxes: Mapping[str, str]) -> LineMoney:
    """Return a line's money without tax."""
    tax, net = amount_of(line.total_tax_money), None
    if line.total_money is not None:
        net = line.total_money.amount - tax - amount_of(line.total_service_charge_money)
    stated = line.gross_sales_money or line.gross_return_money
    gross = None if stated is None else stated.amount
    money = as_shown(gross, amount_of(line.total_discount_money), net, tax)
    if money is None:
        raise OrderNotUnderstood("a line states no money", path)
    applied = [each.tax_uid or "" for each in line.applied_taxes or ()]
    return without_inclusive_tax(money, [taxes[uid] for uid in applied if uid in taxes])


def _add_returns(draft: SaleDraft, order: Order, outcome: Disposition | None) -> None:
    """Add what was taken back, negative: things as lines, money given back alone as adjustments."""
    parts = order.returns or ()
    for number, part in enumerate(parts):
        taxes, name = _inclusive(part.return_taxes), f"return-{number}"
        for index, line in enumerate(part.return_line_items or ()):
            path = f"returns[{number}].return_line_items[{index}]"
            _add_line(draft, line, path, taxes, outcome, part)
        if not part.return_line_items:
            _add_money_back(draft, part.return_amounts, name)
        _add_charges(draft, part.return_service_charges, f"{name}:service-charge", -1)
        if part.rounding_adjustment is not None:
            rounding = amount_of(part.rounding_adjustment.amount_money)
            draft.adjust(Kind.ROUNDING, f"{name}:rounding", -rounding)
    if not any(part.return_line_items or part.return_amounts for part in parts):
        _add_money_back(draft, order.return_amounts, "return")


def _add_money_back(draft: SaleDraft, amounts: models.MoneyAmounts | None, name: str) -> None:
    """Add the money of a return without lines, less tax; tips and charges are said elsewhere."""
    if amounts is not None:
        beside = amount_of(amounts.tip_money) + amount_of(amounts.service_charge_money)
        money = amount_of(amounts.total_money) - amount_of(amounts.tax_money) - beside
        draft.adjust(Kind.REFUND_AMOUNT, name, -money)


def _add_charges(
    draft: SaleDraft, charges: list[models.Charge] | None, name: str, sign: int
) -> None:
    """Add service charges without their tax."""
    for index, charge in enumerate(charges or ()):
        money = amount_of(charge.applied_money)
        if charge.total_money is not None:
            money = charge.total_money.amount - amount_of(charge.total_tax_money)
        charge_id = draft.ids.take(charge.uid, f"{name}-{index}")
        draft.adjust(Kind.SERVICE_CHARGE, charge_id, sign * money)


def _add_tips(draft: SaleDraft, order: Order) -> None:
    given = sum(amount_of(tender.tip_money) for tender in order.tenders or ())
    if order.total_tip_money is not None:
        given = order.total_tip_money.amount
    draft.adjust(Kind.TIP, "tip", given)
    parts = order.returns or ()
    back = sum(amount_of(tip.applied_money) for part in parts for tip in part.return_tips or ())
    if order.return_amounts is not None and order.return_amounts.tip_money is not None:
        back = order.return_amounts.tip_money.amount
    draft.adjust(Kind.TIP, "return:tip", -back)


def _totals(order: Order, draft: SaleDraft) -> sales.SaleTotals:
    """Return the order's sums, returns subtracted; without a stated total, what its parts give."""
    tax = _sum(order, "tax_money", order.total_tax_money)
    return sales.SaleTotals(
        total=_total(order) if _stated(order) else draft.explained() + tax,
        tax=tax,
        discount=_sum(order, "discount_money", order.total_discount_money),
        tip=_sum(order, "tip_money", order.total_tip_money),
        service_charge=_sum(order, "service_charge_money", order.total_service_charge_money),
    )


def _total(order: Order) -> int:
    return _sum(order, "total_money", order.total_money)


def _sum(order: Order, field: str, own: Money | None) -> int:
    """Return a sum of the order, returns subtracted: Square's net amount where it is stated."""
    net: Money | None = getattr(order.net_amounts or _NOT_STATED, field)
    if net is not None:
        return net.amount
    return amount_of(own) - amount_of(getattr(order.return_amounts or _NOT_STATED, field))


def _stated(order: Order) -> list[MoneyIn]:
    """Return the totals that the order states: its own, and that less returns."""
    net = None if order.net_amounts is None else order.net_amounts.total_money
    return [money for money in (order.total_money, net) if money is not None]
