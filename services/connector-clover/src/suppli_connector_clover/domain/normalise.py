"""An order of Clover's as a sale: each of its lines is one unit, or a measured part of one.

Which states count follows Clover's own reports: what is paid, also where it was given back later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from suppli_connector_kit.domain.allocation import allocate
from suppli_connector_kit.domain.drafts import Extra, SaleDraft
from suppli_connector_kit.domain.instants import from_us
from suppli_connector_kit.domain.money import LineMoney
from suppli_connector_kit.domain.units import EACH
from suppli_connector_kit.errors import OrderNotUnderstood
from suppli_connector_kit.protocol import LocationContext, Sale
from suppli_contracts.events.sales import AdjustmentKind as Kind
from suppli_contracts.events.sales import Disposition, LineKind, OrderState, ReturnedLine, SaleTotals

from suppli_connector_clover.domain.models import Discount, LineItem, MoneyBack, Order, listed
from suppli_connector_clover.manifest import NESTED_CAP

REVISION = 1
"""Grows with every change of meaning: what was set aside is then read again."""

_SOLD = frozenset({"PAID", "REFUNDED", "PARTIALLY_REFUNDED", "CREDITED"})
_TAKEN = frozenset({"SUCCESS", "AUTH_COMPLETED"})
_NOT_GIVEN = frozenset({"FAIL", "VOIDED"})
_RATE = Decimal(10_000_000)  # of a tax: percent x 100,000
_PERCENT = Decimal(1_000_000)  # percent x 10,000
_THOUSAND = Decimal(1000)


class _Sums(NamedTuple):
    """A line's money in minor units: with tax where the merchant's prices have it (`isVat`)."""

    line: LineItem
    gross: int
    discount: int
    tax: int

    @property
    def paid(self) -> int:
        """What the line brought, before tax is added or after it was inside."""
        return self.gross - self.discount


def normalise(order: Order, location: LocationContext) -> Sale:
    """Understand an order.

    Raises:
        OrderNotUnderstood: with reason and field path.
    """
    draft = SaleDraft(_at(order.clientCreatedTime or order.createdTime or order.modifiedTime), location)
    if order.deletedTimestamp is not None:
        return _sale(order, location, draft, OrderState.DELETED, SaleTotals(total=0))
    _refuse_cut_lists(order)
    sold = _is_sold(order)
    outcome = Disposition.TEST if order.testMode else None if sold else Disposition.NOT_YET
    sums = _sums(order)
    for each in sums:
        _add(draft, order, each, outcome)
    charge = 0
    if order.serviceCharge is not None:
        basis = sum(each.paid for each in sums)
        charge = _half_up(basis * Decimal(order.serviceCharge.percentageDecimal) / _PERCENT)
        draft.adjust(Kind.SERVICE_CHARGE, draft.ids.take(order.serviceCharge.id, "service-charge"), charge)
    back = _add_money_back(draft, order, sums, outcome)
    totals = _totals(order, sums, charge, back)
    difference = totals.total - totals.tax - draft.explained()
    if totals.tip and difference == totals.tip:  # some apps take the tip within the payment's amount
        draft.adjust(Kind.TIP, "tip", totals.tip)
    state = OrderState.COMPLETED if sold else OrderState.OPEN
    return _sale(order, location, draft, state, totals)


def _sale(
    order: Order, location: LocationContext, draft: SaleDraft, state: OrderState, totals: SaleTotals
) -> Sale:
    currency = order.currency or location.currency
    if currency is None:
        raise OrderNotUnderstood("the order does not say its currency", "currency")
    return Sale(
        order_id=order.id,
        location_id=location.location_id,
        state=state,
        currency=currency,
        totals=totals,
        lines=tuple(draft.lines),
        adjustments=tuple(draft.adjustments),
    )


def _at(milliseconds: int) -> datetime:
    return from_us(milliseconds * 1000)


def _half_up(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _refuse_cut_lists(order: Order) -> None:
    """Raise where a list that cannot be read further ends at Clover's limit: what is behind it is unknown."""
    for name in ("discounts", "payments", "refunds", "credits"):
        if len(listed(getattr(order, name))) >= NESTED_CAP:
            raise OrderNotUnderstood(f"a list ends at {NESTED_CAP} entries: it may be cut", name)


def _is_sold(order: Order) -> bool:
    """Return whether an order counts: Clover says it is paid, or (older orders) payments cover it."""
    if order.paymentState is not None:
        return order.paymentState in _SOLD
    taken = [payment.amount for payment in listed(order.payments) if payment.result in _TAKEN]
    return bool(taken) and sum(taken) >= (order.total or 0)


# --- lines ------------------------------------------------------------------------------------


def _sums(order: Order) -> list[_Sums]:
    """Return what every line that counts comes to; exchanged ones were replaced by another and do not."""
    lines = [line for line in listed(order.lineItems) if not line.exchanged]
    grosses = [_gross(line) for line in lines]
    own = [_off(gross, listed(line.discounts)) for line, gross in zip(lines, grosses, strict=True)]
    rest = [gross - off for gross, off in zip(grosses, own, strict=True)]
    shared = _off(sum(rest), listed(order.discounts))
    shares = allocate(shared, rest) if shared else [0] * len(rest)
    nets = [net - share for net, share in zip(rest, shares, strict=True)]
    taxes = _taxes(order, lines, nets)
    return [
        _Sums(line, gross, gross - net, tax)
        for line, gross, net, tax in zip(lines, grosses, nets, taxes, strict=True)
    ]


def _gross(line: LineItem) -> int:
    price = line.price
    if _is_measured(line):
        price = _half_up(Decimal(price) * (line.unitQty or 0) / _THOUSAND)
    return price + sum(each.amount for each in listed(line.modifications))


def _is_measured(line: LineItem) -> bool:
    """Return whether the line is part of a unit; apps write a `unitQty` of 1 on lines that are not."""
    return line.unitQty is not None and bool(line.unitName)


def _off(amount: int, discounts: Sequence[Discount]) -> int:
    """Return what discounts take off: percentages first, then sums; never more than there is."""
    left = amount
    for each in discounts:
        if each.amount is None:
            percent = (
                each.percentageDecimal
                if each.percentageDecimal is not None
                else (each.percentage or 0) * 10_000
            )
            left -= _half_up(left * Decimal(percent) / _PERCENT)
    left += sum(each.amount for each in discounts if each.amount is not None)
    return amount - max(left, 0) if amount > 0 else 0


def _taxes(order: Order, lines: Sequence[LineItem], nets: Sequence[int]) -> list[int]:
    """Return each line's tax: what payments say was taxed, shared by what the lines' rates come to."""
    wanted = [
        0 if order.taxRemoved else _tax(line, net, vat=order.isVat)
        for line, net in zip(lines, nets, strict=True)
    ]
    taken = [payment for payment in listed(order.payments) if payment.result in _TAKEN]
    stated = sum(payment.taxAmount for payment in taken)
    if not taken or stated == sum(wanted) or not any(wanted):
        return wanted
    return allocate(stated, wanted)


def _tax(line: LineItem, net: int, *, vat: bool) -> int:
    if not line.isRevenue:
        return 0
    tax = 0
    for each in listed(line.taxRates):
        rate = Decimal(each.rate) / _RATE
        tax += each.taxAmount + (net - _half_up(net / (1 + rate)) if vat else _half_up(net * rate))
    return tax


def _money(order: Order, sums: _Sums) -> LineMoney:
    """Return a line's money without tax; what was inside the price comes out of gross and discount alike."""
    gross, discount = sums.gross, sums.discount
    if order.isVat and sums.tax:
        net = sums.paid - sums.tax
        discount = _half_up(Decimal(discount) * net / sums.paid) if sums.paid else discount
        return LineMoney(sums.gross, net + discount, discount, net, sums.tax, tax_included=True)
    return LineMoney(gross, gross, discount, sums.paid, sums.tax, tax_included=order.isVat)


def _add(
    draft: SaleDraft,
    order: Order,
    sums: _Sums,
    outcome: Disposition | None,
    returned: MoneyBack | None = None,
) -> None:
    """Add a line that was sold, or with `returned` the same line given back."""
    line, money, back = sums.line, _money(order, sums), returned is not None
    when = None if returned is None else _given_at(returned, order)
    if line.isOrderFee or not line.isRevenue:  # fees, gift cards, donations: no merchandise
        kind = Kind.SERVICE_CHARGE if line.isOrderFee else Kind.GIFT_CARD
        name = f"{line.id}:refund" if back else line.id
        draft.adjust(kind, draft.ids.take(name, "line"), -money.net if back else money.net, at=when)
        return
    given_away = money.gross > 0 and money.net == 0 and money.discount > 0
    sold = Disposition.COMPED if given_away else Disposition.SOLD
    draft.add(
        draft.ids.take(f"{line.id}:refund" if back else line.id, "line"),
        outcome or (Disposition.RETURNED if back else sold),
        money,
        f"{Decimal(line.unitQty or 0) / _THOUSAND:f}" if _is_measured(line) else "1",
        path="lineItems",
        back=back,
        returns=ReturnedLine(order_id=order.id, line_id=line.id) if back else None,
        unit=(line.unitName or EACH) if _is_measured(line) else EACH,
        kind=LineKind.ITEM if line.item is not None else LineKind.CUSTOM_AMOUNT,
        variation_id=None if line.item is None else line.item.id,
        name=line.name,
        extras=[
            Extra(each.id, None if each.modifier is None else each.modifier.id, each.name, None, each.amount)
            for each in listed(line.modifications)
        ],
        at=when,
    )


# --- money back -------------------------------------------------------------------------------


def _add_money_back(
    draft: SaleDraft, order: Order, sums: Sequence[_Sums], outcome: Disposition | None
) -> tuple[int, int]:
    """Add what was given back, on its own day; return it with tax, and the tax in it.

    A refund names the lines that came back, or only an amount. A line may be marked as refunded that none
    names: it came back with the last refund.
    """
    given = [each for each in listed(order.refunds) if _was_given(each)]
    named = {ref.id for each in given for ref in listed(each.lineItems)}
    unnamed = [each for each in sums if each.line.refunded and each.line.id not in named]
    money, tax = 0, 0
    for index, refund in enumerate(given):
        ids = {ref.id for ref in listed(refund.lineItems)}
        lines = [each for each in sums if each.line.id in ids]
        if index == len(given) - 1 and not ids:
            lines = unnamed
        worth, taxed = _worth(order, lines)
        for each in lines:
            _add(draft, order, each, outcome, refund)
        rest = (
            (refund.amount - refund.taxAmount) - (worth - taxed)
            if lines
            else refund.amount - refund.taxAmount
        )
        draft.adjust(Kind.REFUND_AMOUNT, f"refund:{refund.id}", -rest, at=_given_at(refund, order))
        money, tax = money + refund.amount, tax + refund.taxAmount
    for credit in listed(order.credits):
        if _was_given(credit):
            amount = credit.amount - credit.taxAmount
            draft.adjust(Kind.REFUND_AMOUNT, f"credit:{credit.id}", -amount, at=_given_at(credit, order))
            money, tax = money + credit.amount, tax + credit.taxAmount
    return money, tax


def _worth(order: Order, lines: Sequence[_Sums]) -> tuple[int, int]:
    tax = sum(each.tax for each in lines)
    return sum(each.paid for each in lines) + (0 if order.isVat else tax), tax


def _was_given(back: MoneyBack) -> bool:
    return not back.voided and back.status not in _NOT_GIVEN and back.result not in _NOT_GIVEN


def _given_at(back: MoneyBack, order: Order) -> datetime:
    return _at(back.clientCreatedTime or back.createdTime or order.modifiedTime)


def _totals(order: Order, sums: Sequence[_Sums], charge: int, back: tuple[int, int]) -> SaleTotals:
    """Return the order's sums, what was given back subtracted: what was paid wins over what it comes to."""
    taken = [payment for payment in listed(order.payments) if payment.result in _TAKEN]
    tax = sum(each.tax for each in sums)
    total = order.total
    if taken:
        total, tax = sum(payment.amount for payment in taken), sum(payment.taxAmount for payment in taken)
    elif total is None or listed(order.credits):
        total = sum(each.paid for each in sums) + charge + (0 if order.isVat else tax)
    return SaleTotals(
        total=total - back[0],
        tax=tax - back[1],
        discount=sum(each.discount for each in sums),
        tip=sum(payment.tipAmount for payment in taken),
        service_charge=charge,
    )
