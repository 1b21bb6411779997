"""Works out an order's money the way Square states it, from what was rung up. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from suppli_sandbox.square.money import amounts, apportion, money, rounded

Json = dict[str, Any]

# Where a line's gross excludes the tax inside its price; elsewhere it includes it.
_GROSS_WITHOUT_INCLUSIVE_TAX = frozenset({"US", "CA", "JP"})


@dataclass(frozen=True, slots=True)
class Extra:
    """A modifier on a line; `price` for one, per unit of the line."""

    id: str | None
    name: str
    price: int
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class Rung:
    """A line as it was rung up. `discount_percent` is the line's own; 100 is a comp."""

    name: str | None
    base: int
    quantity: str = "1"
    variation: str | None = None
    variation_id: str | None = None
    item_type: str = "ITEM"
    extras: tuple[Extra, ...] = ()
    unit: Json | None = None
    discount_percent: str | None = None
    taxed: bool = True
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A whole order as it was rung up; the order's discount is a percentage or an amount."""

    lines: tuple[Rung, ...]
    currency: str
    country: str
    tax_percent: str = "8.25"
    tax_inclusive: bool = False
    discount_percent: str | None = None
    discount_amount: int = 0
    service_percent: str | None = None
    tip: int = 0
    round_to: int = 1
    catalog_version: int = 1


@dataclass(slots=True)
class _Line:
    rung: Rung
    base_total: int
    gross: int
    own_discount: int
    order_discount: int = 0
    tax: int = 0

    @property
    def discount(self) -> int:
        return self.own_discount + self.order_discount


def price(ticket: Ticket) -> Json:
    """Return lines, taxes, discounts, service charges and totals of an order, without ids and times."""
    currency = ticket.currency
    lines = [_rung_up(rung) for rung in ticket.lines]
    _spread_order_discount(ticket, lines)
    shown_gross, added_tax = _add_tax(ticket, lines)
    items = [_line_json(ticket, index, line, shown_gross[index]) for index, line in enumerate(lines)]
    net = sum(line.gross - line.discount for line in lines)
    service = rounded(Decimal(net) * Decimal(ticket.service_percent) / 100) if ticket.service_percent else 0
    total = sum(item["total_money"]["amount"] for item in items) + service + ticket.tip
    adjustment = -(total % ticket.round_to) if total % ticket.round_to <= ticket.round_to // 2 else 0
    tax, discount = sum(line.tax for line in lines), sum(line.discount for line in lines)
    order: Json = {"line_items": items}
    if tax or added_tax:
        order["taxes"] = [_tax_json(ticket, tax)]
    discounts = _discounts_json(ticket, lines)
    if discounts:
        order["discounts"] = discounts
    if service:
        order["service_charges"] = [_service_json(ticket, service)]
    if adjustment:
        rounding = {"uid": "rounding", "name": "Cash rounding"}
        order["rounding_adjustment"] = {**rounding, "amount_money": money(adjustment, currency)}
    total += adjustment
    rollup = amounts(currency, total=total, tax=tax, discount=discount, tip=ticket.tip, service=service)
    return {**order, **totals(rollup), "net_amounts": rollup}


def totals(rollup: Json) -> Json:
    """Return an order's own total fields of a roll-up."""
    return {
        "total_money": rollup["total_money"],
        "total_tax_money": rollup["tax_money"],
        "total_discount_money": rollup["discount_money"],
        "total_tip_money": rollup["tip_money"],
        "total_service_charge_money": rollup["service_charge_money"],
    }


def _rung_up(rung: Rung) -> _Line:
    quantity = Decimal(rung.quantity)
    base_total = rounded(rung.base * quantity)
    gross = base_total + sum(rounded(e.price * e.quantity * quantity) for e in rung.extras)
    own = rounded(gross * Decimal(rung.discount_percent) / 100) if rung.discount_percent else 0
    return _Line(rung, base_total, gross, own)


def _spread_order_discount(ticket: Ticket, lines: Sequence[_Line]) -> None:
    weights = [0 if line.rung.item_type == "GIFT_CARD" else line.gross - line.own_discount for line in lines]
    whole = sum(weights)
    wanted = min(ticket.discount_amount, whole)
    if ticket.discount_percent:
        wanted = rounded(whole * Decimal(ticket.discount_percent) / 100)
    for line, share in zip(lines, apportion(wanted, weights), strict=True):
        line.order_discount = share


def _add_tax(ticket: Ticket, lines: Sequence[_Line]) -> tuple[list[int], int]:
    rate = Decimal(ticket.tax_percent) / 100
    shown, added = [line.gross for line in lines], 0
    for index, line in enumerate(lines):
        if not line.rung.taxed or line.rung.item_type != "ITEM":
            continue
        taxable = line.gross - line.discount
        if not ticket.tax_inclusive:
            line.tax = rounded(taxable * rate)
            added += line.tax
            continue
        line.tax = taxable - rounded(taxable / (1 + rate))
        if ticket.country in _GROSS_WITHOUT_INCLUSIVE_TAX:
            shown[index] -= line.tax
    return shown, added


def _line_json(ticket: Ticket, index: int, line: _Line, shown_gross: int) -> Json:
    rung, currency = line.rung, ticket.currency
    within = ticket.tax_inclusive
    item: Json = {"uid": f"L{index + 1}", "quantity": rung.quantity, "item_type": rung.item_type}
    optional = {
        "name": rung.name,
        "variation_name": rung.variation,
        "catalog_object_id": rung.variation_id,
        "catalog_version": ticket.catalog_version if rung.variation_id else None,
        "quantity_unit": rung.unit,
        "note": rung.note,
    }
    item |= {name: value for name, value in optional.items() if value is not None}
    if rung.extras:
        item["modifiers"] = [_extra_json(ticket, n, e, rung) for n, e in enumerate(rung.extras, 1)]
    if line.tax:
        item["applied_taxes"] = [
            {"uid": f"AT{index + 1}", "tax_uid": "T1", "applied_money": money(line.tax, currency)}
        ]
    applied = [
        {"uid": f"AD{index + 1}{scope}", "discount_uid": uid, "applied_money": money(share, currency)}
        for scope, uid, share in (
            ("L", f"DL{rung.discount_percent}", line.own_discount),
            ("O", "DO", line.order_discount),
        )
        if share
    ]
    if applied:
        item["applied_discounts"] = applied
    return {
        **item,
        "base_price_money": money(rung.base, currency),
        "variation_total_price_money": money(line.base_total, currency),
        "gross_sales_money": money(shown_gross, currency),
        "total_discount_money": money(line.discount, currency),
        "total_tax_money": money(line.tax, currency),
        "total_service_charge_money": money(0, currency),
        "total_money": money(line.gross - line.discount + (0 if within else line.tax), currency),
    }


def _extra_json(ticket: Ticket, number: int, extra: Extra, rung: Rung) -> Json:
    total = rounded(extra.price * extra.quantity * Decimal(rung.quantity))
    modifier: Json = {
        "uid": f"M{number}",
        "name": extra.name,
        "quantity": str(extra.quantity),
        "base_price_money": money(extra.price, ticket.currency),
        "total_price_money": money(total, ticket.currency),
    }
    if extra.id is not None:
        modifier |= {"catalog_object_id": extra.id, "catalog_version": ticket.catalog_version}
    return modifier


def _tax_json(ticket: Ticket, tax: int) -> Json:
    return {
        "uid": "T1",
        "name": "VAT" if ticket.tax_inclusive else "Sales tax",
        "type": "INCLUSIVE" if ticket.tax_inclusive else "ADDITIVE",
        "percentage": ticket.tax_percent,
        "scope": "LINE_ITEM",
        "applied_money": money(tax, ticket.currency),
    }


def _discounts_json(ticket: Ticket, lines: Sequence[_Line]) -> list[Json]:
    own: dict[str, int] = {}
    for line in lines:
        if line.rung.discount_percent and line.own_discount:
            percent = line.rung.discount_percent
            own[percent] = own.get(percent, 0) + line.own_discount
    found = [
        {
            "uid": f"DL{percent}",
            "name": "Comp" if Decimal(percent) == 100 else f"{percent}% off",
            "type": "FIXED_PERCENTAGE",
            "percentage": percent,
            "scope": "LINE_ITEM",
            "applied_money": money(amount, ticket.currency),
        }
        for percent, amount in own.items()
    ]
    spread = sum(line.order_discount for line in lines)
    if spread:
        of: Json = {"type": "FIXED_AMOUNT", "amount_money": money(ticket.discount_amount, ticket.currency)}
        if ticket.discount_percent:
            of = {"type": "FIXED_PERCENTAGE", "percentage": ticket.discount_percent}
        entry = {"uid": "DO", "name": "Order discount", "scope": "ORDER", **of}
        found.append({**entry, "applied_money": money(spread, ticket.currency)})
    return found


def _service_json(ticket: Ticket, service: int) -> Json:
    return {
        "uid": "SC1",
        "name": "Auto gratuity",
        "type": "AUTO_GRATUITY",
        "percentage": ticket.service_percent,
        "calculation_phase": "TOTAL_PHASE",
        "taxable": False,
        "amount_money": money(service, ticket.currency),
        "applied_money": money(service, ticket.currency),
        "total_money": money(service, ticket.currency),
        "total_tax_money": money(0, ticket.currency),
    }
