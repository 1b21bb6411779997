"""An order of Square's as a sale: what was sold, given away, taken back, and the money beside it.

Which states count follows Square's own reports: COMPLETED, or OPEN and fully paid, is sold.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace
from suppli_connector_kit.domain.drafts import Extra, SaleDraft
from suppli_connector_kit.domain.instants import instant
from suppli_connector_kit.domain.money import LineMoney, as_shown, without_inclusive_tax
from suppli_connector_kit.domain.units import EACH
from suppli_connector_kit.errors import OrderNotUnderstood
from suppli_connector_kit.protocol import LocationContext, Sale
from suppli_contracts.events.sales import AdjustmentKind as Kind
from suppli_contracts.events.sales import Disposition, LineKind, OrderState, ReturnedLine, SaleTotals

from suppli_connector_square.domain.models import (
    Line,
    Money,
    MoneyAmounts,
    Order,
    Return,
    ServiceCharge,
    Tax,
    unit_name,
)

REVISION = 1
"""Grows with every change of meaning: what was set aside is then read again."""

VOIDED = "(Voided)"  # how Square's own exports name a line voided at the till
_STATES = {
    "OPEN": OrderState.OPEN,
    "COMPLETED": OrderState.COMPLETED,
    "CANCELED": OrderState.CANCELLED,
    "DRAFT": OrderState.DRAFT,
}
_UNSOLD = {
    OrderState.OPEN: Disposition.NOT_YET,
    OrderState.DRAFT: Disposition.NOT_YET,
    OrderState.CANCELLED: Disposition.CANCELLED,
}
_NO_REFUND = frozenset({"REJECTED", "FAILED"})
_NOT_STATED = MoneyAmounts()


def normalise(order: Order, location: LocationContext) -> Sale:
    """Understand an order.

    Raises:
        OrderNotUnderstood: with reason and field path.
    """
    if order.refunds and all(refund.status in _NO_REFUND for refund in order.refunds):
        # nothing went back: what is said of returns did not happen
        order = replace(order, returns=None, return_amounts=None, net_amounts=None)
    state = _STATES.get(order.state or "", OrderState.UNKNOWN)
    sold = state is OrderState.COMPLETED or (state is OrderState.OPEN and _is_paid(order))
    outcome = None if sold else _UNSOLD.get(state, Disposition.UNKNOWN)
    draft = SaleDraft(_happened_at(order, state), location)
    taxes = _inclusive(order.taxes)
    for index, line in enumerate(order.line_items or ()):
        _add_line(draft, line, f"line_items[{index}]", taxes, outcome)
    _add_returns(draft, order, outcome)
    _add_charges(draft, order.service_charges, "service-charge", 1)
    if order.rounding_adjustment is not None:
        draft.adjust(Kind.ROUNDING, "rounding", _amount(order.rounding_adjustment.amount_money))
    totals = _totals(order, draft)
    if totals.total - totals.tax != draft.explained():  # a total that leaves tips out adds up without
        _add_tips(draft, order)
    return Sale(
        order_id=order.id,
        location_id=order.location_id,
        state=state,
        currency=_currency(order, location),
        totals=totals,
        lines=tuple(draft.lines),
        adjustments=tuple(draft.adjustments),
        channel=(order.source.name or None) if order.source is not None else None,
    )


def _amount(money: Money | None) -> int:
    return 0 if money is None else money.amount


def _is_paid(order: Order) -> bool:
    """Return whether an open order is fully paid: payments cover its total and nothing is due."""
    if not order.tenders or _amount(order.net_amount_due_money) > 0:
        return False
    return sum(_amount(tender.amount_money) for tender in order.tenders) >= _total(order)


def _happened_at(order: Order, state: OrderState) -> datetime:
    """Return the instant that an order counts on: its closing, else its last payment, else its creation."""
    text, path = order.closed_at, "closed_at"
    if not text and state is not OrderState.CANCELLED:
        paid = [tender.created_at for tender in order.tenders or () if tender.created_at]
        text, path = max(paid, default=None), "tenders"
    if not text:
        text, path = order.created_at or order.updated_at, "created_at"
    try:
        return instant(text)
    except ValueError:
        raise OrderNotUnderstood("not an instant", path) from None


def _inclusive(taxes: list[Tax] | None) -> Mapping[str, str]:
    """Return the percentages of the taxes that are inside the price, by uid; mostly none."""
    return {tax.uid: tax.percentage or "0" for tax in taxes or () if tax.type == "INCLUSIVE" and tax.uid}


def _add_line(
    draft: SaleDraft,
    line: Line,
    path: str,
    taxes: Mapping[str, str],
    outcome: Disposition | None,
    part: Return | None = None,
) -> None:
    """Add a line that was sold, or with `part` one that was taken back in that return."""
    back = part is not None
    money = _money(line, path, taxes)
    line_id = draft.ids.take(line.uid, path)
    custom = line.item_type == "CUSTOM_AMOUNT"
    if line.item_type == "GIFT_CARD":  # a liability, not a sale
        draft.adjust(Kind.GIFT_CARD, line_id, -money.net if back else money.net)
        return
    if back and custom and line.source_line_item_uid is None:
        # points to no sold line: this is how Square writes a refund by amount
        draft.adjust(Kind.REFUND_AMOUNT, line_id, -money.net)
        return
    returns = None
    if part is not None and part.source_order_id:
        returns = ReturnedLine(order_id=part.source_order_id, line_id=line.source_line_item_uid)
    draft.add(
        line_id,
        outcome or (Disposition.RETURNED if back else _disposition(line, money)),
        money,
        line.quantity,
        path=path,
        back=back,
        returns=returns,
        unit=EACH if line.quantity_unit is None else unit_name(line.quantity_unit.measurement_unit),
        kind=LineKind.CUSTOM_AMOUNT if custom else LineKind.ITEM,
        variation_id=line.catalog_object_id,
        name=line.name,
        variation_name=line.variation_name,
        extras=[
            Extra(each.uid, each.catalog_object_id, each.name, each.quantity, _amount(each.total_price_money))
            for each in line.modifiers or line.return_modifiers or ()
        ],
    )


def _money(line: Line, path: str, taxes: Mapping[str, str]) -> LineMoney:
    """Return a line's money without tax."""
    tax, net = _amount(line.total_tax_money), None
    if line.total_money is not None:
        net = line.total_money.amount - tax - _amount(line.total_service_charge_money)
    stated = line.gross_sales_money or line.gross_return_money
    gross = None if stated is None else stated.amount
    money = as_shown(gross, _amount(line.total_discount_money), net, tax)
    if money is None:
        raise OrderNotUnderstood("a line states no money", path)
    applied = [each.tax_uid or "" for each in line.applied_taxes or ()]
    inside = [taxes[uid] for uid in applied if uid in taxes]
    return without_inclusive_tax(money, inside) if inside else money


def _disposition(line: Line, money: LineMoney) -> Disposition:
    """Return what became of a line of a sold order: sold, given away, or voided as exports show it."""
    if money.gross == 0:
        if line.name and line.name.rstrip().endswith(VOIDED):
            return Disposition.VOID_UNKNOWN
        return Disposition.COMPED if _amount(line.base_price_money) > 0 else Disposition.SOLD
    return Disposition.COMPED if money.net == 0 and money.discount > 0 else Disposition.SOLD


def _add_returns(draft: SaleDraft, order: Order, outcome: Disposition | None) -> None:
    """Add what was taken back, all negative: things as lines, money given back alone as adjustments."""
    itemised = False
    for number, part in enumerate(order.returns or ()):
        taxes = _inclusive(part.return_taxes)
        for index, line in enumerate(part.return_line_items or ()):
            path = f"returns[{number}].return_line_items[{index}]"
            _add_line(draft, line, path, taxes, outcome, part)
        if not part.return_line_items:
            _add_money_back(draft, part.return_amounts, f"return-{number}")
        itemised = itemised or bool(part.return_line_items) or part.return_amounts is not None
        _add_charges(draft, part.return_service_charges, f"return-{number}:service-charge", -1)
        if part.rounding_adjustment is not None:
            rounding = _amount(part.rounding_adjustment.amount_money)
            draft.adjust(Kind.ROUNDING, f"return-{number}:rounding", -rounding)
    if not itemised:
        _add_money_back(draft, order.return_amounts, "return")


def _add_money_back(draft: SaleDraft, amounts: MoneyAmounts | None, name: str) -> None:
    """Add the money of a return without lines, less tax; tips and charges are said by themselves."""
    if amounts is not None:
        beside = _amount(amounts.tip_money) + _amount(amounts.service_charge_money)
        money = _amount(amounts.total_money) - _amount(amounts.tax_money) - beside
        draft.adjust(Kind.REFUND_AMOUNT, name, -money)


def _add_charges(draft: SaleDraft, charges: list[ServiceCharge] | None, name: str, sign: int) -> None:
    """Add service charges without their tax."""
    for index, charge in enumerate(charges or ()):
        money = _amount(charge.applied_money)
        if charge.total_money is not None:
            money = charge.total_money.amount - _amount(charge.total_tax_money)
        charge_id = draft.ids.take(charge.uid, f"{name}-{index}")
        draft.adjust(Kind.SERVICE_CHARGE, charge_id, sign * money)


def _add_tips(draft: SaleDraft, order: Order) -> None:
    given = sum(_amount(tender.tip_money) for tender in order.tenders or ())
    if order.total_tip_money is not None:
        given = order.total_tip_money.amount
    draft.adjust(Kind.TIP, "tip", given)
    parts = order.returns or ()
    back = sum(_amount(tip.applied_money) for part in parts for tip in part.return_tips or ())
    if order.return_amounts is not None and order.return_amounts.tip_money is not None:
        back = order.return_amounts.tip_money.amount
    draft.adjust(Kind.TIP, "return:tip", -back)


def _totals(order: Order, draft: SaleDraft) -> SaleTotals:
    """Return the order's sums, returns subtracted: Square's net amounts, each where it is stated."""
    net, back = order.net_amounts or _NOT_STATED, order.return_amounts or _NOT_STATED
    tax = _less(net.tax_money, order.total_tax_money, back.tax_money)
    unstated = order.total_money is None and net.total_money is None
    return SaleTotals(
        total=draft.explained() + tax if unstated else _total(order),
        tax=tax,
        discount=_less(net.discount_money, order.total_discount_money, back.discount_money),
        tip=_less(net.tip_money, order.total_tip_money, back.tip_money),
        service_charge=_less(
            net.service_charge_money, order.total_service_charge_money, back.service_charge_money
        ),
    )


def _total(order: Order) -> int:
    net, back = order.net_amounts or _NOT_STATED, order.return_amounts or _NOT_STATED
    return _less(net.total_money, order.total_money, back.total_money)


def _less(net: Money | None, own: Money | None, back: Money | None) -> int:
    return _amount(own) - _amount(back) if net is None else net.amount


def _currency(order: Order, location: LocationContext) -> str:
    net = order.net_amounts.total_money if order.net_amounts is not None else None
    for money in (order.total_money, net):
        if money is not None and money.currency:
            return money.currency
    if location.currency is None:
        raise OrderNotUnderstood("the order does not say its currency", "total_money.currency")
    return location.currency
