"""What an order comes to, by Clover's published rules: half a cent is rounded up."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Json = dict[str, Any]

_RATE = Decimal(10_000_000)  # a tax rate is percent x 100,000
_PERCENT = Decimal(1_000_000)  # a percentageDecimal is percent x 10,000
_THOUSAND = Decimal(1000)


def half_up(amount: Decimal) -> int:
    """Round to a whole minor unit, half away from zero."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def line_gross(line: Json) -> int:
    """Return a line's price for what was sold of it, with modifiers, before discounts."""
    price: int = line.get("price", 0)
    quantity = line.get("unitQty")
    if quantity is not None and line.get("unitName"):
        price = half_up(Decimal(price) * quantity / _THOUSAND)
    modifiers: int = sum(each.get("amount", 0) for each in line.get("modifications", ()))
    return price + modifiers


def less(amount: int, discounts: Sequence[Json]) -> int:
    """Return what discounts take off an amount, as a positive number: percentages first, then sums."""
    left = amount
    for each in sorted(discounts, key=lambda discount: "amount" in discount):
        if "amount" in each:
            left += each["amount"]
        else:
            share = Decimal(each.get("percentageDecimal", each.get("percentage", 0) * 10_000)) / _PERCENT
            left -= half_up(left * share)
    return amount - max(left, 0) if amount >= 0 else 0


def apportioned(total: int, weights: Sequence[int]) -> list[int]:
    """Split a total over weights by largest remainder; the parts add up to the total."""
    whole = sum(weights)
    if whole <= 0:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for index in order[: total - sum(parts)]:
        parts[index] += 1
    return parts


@dataclass(frozen=True, slots=True)
class Totals:
    """An order's sums in minor units; `lines` are the lines' sums after all discounts, without added tax."""

    lines: tuple[int, ...]
    taxes: tuple[int, ...]
    service: int
    vat: bool

    @property
    def tax(self) -> int:
        """All tax, added or inside."""
        return sum(self.taxes)

    @property
    def total(self) -> int:
        """What is to be paid, without tip."""
        return sum(self.lines) + self.service + (0 if self.vat else self.tax)


def totals(order: Json) -> Totals:
    """Return what an order's lines, discounts and service charge come to; exchanged lines count nothing."""
    lines = order.get("lineItems", [])
    nets = [0 if line.get("exchanged") else _net(line) for line in lines]
    off = less(sum(nets), order.get("discounts", ()))
    shares = apportioned(off, [max(net, 0) for net in nets])
    nets = [net - share for net, share in zip(nets, shares, strict=True)]
    charge = order.get("serviceCharge")
    service = half_up(sum(nets) * Decimal(charge["percentageDecimal"]) / _PERCENT) if charge else 0
    vat = bool(order.get("isVat"))
    taxes = [
        0 if order.get("taxRemoved") else _tax(line, net, vat=vat)
        for line, net in zip(lines, nets, strict=True)
    ]
    return Totals(tuple(nets), tuple(taxes), service, vat)


def _net(line: Json) -> int:
    gross = line_gross(line)
    return gross - less(gross, line.get("discounts", ()))


def _tax(line: Json, net: int, *, vat: bool) -> int:
    if line.get("exchanged") or line.get("isRevenue") is False:
        return 0
    tax = 0
    for each in line.get("taxRates", ()):
        rate = Decimal(each.get("rate", 0)) / _RATE
        tax += net - half_up(net / (1 + rate)) if vat else half_up(net * rate)
        tax += each.get("taxAmount", 0)
    return tax
