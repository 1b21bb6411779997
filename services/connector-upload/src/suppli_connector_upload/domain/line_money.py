"""The money of one row without tax: gross, net and tax in minor units, from whatever of it the row states."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from suppli_connector_kit.domain.money import as_shown, without_inclusive_tax

from suppli_connector_upload.domain.amounts import CellProblem


def line_money(gross: int | None, discount: int, net: int | None) -> tuple[int, int]:
    """Return gross and net of a row that states one of them or both; what it says of discounts fills the gap.

    Where both are stated, they win over the discount: a discount of the whole order is in them alone.

    Args:
        discount: of either sign: exports differ.

    Raises:
        CellProblem: neither is stated.
    """
    discount = abs(discount)
    if gross is None:
        if net is None:
            raise CellProblem("the amount is missing")
        return (net + discount if net >= 0 else net - discount), net
    if net is None:
        return gross, (gross - discount if gross >= 0 else gross + discount)
    return gross, net


def inside_gross(gross: int, net: int, tax: int) -> bool:
    """Return whether gross has the tax in it and net has not: then what lies between is no discount."""
    return tax != 0 and gross - net == tax


def without_tax(gross: int, net: int, tax: int | None, percent: Decimal | None) -> tuple[int, int, int]:
    """Return gross, net and tax of a row whose prices have the tax in them.

    Args:
        tax: None where no column states it; then `percent` tells, and without it nothing is taken out.
    """
    sign = -1 if net < 0 or gross < 0 else 1
    gross, net = sign * gross, sign * net
    if tax is None:
        shared = Decimal(0) if percent is None else net * percent / (100 + percent)
        tax = int(shared.to_integral_value(ROUND_HALF_UP))
    tax = abs(tax)
    is_net = inside_gross(gross, net, tax)
    discount = 0 if is_net else gross - net
    shown = as_shown(gross, discount, net if is_net else net - tax, tax)
    if shown is None:
        raise CellProblem("the amount is missing")
    money = without_inclusive_tax(shown, [str(percent or 0)])
    return sign * money.gross, sign * money.net, sign * money.tax
