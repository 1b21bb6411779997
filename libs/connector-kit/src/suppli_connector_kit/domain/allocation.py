"""Sharing an amount of money so that the shares add up to it (largest remainder)."""

from __future__ import annotations

from collections.abc import Sequence


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Share `total` in proportion to the sizes of `weights`.

    Every share is the exact one rounded up or down, and they add up to `total`. The units that rounding
    leaves go to the largest remainders, at a tie to the earlier. Where all weights are 0 the shares are
    equal.

    Args:
        total: minor units of a currency, of either sign.
        weights: e.g. the gross of each line; their signs do not matter.

    Raises:
        ValueError: there is something to share and nobody to share it with.
    """
    if not weights:
        if total:
            raise ValueError("nothing to share an amount among")
        return []
    sizes = [abs(weight) for weight in weights]
    whole = sum(sizes)
    if whole == 0:
        sizes, whole = [1] * len(sizes), len(sizes)
    amount, sign = abs(total), -1 if total < 0 else 1
    shares = [amount * size // whole for size in sizes]
    remainders = [amount * size % whole for size in sizes]
    left = amount - sum(shares)
    for index in sorted(range(len(sizes)), key=lambda i: (-remainders[i], i))[:left]:
        shares[index] += 1
    return [sign * share for share in shares]
