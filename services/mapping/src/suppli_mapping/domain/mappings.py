"""What an item stands for, and from which day on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction

import msgspec
from suppli_contracts.events.mapping import MappingState, MappingTarget

from suppli_mapping.domain.units import BadQuantity, exact, unit_name


class Product(msgspec.Struct, frozen=True):
    """A Suppli product as far as mapping needs it. `unit` is its stock unit."""

    product_id: str
    unit: str = "each"
    name: str = ""
    sku: str | None = None
    barcode: str | None = None
    replaced_by: str | None = None
    deleted: bool = False


class Rule(msgspec.Struct, frozen=True):
    """One decision about an item.

    Attributes:
        revision: the mapping's counter; of the rules that hold on a day the highest decides.
        from_date: the first business date it holds for; None = since ever.
        unit: the external unit that its factors speak of.
    """

    revision: int
    state: MappingState
    targets: tuple[MappingTarget, ...] = ()
    from_date: date | None = None
    unit: str = "each"


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with a request to map, and where (`$.targets[0].factor`)."""

    field: str
    message: str


def rule_on(rules: Sequence[Rule], day: date) -> Rule | None:
    """Return the rule that holds on a business date: the latest decision from that day or before."""
    held = [rule for rule in rules if rule.from_date is None or rule.from_date <= day]
    return max(held, key=lambda rule: rule.revision, default=None)


def current_product(product_id: str, products: Mapping[str, Product]) -> Product | None:
    """Return a product, or the one that it was merged into; None where it is unknown or deleted."""
    seen: set[str] = set()
    product = products.get(product_id)
    while product is not None and product.replaced_by is not None:
        if product.product_id in seen:  # merged in a circle: nobody's product
            return None
        seen.add(product.product_id)
        product = products.get(product.replaced_by)
    return None if product is None or product.deleted else product


def equal_or_given(shares: Sequence[str | None]) -> list[Fraction]:
    """Return the shares of a split; none given means equal ones."""
    if all(share is None for share in shares):
        return [Fraction(1, len(shares))] * len(shares)
    return [exact(share) if share is not None else Fraction(0) for share in shares]


def faults(
    state: MappingState,
    targets: Sequence[MappingTarget],
    *,
    is_modifier: bool,
    products: Mapping[str, Product],
) -> list[Problem]:
    """Return everything that is wrong with a decision, empty when nothing is."""
    if state is MappingState.UNKNOWN:
        return [Problem("$.state", "must be mapped, ignored or unmapped")]
    if state is not MappingState.MAPPED:
        return [Problem("$.targets", f"must be empty when the state is {state.value}")] if targets else []
    if not targets:
        return [Problem("$.targets", "name at least one product")]
    found = [
        problem
        for index, target in enumerate(targets)
        for problem in _target_faults(f"$.targets[{index}]", target, is_modifier, products)
    ]
    return found + _share_faults(targets)


def _target_faults(
    path: str, target: MappingTarget, is_modifier: bool, products: Mapping[str, Product]
) -> list[Problem]:
    found = []
    product = products.get(target.product_id)
    if product is None:
        found.append(Problem(f"{path}.product_id", f"there is no product {target.product_id!r}"))
    elif current_product(target.product_id, products) is None:
        found.append(Problem(f"{path}.product_id", f"product {target.product_id!r} is deleted"))
    try:
        factor = exact(target.factor)
    except BadQuantity:
        found.append(Problem(f"{path}.factor", "must be a decimal (0.5) or a fraction (1/3)"))
    else:
        if factor == 0:
            found.append(Problem(f"{path}.factor", "must not be 0"))
        elif factor < 0 and not is_modifier:
            found.append(Problem(f"{path}.factor", "may be negative for a modifier only"))
        elif abs(factor) > _MAX_FACTOR:
            found.append(Problem(f"{path}.factor", f"must not be beyond {_MAX_FACTOR}"))
    return found


_MAX_FACTOR = 1_000_000


def _share_faults(targets: Sequence[MappingTarget]) -> list[Problem]:
    given = [target.share for target in targets if target.share is not None]
    if not given:
        return []
    if len(given) < len(targets):
        return [Problem("$.targets", "give every target a share, or none")]
    found = []
    total = Fraction(0)
    for index, share in enumerate(given):
        try:
            value = exact(share)
        except BadQuantity:
            found.append(Problem(f"$.targets[{index}].share", "must be a decimal (0.5) or a fraction (1/3)"))
            continue
        if not 0 <= value <= 1:
            found.append(Problem(f"$.targets[{index}].share", "must be between 0 and 1"))
        total += value
    if not found and total != 1:
        found.append(Problem("$.targets", f"the shares must add up to 1, they add up to {total}"))
    return found


def external_unit(unit: str | None) -> str:
    """Return the unit that a new mapping of an item speaks of."""
    return unit_name(unit)
