"""A line's money: what is without tax and what is not, and taking a tax out that is inside the price."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from msgspec import Struct

from suppli_connector_kit.domain.allocation import allocate


class LineMoney(Struct, frozen=True, gc=False):
    """A line's money in minor units, positive also for a return.

    Attributes:
        shown: the gross as the till showed it; more than `gross` where it had tax in it.
        gross: without tax, before discount.
        net: what the provider says was earned without tax; mostly gross - discount.
    """

    shown: int
    gross: int
    discount: int
    net: int
    tax: int
    tax_included: bool = False

    @property
    def is_nothing(self) -> bool:
        """Whether no money is in it at all."""
        return not (self.gross or self.net or self.tax)

    def parts(self, prices: Sequence[int]) -> Sequence[int]:
        """Return what `prices` (modifiers, as the till showed them) are of the gross without tax."""
        rest = self.shown - sum(prices)
        if self.gross == self.shown or self.shown <= 0 or rest < 0 or min(prices) < 0:
            return prices
        return allocate(self.gross, [*prices, rest])[:-1]


def as_shown(gross: int | None, discount: int, net: int | None, tax: int) -> LineMoney | None:
    """Return a line's money from what a provider states of it; None where that is no money at all.

    A net that is stated wins, also where it is not gross - discount: it is what was paid.
    """
    if net is None:
        if gross is None:
            return None
        net = gross - discount
    if gross is None:
        gross = net + discount
    return LineMoney(gross, gross, discount, net, tax)


def without_inclusive_tax(money: LineMoney, percentages: Sequence[str]) -> LineMoney:
    """Return the money of a line whose taxes of these percentages (mostly none) may be inside its gross.

    Whether they are, the line's own sums tell: in some countries a provider's gross has inclusive tax in it,
    in others it has not. What is inside is taken out of gross and discount in proportion.
    """
    if not percentages:
        return money
    gross, discount = money.gross, money.discount
    inside = gross - discount - money.net
    if 0 < inside <= money.tax:
        # gross : discount : paid keep their proportions; the net is exact
        whole, rest = divmod(discount * money.net, gross - discount)
        discount = whole + (1 if 2 * rest >= gross - discount else 0)
        gross = money.net + discount
    elif inside == 0 and money.net == 0 and gross > 0:
        # given away: no tax was due, and the percentages alone tell what the price would be without it
        gross = discount = int((gross / (1 + _rate(percentages))).to_integral_value())
    return LineMoney(money.shown, gross, discount, money.net, money.tax, tax_included=True)


def _rate(percentages: Sequence[str]) -> Decimal:
    try:
        return sum((Decimal(each) for each in percentages), Decimal(0)) / 100
    except InvalidOperation:
        return Decimal(0)
