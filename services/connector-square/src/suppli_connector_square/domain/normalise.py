"""An order of Square's as a sale: what was sold, given away, taken back, and the money beside it.

Which states count follows Square's own reports: COMPLETED, or OPEN and fully paid, is sold.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from suppli_connector_kit.domain import quantities
from suppli_connector_kit.domain.business_day import business_date
from suppli_connector_kit.domain.ids import Ids
from suppli_connector_kit.errors import OrderNotUnderstood
from suppli_connector_kit.protocol import LocationContext, Sale
from suppli_contracts.events.sales import (
    Adjustment,
    AdjustmentKind,
    Disposition,
    OrderState,
    SaleLine,
    SaleTotals,
)

from suppli_connector_square.domain.lines import (
    Moment,
    amount,
    disposition,
    figures,
    inclusive_taxes,
    sale_line,
)
from suppli_connector_square.domain.models import Money, MoneyAmounts, Order
from suppli_connector_square.domain.reading import instant
from suppli_connector_square.domain.returns import Piece, amount_only, charge_amount, returned, tips

REVISION = 1
"""Grows with every change of meaning: what was set aside is then read again."""

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


def normalise(order: Order, location: LocationContext) -> Sale:
    """Understand an order.

    Raises:
        OrderNotUnderstood: with reason and field path.
    """
    state = _STATES.get(order.state or "", OrderState.UNKNOWN)
    sold = state is OrderState.COMPLETED or (state is OrderState.OPEN and is_paid(order))
    outcome = None if sold else _UNSOLD.get(state, Disposition.UNKNOWN)
    at = happened_at(order, state)
    moment = Moment(at, business_date(at, location.zones))
    ids = Ids()
    lines, pieces = _sold(order, moment, ids, outcome)
    _taken_back(order, moment, ids, outcome, lines, pieces)
    pieces += _beside(order, ids)
    totals = _totals(order, lines, pieces)
    pieces += _tips(order, totals, lines, pieces)
    return Sale(
        order_id=order.id,
        location_id=order.location_id,
        state=state,
        currency=_currency(order, location),
        totals=totals,
        lines=tuple(lines),
        adjustments=tuple(_adjustment(piece, moment) for piece in pieces if piece[2]),
        channel=(order.source.name or None) if order.source is not None else None,
    )


def is_paid(order: Order) -> bool:
    """Return whether an open order is fully paid: payments cover its total and nothing is due."""
    if not order.tenders or (
        order.net_amount_due_money is not None and order.net_amount_due_money.amount > 0
    ):
        return False
    return sum(amount(tender.amount_money) for tender in order.tenders) >= _net(
        order.net_amounts, order.total_money, order.return_amounts, _total_of
    )


def happened_at(order: Order, state: OrderState) -> datetime:
    """Return the instant that an order counts on: its closing, else its last payment, else its creation."""
    text, path = order.closed_at, "closed_at"
    if not text and state is not OrderState.CANCELLED:
        paid = [tender.created_at for tender in order.tenders or () if tender.created_at]
        text, path = max(paid, default=None), "tenders"
    if not text:
        text, path = (
            (order.created_at, "created_at") if order.created_at else (order.updated_at, "updated_at")
        )
    try:
        at = instant(text)
    except ValueError:
        raise OrderNotUnderstood("not an instant", path) from None
    return at if at.tzinfo is UTC else at.astimezone(UTC)


def _sold(
    order: Order, moment: Moment, ids: Ids, outcome: Disposition | None
) -> tuple[list[SaleLine], list[Piece]]:
    lines: list[SaleLine] = []
    pieces: list[Piece] = []
    inclusive = inclusive_taxes(order.taxes)
    for index, line in enumerate(order.line_items or ()):
        path = f"line_items[{index}]"
        money = figures(line, inclusive, path)
        uid = ids.take(line.uid, path)
        if line.item_type == "GIFT_CARD":  # a liability, not a sale
            pieces.append((AdjustmentKind.GIFT_CARD, uid, money.net))
            continue
        quantity = quantities.parse(line.quantity, f"{path}.quantity")
        if not quantity and not (money.gross or money.net or money.tax):
            continue  # taken off the order: Square drops these when the order completes
        lines.append(
            sale_line(
                line,
                money,
                quantity,
                line_id=uid,
                moment=moment,
                outcome=outcome or disposition(line, money),
                path=path,
            )
        )
    return lines, pieces


def _taken_back(
    order: Order,
    moment: Moment,
    ids: Ids,
    outcome: Disposition | None,
    lines: list[SaleLine],
    pieces: list[Piece],
) -> None:
    became = outcome or Disposition.RETURNED
    for number, part in enumerate(order.returns or ()):
        for each in returned(part, number, moment=moment, ids=ids, outcome=became):
            if isinstance(each, SaleLine):
                lines.append(each)
            else:
                pieces.append(each)
    bare = all(not part.return_line_items and part.return_amounts is None for part in order.returns or ())
    if bare and order.return_amounts is not None:
        pieces += amount_only(order.return_amounts, "return")


def _beside(order: Order, ids: Ids) -> list[Piece]:
    """Return service charges and rounding."""
    pieces: list[Piece] = [
        (
            AdjustmentKind.SERVICE_CHARGE,
            ids.take(charge.uid, f"service-charge-{index}"),
            charge_amount(charge),
        )
        for index, charge in enumerate(order.service_charges or ())
    ]
    if order.rounding_adjustment is not None:
        rounding = amount(order.rounding_adjustment.amount_money)
        pieces.append((AdjustmentKind.ROUNDING, "rounding", rounding))
    return pieces


def _tips(order: Order, totals: SaleTotals, lines: list[SaleLine], pieces: list[Piece]) -> list[Piece]:
    """Return the tips where the order's total has them in it; one that leaves them out adds up without."""
    if order.total_tip_money is not None:
        given = order.total_tip_money.amount
    else:
        given = sum(amount(tender.tip_money) for tender in order.tenders or ())
    back = tips(order.returns, order.return_amounts)
    if not (given or back) or totals.total - totals.tax == _explained(lines, pieces):
        return []
    return [(AdjustmentKind.TIP, "tip", given), (AdjustmentKind.TIP, "return:tip", -back)]


def _explained(lines: list[SaleLine], pieces: list[Piece]) -> int:
    explained = 0
    for line in lines:
        explained += line.net
    for piece in pieces:
        explained += piece[2]
    return explained


def _totals(order: Order, lines: list[SaleLine], pieces: list[Piece]) -> SaleTotals:
    """Return the order's sums, returns subtracted: Square's net amounts, each where it is stated."""
    net, back = order.net_amounts, order.return_amounts
    tax = _net(net, order.total_tax_money, back, lambda amounts: amounts.tax_money)
    if order.total_money is None and (net is None or net.total_money is None):
        total = _explained(lines, pieces) + tax
    else:
        total = _net(net, order.total_money, back, _total_of)
    return SaleTotals(
        total=total,
        tax=tax,
        discount=_net(net, order.total_discount_money, back, lambda amounts: amounts.discount_money),
        tip=_net(net, order.total_tip_money, back, lambda amounts: amounts.tip_money),
        service_charge=_net(
            net, order.total_service_charge_money, back, lambda amounts: amounts.service_charge_money
        ),
    )


def _total_of(amounts: MoneyAmounts) -> Money | None:
    return amounts.total_money


def _net(
    net: MoneyAmounts | None,
    own: Money | None,
    back: MoneyAmounts | None,
    entry: Callable[[MoneyAmounts], Money | None],
) -> int:
    stated = entry(net) if net is not None else None
    if stated is not None:
        return stated.amount
    return amount(own) - (amount(entry(back)) if back is not None else 0)


def _currency(order: Order, location: LocationContext) -> str:
    net = order.net_amounts.total_money if order.net_amounts is not None else None
    for money in (order.total_money, net):
        if money is not None and money.currency:
            return money.currency
    if location.currency is None:
        raise OrderNotUnderstood("the order does not say its currency", "total_money.currency")
    return location.currency


def _adjustment(piece: Piece, moment: Moment) -> Adjustment:
    kind, name, money = piece
    return Adjustment(
        adjustment_id=name, kind=kind, amount=money, business_date=moment.day, occurred_at=moment.at
    )
