"""From a line, its mapping and its location to the entries that stand for it.

A *part* is what has an item of its own: the line itself (part `""`) or one of its modifiers (part =
modifier id).
An *entry* is one (line, component, product, location, business date, unit, currency).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from uuid import UUID

import msgspec
from suppli_contracts.events.mapping import MappingState
from suppli_contracts.events.sales import Disposition, Restock

from suppli_mapping.domain.ids import stable_text
from suppli_mapping.domain.mappings import Product, Rule, current_product, equal_or_given, rule_on
from suppli_mapping.domain.units import MAX_QUANTITY, MILLION, BadQuantity, conversion, exact, millionths
from suppli_mapping.domain.ways import DayRule

LINE = ""
# Members of an enumeration hash in Python: the one that nearly all lines have is asked for by identity.
_SOLD = Disposition.SOLD
SALES = frozenset({_SOLD, Disposition.COMPED, Disposition.RETURNED})
CONSUMED_ONLY = frozenset({Disposition.VOID_MADE, Disposition.WASTE})
VOIDS = frozenset({Disposition.VOID_MADE, Disposition.VOID_NOT_MADE, Disposition.VOID_UNKNOWN})
_MOST_MILLIONTHS = MAX_QUANTITY * MILLION // 1_000


class LineState(StrEnum):
    """What a part counts as.

    `mapped` makes entries; `parked` waits for a mapping, `unplaced` for its location's tie; `ignored` is
    left out by decision; `excluded` makes nothing by its disposition; `superseded` does not count because
    another way of the same sales does.
    """

    MAPPED = "mapped"
    PARKED = "parked"
    IGNORED = "ignored"
    EXCLUDED = "excluded"
    UNPLACED = "unplaced"
    SUPERSEDED = "superseded"


class Part(msgspec.Struct, frozen=True, gc=False):
    """One part of an order's line, as the raw sale says it; money in minor units, quantity a decimal."""

    line_id: str
    part: str
    item_id: UUID
    location_id: str
    business_date: date
    occurred_at: datetime
    currency: str
    disposition: Disposition
    quantity: str
    unit: str
    gross: int
    discount: int
    net: int
    tax: int
    restock: Restock | None


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a line counts: the Suppli location (None = not tied) and its rule for unclear returns.

    Attributes:
        rule: which days count, where another way may carry the same sales; None = all.
    """

    location_id: str | None = None
    restock_unknown: bool = False
    rule: DayRule | None = None

    def counts(self, day: date) -> bool:
        """Return whether sales of a business date count here."""
        return self.rule is None or self.rule.counts(day)


class Target(msgspec.Struct, frozen=True, gc=False):
    """A product, and how many millionths-exact stock units one external unit is."""

    product_id: str
    unit: str
    numerator: int
    denominator: int


class Resolution(msgspec.Struct, frozen=True, gc=False):
    """What the mapping says about an item on one day, for one external unit.

    Attributes:
        revision: of the decision that holds on that day.
        said_revision: the item's counter, which its lines remember.
    """

    state: LineState
    revision: int = 0
    targets: tuple[Target, ...] = ()
    shares: tuple[Fraction, ...] = ()
    said_revision: int = 0


class Standing(msgspec.Struct, gc=False):
    """An entry with its figures: money in minor units, quantities in millionths of the stock unit.

    Its key is a UUID as text: that is how it is hashed, compared and said.
    """

    entry_key: str
    line_id: str
    part: str
    component: str
    product_id: str
    location_id: str
    business_date: date
    unit: str
    currency: str
    occurred_at: datetime
    quantity: int
    consumed: int
    gross: int
    discount: int
    net: int
    mapping_revision: int

    def amounts(self) -> tuple[int, int, int, int, int]:
        """Return quantity, consumed, gross, discount, net."""
        return self.quantity, self.consumed, self.gross, self.discount, self.net


class ItemRules(msgspec.Struct, frozen=True):
    """An item's decisions; `revision` is its counter, which every line said with them remembers."""

    revision: int
    rules: tuple[Rule, ...] = ()


_NO_RULES = ItemRules(0)


class Book:
    """The mappings that a piece of work needs, resolved once per item, day and unit."""

    def __init__(self, items: Mapping[UUID, ItemRules], products: Mapping[str, Product]) -> None:
        self._items = items
        self._products = products
        # By the ids' numbers: a UUID object hashes and compares in Python, several times for each line.
        self._resolved: dict[tuple[int, date, str], Resolution] = {}

    def resolve(self, item_id: UUID, day: date, unit: str) -> Resolution:
        """Return what holds for an item on a business date in an external unit."""
        key = (item_id.int, day, unit)
        found = self._resolved.get(key)
        if found is None:
            rules = self._items.get(item_id, _NO_RULES)
            found = resolve(rule_on(rules.rules, day), unit, self._products)
            found = self._resolved[key] = msgspec.structs.replace(found, said_revision=rules.revision)
        return found


def resolve(rule: Rule | None, unit: str, products: Mapping[str, Product]) -> Resolution:
    """Return what a rule says for lines in `unit`; a unit or product that it does not know parks them."""
    if rule is None or rule.state is MappingState.UNMAPPED:
        return Resolution(LineState.PARKED, 0 if rule is None else rule.revision)
    if rule.state is MappingState.IGNORED:
        return Resolution(LineState.IGNORED, rule.revision)
    targets = []
    for target in rule.targets:
        product = current_product(target.product_id, products)
        ratio = None if product is None else stock_units(unit, rule.unit, product.unit)
        if product is None or ratio is None:
            return Resolution(LineState.PARKED, rule.revision)
        ratio *= exact(target.factor)
        targets.append(Target(product.product_id, product.unit, ratio.numerator, ratio.denominator))
    if not targets:
        return Resolution(LineState.PARKED, rule.revision)
    shares = equal_or_given([target.share for target in rule.targets]) if len(targets) > 1 else []
    return Resolution(LineState.MAPPED, rule.revision, tuple(targets), tuple(shares))


def stock_units(unit: str, mapped_unit: str, product_unit: str) -> Fraction | None:
    """Return what one `unit` counts for before the factor; None where that would be a guess.

    Between two masses or two volumes arithmetic decides, and the factor comes on top. Otherwise the factor
    speaks of `mapped_unit`, and a line in another unit is understood only where it converts to that.
    """
    if conversion(mapped_unit, product_unit) is not None:
        return conversion(unit, product_unit)
    return conversion(unit, mapped_unit)


def stand(
    connection: str, order_id: str, part: Part, resolution: Resolution, place: Place
) -> tuple[LineState, list[Standing]]:
    """Return what a part counts as, and its entries; `connection` is the order's, as text.

    Raises:
        BadQuantity: the quantity is no decimal, or the result is beyond all measure.
    """
    disposition = part.disposition
    if disposition is not _SOLD and disposition not in SALES and disposition not in CONSUMED_ONLY:
        return LineState.EXCLUDED, []
    if place.rule is not None and not place.rule.counts(part.business_date):
        return LineState.SUPERSEDED, []
    if resolution.state is LineState.IGNORED:
        return LineState.IGNORED, []
    if place.location_id is None:
        return LineState.UNPLACED, []
    if resolution.state is not LineState.MAPPED:
        return resolution.state, []
    return LineState.MAPPED, _entries(connection, order_id, part, resolution, place)


def _entries(
    connection: str, order_id: str, part: Part, resolution: Resolution, place: Place
) -> list[Standing]:
    location = place.location_id or ""
    day = part.business_date.isoformat()
    money = _money(part, resolution.shares)
    entries = []
    for index, target in enumerate(resolution.targets):
        amount = _stock_amount(part.quantity, target.numerator, target.denominator)
        gross, discount, net = money[index]
        component = _component(part.part, index if resolution.shares else None)
        key = stable_text(
            "entry", connection, order_id, part.line_id, component, target.product_id, location, day,
            target.unit, part.currency,
        )  # fmt: skip
        sold, consumed = _quantities(part, amount, place)
        entries.append(
            Standing(
                key, part.line_id, part.part, component, target.product_id, location, part.business_date,
                target.unit, part.currency, part.occurred_at, sold, consumed, gross, discount, net,
                resolution.revision,
            )
        )  # fmt: skip
    return entries


@lru_cache(maxsize=16_384)
def _stock_amount(quantity: str, numerator: int, denominator: int) -> int:
    """Return what a quantity is in millionths of the stock unit; the same few come again and again."""
    given = exact(quantity)
    amount = millionths(given.numerator * numerator, given.denominator * denominator)
    if abs(amount) > _MOST_MILLIONTHS:
        raise BadQuantity(f"quantity {quantity[:40]!r} is beyond all measure in stock units")
    return amount


def _component(part: str, split: int | None) -> str:
    base = "line" if part == LINE else f"modifier:{part}"
    if split is None:
        return base
    return f"split:{split}" if part == LINE else f"{base}:split:{split}"


def _quantities(part: Part, amount: int, place: Place) -> tuple[int, int]:
    """Return (sold less returned, what left the shelf)."""
    disposition = part.disposition
    if disposition is _SOLD:
        return amount, amount
    if disposition in CONSUMED_ONLY:
        return 0, amount
    if disposition is Disposition.RETURNED:
        back = place.restock_unknown if part.restock in _UNCLEAR else part.restock is Restock.YES
        return amount, amount if back else 0
    return amount, amount


_UNCLEAR = (None, Restock.UNKNOWN)


def _money(part: Part, shares: Sequence[Fraction]) -> list[tuple[int, int, int]]:
    """Return (gross, discount, net) for each target; the money stays with the line, modifiers have none."""
    if part.part != LINE or (part.disposition is not _SOLD and part.disposition in CONSUMED_ONLY):
        return [(0, 0, 0)] * max(1, len(shares))
    if not shares:
        return [(part.gross, part.discount, part.net)]
    nets, grosses = split_money(part.net, shares), split_money(part.gross, shares)
    if part.gross - part.discount == part.net:
        discounts = [gross - net for gross, net in zip(grosses, nets, strict=True)]
    else:  # the provider's own net differs from gross less discount, and wins
        discounts = split_money(part.discount, shares)
    return list(zip(grosses, discounts, nets, strict=True))


def split_money(amount: int, shares: Sequence[Fraction]) -> list[int]:
    """Divide an amount by shares that add up to 1, by largest remainder; the result adds up to the amount.

    Equal remainders go to the first. A negative amount divides as its positive mirror does.
    """
    exacts = [abs(amount) * share for share in shares]
    parts = [part.numerator // part.denominator for part in exacts]
    missing = abs(amount) - sum(parts)
    order = sorted(range(len(parts)), key=lambda index: (parts[index] - exacts[index], index))
    for index in order[:missing]:
        parts[index] += 1
    return [-part for part in parts] if amount < 0 else parts
