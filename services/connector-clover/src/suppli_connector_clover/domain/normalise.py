"""An order of Clover's as a sale: each of its lines is one unit, or a measured part of one.

Which states count follows Clover's own reports: what is paid, also where it was given back later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from suppli_connector_kit.domain import pricing
from suppli_connector_kit.domain.drafts import Extra, SaleDraft
from suppli_connector_kit.domain.instants import from_us
from suppli_connector_kit.domain.pricing import Off, Priced, Rate, half_up
from suppli_connector_kit.domain.units import EACH
from suppli_connector_kit.errors import OrderNotUnderstood
from suppli_connector_kit.protocol import LocationContext, Sale
from suppli_contracts.events import sales
from suppli_contracts.events.sales import AdjustmentKind as Kind
from suppli_contracts.events.sales import Disposition, OrderState, SaleTotals

from suppli_connector_clover.domain import models
from suppli_connector_clover.domain.models import LineItem, MoneyBack, Order, listed
from suppli_connector_clover.manifest import NESTED_CAP

REVISION = 1
"""Grows with every change of meaning: what was set aside is then read again."""

_SOLD = frozenset({"PAID", "REFUNDED", "PARTIALLY_REFUNDED", "CREDITED"})
_TAKEN = frozenset({"SUCCESS", "AUTH_COMPLETED"})
_NOT_GIVEN = frozenset({"FAIL", "VOIDED"})
_RATE = Decimal(10_000_000)  # of a tax: percent x 100,000
_PERCENT = Decimal(1_000_000)  # percent x 10,000
_THOUSAND = Decimal(1000)


class _Worked(NamedTuple):
    """A line, and what it comes to: with tax where the merchant's prices have it (`isVat`)."""

    line: LineItem
    priced: Priced


def normalise(order: Order, location: LocationContext) -> Sale:
    """Understand an order.

    Raises:
        OrderNotUnderstood: with reason and field path.
    """
    at = order.clientCreatedTime or order.createdTime or order.modifiedTime
    draft = SaleDraft(_at(at), location)
    if order.deletedTimestamp is not None:
        gone = SaleTotals(total=0)
        return draft.sale(order.id, OrderState.DELETED, gone, currency=order.currency)
    _refuse_cut_lists(order)
    sold = _is_sold(order)
    outcome = Disposition.TEST if order.testMode else None if sold else Disposition.NOT_YET
    worked = _worked(order)
    for each in worked:
        _add(draft, order, each, outcome)
    charge = _charge(draft, order, sum(each.priced.paid for each in worked))
    back = _add_money_back(draft, order, worked, outcome)
    totals = _totals(order, worked, charge, back)
    difference = totals.total - totals.tax - draft.explained()
    if totals.tip and difference == totals.tip:  # some apps take the tip within what was paid
        draft.adjust(Kind.TIP, "tip", totals.tip)
    state = OrderState.COMPLETED if sold else OrderState.OPEN
    return draft.sale(order.id, state, totals, currency=order.currency)


def _at(milliseconds: int) -> datetime:
    return from_us(milliseconds * 1000)


def _refuse_cut_lists(order: Order) -> None:
    """Raise where a list that cannot be read further ends at Clover's limit: it may be cut."""
    for name in ("discounts", "payments", "refunds", "credits"):
        if len(listed(getattr(order, name))) >= NESTED_CAP:
            raise OrderNotUnderstood(f"a list ends at {NESTED_CAP} entries: it may be cut", name)


def _is_sold(order: Order) -> bool:
    """Return whether an order counts: it is paid, or (older orders) payments cover it."""
    if order.paymentState is not None:
        return order.paymentState in _SOLD
    taken = _taken(order)
    return bool(taken) and sum(payment.amount for payment in taken) >= (order.total or 0)


def _taken(order: Order) -> list[models.Payment]:
    return [payment for payment in listed(order.payments) if payment.result in _TAKEN]


# --- lines ------------------------------------------------------------------------------------


def _worked(order: Order) -> list[_Worked]:
    """Return what every line that counts comes to; exchanged ones were replaced by another."""
    lines = [line for line in listed(order.lineItems) if not line.exchanged]
    grosses = [_gross(line) for line in lines]
    own = [[_off(each) for each in listed(line.discounts)] for line in lines]
    shared = [_off(each) for each in listed(order.discounts)]
    discounts = pricing.discounts_of(grosses, own, shared)
    nets = [gross - discount for gross, discount in zip(grosses, discounts, strict=True)]
    wanted = [_tax(order, line, net) for line, net in zip(lines, nets, strict=True)]
    taken = _taken(order)
    stated = sum(payment.taxAmount for payment in taken) if taken else None
    taxes = pricing.taxes_of(wanted, stated)
    priced = map(Priced, grosses, discounts, taxes)
    return [_Worked(line, each) for line, each in zip(lines, priced, strict=True)]


def _gross(line: LineItem) -> int:
    price = line.price
    if _is_measured(line):
        price = half_up(Decimal(price) * (line.unitQty or 0) / _THOUSAND)
    return price + sum(each.amount for each in listed(line.modifications))


def _is_measured(line: LineItem) -> bool:
    """Return whether the line is part of a unit; apps write a `unitQty` of 1 on others."""
    return line.unitQty is not None and bool(line.unitName)


def _off(each: models.Discount) -> Off:
    if each.amount is not None:
        return Off(amount=-each.amount)
    percent = each.percentageDecimal
    return Off((Decimal(each.percentage or 0) * 10_000 if percent is None else percent) / _PERCENT)


def _tax(order: Order, line: LineItem, net: int) -> int:
    if order.taxRemoved or not line.isRevenue:
        return 0
    rates = [Rate(each.rate / _RATE, each.taxAmount) for each in listed(line.taxRates)]
    return pricing.tax_on(net, rates, inside=order.isVat)


def _add(
    draft: SaleDraft,
    order: Order,
    worked: _Worked,
    outcome: Disposition | None,
    returned: MoneyBack | None = None,
) -> None:
    """Add a line that was sold, or with `returned` the same line given back."""
    line, back = worked.line, returned is not None
    beside = None if line.isRevenue else Kind.GIFT_CARD  # gift cards, donations: no merchandise
    draft.add(
        draft.ids.take(f"{line.id}:refund" if back else line.id, "line"),
        outcome,
        worked.priced.money(tax_inside=order.isVat),
        f"{Decimal(line.unitQty or 0) / _THOUSAND:f}" if _is_measured(line) else "1",
        path="lineItems",
        back=back,
        returns=sales.ReturnedLine(order_id=order.id, line_id=line.id) if back else None,
        unit=(line.unitName or EACH) if _is_measured(line) else EACH,
        kind=sales.LineKind.CUSTOM_AMOUNT if line.item is None else sales.LineKind.ITEM,
        variation_id=None if line.item is None else line.item.id,
        name=line.name,
        extras=[
            Extra(
                each.id, each.modifier.id if each.modifier else None, each.name, None, each.amount
            )
            for each in listed(line.modifications)
        ],
        at=None if returned is None else _given_at(returned, order),
        beside=Kind.SERVICE_CHARGE if line.isOrderFee else beside,
    )


def _charge(draft: SaleDraft, order: Order, basis: int) -> int:
    if order.serviceCharge is None:
        return 0
    charge = half_up(basis * Decimal(order.serviceCharge.percentageDecimal) / _PERCENT)
    charge_id = draft.ids.take(order.serviceCharge.id, "service-charge")
    draft.adjust(Kind.SERVICE_CHARGE, charge_id, charge)
    return charge


# --- money back -------------------------------------------------------------------------------


def _add_money_back(
    draft: SaleDraft, order: Order, worked: Sequence[_Worked], outcome: Disposition | None
) -> tuple[int, int]:
    """Add what was given back, on its own day; return it with tax, and the tax in it.

    A refund names the lines that came back, or only an amount. A line may be marked as refunded
    that none names: it came back with the last refund.
    """
    given = [each for each in listed(order.refunds) if _was_given(each)]
    by_hand = [each for each in listed(order.credits) if _was_given(each)]
    named = {ref.id for each in given for ref in listed(each.lineItems)}
    unnamed = [each for each in worked if each.line.refunded and each.line.id not in named]
    for index, refund in enumerate(given):
        ids = {ref.id for ref in listed(refund.lineItems)}
        lines = [each for each in worked if each.line.id in ids]
        if index == len(given) - 1 and not ids:
            lines = unnamed
        for each in lines:
            _add(draft, order, each, outcome, refund)
        rest, at = _less_tax(refund) - _worth(order, lines), _given_at(refund, order)
        draft.adjust(Kind.REFUND_AMOUNT, f"refund:{refund.id}", -rest, at=at)
    for credit in by_hand:
        rest, at = _less_tax(credit), _given_at(credit, order)
        draft.adjust(Kind.REFUND_AMOUNT, f"credit:{credit.id}", -rest, at=at)
    back = [*given, *by_hand]
    return sum(each.amount for each in back), sum(each.taxAmount for each in back)


def _worth(order: Order, lines: Sequence[_Worked]) -> int:
    """Return what lines brought without tax."""
    return sum(each.priced.paid - (each.priced.tax if order.isVat else 0) for each in lines)


def _less_tax(back: MoneyBack) -> int:
    return back.amount - back.taxAmount


def _was_given(back: MoneyBack) -> bool:
    return not back.voided and back.status not in _NOT_GIVEN and back.result not in _NOT_GIVEN


def _given_at(back: MoneyBack, order: Order) -> datetime:
    return _at(back.clientCreatedTime or back.createdTime or order.modifiedTime)


def _totals(
    order: Order, worked: Sequence[_Worked], charge: int, back: tuple[int, int]
) -> SaleTotals:
    """Return the order's sums less what was given back: what was paid wins over its lines."""
    taken = _taken(order)
    tax, total = sum(each.priced.tax for each in worked), order.total
    if taken:
        total = sum(payment.amount for payment in taken)
        tax = sum(payment.taxAmount for payment in taken)
    elif total is None or listed(order.credits):
        paid = sum(each.priced.paid for each in worked)
        total = paid + charge + (0 if order.isVat else tax)
    return SaleTotals(
        total=total - back[0],
        tax=tax - back[1],
        discount=sum(each.priced.discount for each in worked),
        tip=sum(payment.tipAmount for payment in taken),
        service_charge=charge,
    )
