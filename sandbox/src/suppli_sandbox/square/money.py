"""Money as Square sends it, and rounding."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

Json = dict[str, Any]

_EXPONENTS = {"JPY": 0, "KRW": 0, "CLP": 0, "VND": 0, "ISK": 0, "KWD": 3, "BHD": 3, "JOD": 3, "TND": 3}


def money(amount: int, currency: str) -> Json:
    """Return `{"amount", "currency"}` in minor units."""
    return {"amount": amount, "currency": currency}


def minor_digits(currency: str) -> int:
    """Return how many decimals a currency's minor unit has (ISO 4217)."""
    return _EXPONENTS.get(currency, 2)


def rounded(amount: Decimal) -> int:
    """Round to a whole minor unit, half to even, as is reported of Square's taxes and discounts."""
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Split a total over weights by largest remainder; the parts add up to the total."""
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    remainders = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for index in remainders[: total - sum(parts)]:
        parts[index] += 1
    return parts


def amounts(
    currency: str, *, total: int, tax: int = 0, discount: int = 0, tip: int = 0, service: int = 0
) -> Json:
    """Return an OrderMoneyAmounts roll-up."""
    return {
        "total_money": money(total, currency),
        "tax_money": money(tax, currency),
        "discount_money": money(discount, currency),
        "tip_money": money(tip, currency),
        "service_charge_money": money(service, currency),
    }
