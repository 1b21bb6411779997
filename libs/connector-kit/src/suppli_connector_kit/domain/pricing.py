"""What a till worked out and does not say: discounts line by line, taxes line by line.

Percentages come as fractions: a quarter is `Decimal("0.25")`. Amounts are minor units.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from suppli_connector_kit.domain.allocation import allocate
from suppli_connector_kit.domain.money import LineMoney


class Off(NamedTuple):
    """A discount: a part of what is left, or an amount."""

    part: Decimal | None = None
    amount: int = 0


class Rate(NamedTuple):
    """A tax: a part of the net, and an amount."""

    part: Decimal
    amount: int = 0


class Priced(NamedTuple):
    """A line worked out: with tax where the prices have it inside."""

    gross: int
    discount: int
    tax: int

    @property
    def paid(self) -> int:
        """What the line brought, before tax is added or after it was inside."""
        return self.gross - self.discount

    def money(self, *, tax_inside: bool) -> LineMoney:
        """Return the line's money without tax; what is inside comes out of gross and discount alike."""
        if not tax_inside or not self.tax:
            return LineMoney(
                self.gross, self.gross, self.discount, self.paid, self.tax, tax_included=tax_inside
            )
        net = self.paid - self.tax
        discount = half_up(Decimal(self.discount) * net / self.paid) if self.paid else self.discount
        return LineMoney(self.gross, net + discount, discount, net, self.tax, tax_included=True)


def half_up(amount: Decimal) -> int:
    """Return an amount in whole minor units, halves away from zero."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def taken_off(amount: int, discounts: Iterable[Off]) -> int:
    """Return what discounts take off an amount: parts first, then amounts; never more than there is."""
    left, offs = amount, list(discounts)
    for off in offs:
        if off.part is not None:
            left -= half_up(left * off.part)
    left -= sum(off.amount for off in offs)
    return amount - max(left, 0) if amount > 0 else 0


def discounts_of(grosses: Sequence[int], own: Sequence[Iterable[Off]], shared: Iterable[Off]) -> list[int]:
    """Return each line's discount: its own, and its share of the order's (largest remainder)."""
    offs = [taken_off(gross, each) for gross, each in zip(grosses, own, strict=True)]
    rest = [gross - off for gross, off in zip(grosses, offs, strict=True)]
    common = taken_off(sum(rest), shared)
    shares = allocate(common, rest) if common else [0] * len(rest)
    return [off + share for off, share in zip(offs, shares, strict=True)]


def tax_on(net: int, rates: Iterable[Rate], *, inside: bool) -> int:
    """Return the taxes on what a line brought; `inside`: they are in it already."""
    tax = 0
    for rate in rates:
        part = net - half_up(net / (1 + rate.part)) if inside else half_up(net * rate.part)
        tax += rate.amount + part
    return tax


def taxes_of(wanted: list[int], stated: int | None) -> list[int]:
    """Return each line's tax: the stated sum, shared as the lines' rates want it; else what they want."""
    if stated is None or stated == sum(wanted) or not any(wanted):
        return wanted
    return allocate(stated, wanted)
