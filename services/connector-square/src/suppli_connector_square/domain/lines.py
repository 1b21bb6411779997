"""One line of an order or of a return: its money without tax, its modifiers, what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from msgspec import Struct
from suppli_connector_kit.domain import quantities
from suppli_connector_kit.domain.allocation import allocate
from suppli_connector_kit.domain.ids import Ids
from suppli_connector_kit.errors import OrderNotUnderstood
from suppli_contracts.events.sales import Disposition, LineKind, Modifier, Restock, ReturnedLine, SaleLine

from suppli_connector_square.domain.models import Line, LineItem, LineModifier, Money, ReturnLineItem, Tax
from suppli_connector_square.domain.units import line_unit

VOIDED = "(Voided)"  # how Square's own exports name a line voided at the till


def amount(money: Money | None) -> int:
    """Return minor units; 0 where nothing is stated."""
    return 0 if money is None else money.amount


class Moment(Struct, frozen=True):
    """When an order counts."""

    at: datetime
    day: date


class Figures(Struct, frozen=True, gc=False):
    """A line's money in minor units, positive, without tax but for `tax`."""

    gross: int
    discount: int
    net: int
    tax: int
    tax_included: bool = False


def inclusive_taxes(taxes: list[Tax] | None) -> Mapping[str, str]:
    """Return the percentages of the taxes that are inside the price, by uid; mostly none."""
    if not taxes:
        return {}
    return {tax.uid: tax.percentage or "0" for tax in taxes if tax.type == "INCLUSIVE" and tax.uid}


def figures(line: LineItem | ReturnLineItem, inclusive: Mapping[str, str], path: str) -> Figures:
    """Return a line's money without tax.

    Square's gross has inclusive tax in it in Europe and Australia and not in the USA, Canada and Japan; the
    line's own sums tell which. What is inside is taken out of gross and discount in proportion.
    """
    discount, tax = amount(line.total_discount_money), amount(line.total_tax_money)
    if line.total_money is not None:
        net = line.total_money.amount - tax - amount(line.total_service_charge_money)
        gross = net + discount if line.gross is None else line.gross.amount
    elif line.gross is not None:
        gross = line.gross.amount
        net = gross - discount
    else:
        raise OrderNotUnderstood("a line states no money", path)
    applied = [each for each in line.applied_taxes or () if each.tax_uid in inclusive] if inclusive else ()
    if not applied:
        return Figures(gross, discount, net, tax)
    inside = gross - discount - net
    if 0 < inside <= tax:
        gross, discount = _without(inside, gross, discount)
    elif inside == 0 and net == 0 and gross > 0:
        # given away: no tax was due, and the percentage alone tells what the price would be without it
        rate = _rate([inclusive[each.tax_uid or ""] for each in applied])
        gross = discount = int((gross / (1 + rate)).to_integral_value()) if rate else gross
    return Figures(gross, discount, net, tax, tax_included=True)


def _without(inside: int, gross: int, discount: int) -> tuple[int, int]:
    """Take the tax inside gross - discount out of both, so that their difference is exact."""
    if not discount:
        return gross - inside, 0
    paid = gross - discount
    net = paid - inside
    # gross : discount : paid keep their proportions; the largest remainder decides where the last unit goes
    whole, rest = divmod(discount * net, paid)
    discount = whole + (1 if 2 * rest >= paid else 0)
    return net + discount, discount


def _rate(percentages: list[str]) -> Decimal:
    try:
        return sum((Decimal(each) for each in percentages), Decimal(0)) / 100
    except InvalidOperation:
        return Decimal(0)


def modifiers(
    chosen: list[LineModifier], quantity: Decimal, shown_gross: int, gross: int, sign: int, path: str
) -> tuple[Modifier, ...]:
    """Return a line's modifiers, quantities in total; their part of the line's gross loses tax with it."""
    prices = [amount(each.total_price_money) for each in chosen]
    if gross != shown_gross and shown_gross > 0:
        rest = shown_gross - sum(prices)
        if rest >= 0 and min(prices) >= 0:
            prices = allocate(gross, [*prices, rest])[:-1]
    ids = Ids()
    found = []
    for index, (each, price) in enumerate(zip(chosen, prices, strict=True)):
        number = quantities.parse(each.quantity or "1", f"{path}.modifiers[{index}].quantity")
        known = each.catalog_object_id
        found.append(
            Modifier(
                modifier_id=ids.take(each.uid, f"modifier-{index}"),
                external_id=known,
                name=each.name if known else None,  # typed at the till: never published
                quantity=quantities.text(number * quantity, sign),
                gross=sign * price,
            )
        )
    return tuple(found)


def disposition(line: Line, money: Figures) -> Disposition:
    """Return what became of a line of a sold order: sold, given away, or voided as exports show it."""
    if money.gross == 0:
        if line.name and line.name.rstrip().endswith(VOIDED):
            return Disposition.VOID_UNKNOWN
        return Disposition.COMPED if amount(line.base_price_money) > 0 else Disposition.SOLD
    return Disposition.COMPED if money.net == 0 and money.discount > 0 else Disposition.SOLD


def sale_line(
    line: LineItem | ReturnLineItem,
    money: Figures,
    quantity: Decimal,
    *,
    line_id: str,
    moment: Moment,
    outcome: Disposition,
    path: str,
    returns: ReturnedLine | None = None,
) -> SaleLine:
    """Return the line as sales say it; signed by whether it is a return's."""
    returned = isinstance(line, ReturnLineItem)
    sign = -1 if returned else 1
    chosen: tuple[Modifier, ...] = ()
    if line.modifiers:
        chosen = modifiers(line.modifiers, quantity, _shown(line, money), money.gross, sign, path)
    return SaleLine(
        line_id=line_id,
        occurred_at=moment.at,
        business_date=moment.day,
        disposition=outcome,
        quantity=quantities.text(quantity, sign),
        gross=sign * money.gross,
        discount=sign * money.discount,
        net=sign * money.net,
        tax=sign * money.tax,
        unit=line_unit(line.quantity_unit),
        kind=LineKind.CUSTOM_AMOUNT if line.item_type == "CUSTOM_AMOUNT" else LineKind.ITEM,
        variation_id=line.catalog_object_id,
        name=line.name,
        variation_name=line.variation_name,
        tax_included=money.tax_included,
        modifiers=chosen,
        restock=Restock.UNKNOWN if returned else None,
        returns=returns,
    )


def _shown(line: LineItem | ReturnLineItem, money: Figures) -> int:
    return money.gross if line.gross is None else line.gross.amount
