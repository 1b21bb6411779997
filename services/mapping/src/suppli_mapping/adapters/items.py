"""Items, their mappings and the products they name."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.catalog import ItemKind
from suppli_contracts.events.mapping import MappingState, MappingTarget

from suppli_mapping.adapters.arrays import texts, uuids
from suppli_mapping.adapters.sql import execute, fetch
from suppli_mapping.domain.entries import ItemRules
from suppli_mapping.domain.mappings import Product, Rule

_TARGETS = tuple[MappingTarget, ...]
_CACHED_ITEMS = 50_000


class FoundItem(msgspec.Struct, frozen=True):
    """An item that sales named: key and what the line said of it."""

    tenant_id: UUID
    connection_id: UUID
    item_id: UUID
    item_key: str
    kind: ItemKind
    unit: str
    name: str | None = None
    variation_name: str | None = None
    sku: str | None = None
    barcode: str | None = None
    category: str | None = None


class KnownItem(msgspec.Struct, frozen=True):
    """An item as the database has it, as far as saying its lines needs."""

    tenant_id: UUID
    rules: ItemRules
    announced: bool


class RulesCache:
    """Decisions that were read before: they are only ever added, so (item, revision) keeps its meaning.

    An item that was erased and found again starts anew: the instant of its adding tells the two apart.
    """

    def __init__(self, size: int = _CACHED_ITEMS) -> None:
        self._rules: OrderedDict[tuple[UUID, datetime, int], tuple[Rule, ...]] = OrderedDict()
        self._size = size

    def get(self, item_id: UUID, added_at: datetime, revision: int) -> tuple[Rule, ...] | None:
        """Return the decisions up to a revision, None where they are not held."""
        return self._rules.get((item_id, added_at, revision))

    def put(self, item_id: UUID, added_at: datetime, revision: int, rules: tuple[Rule, ...]) -> None:
        """Hold the decisions up to a revision; the oldest held go first."""
        self._rules[item_id, added_at, revision] = rules
        if len(self._rules) > self._size:
            self._rules.popitem(last=False)


async def load_items(
    connection: AsyncConnection, item_ids: Iterable[UUID], cache: RulesCache
) -> dict[tuple[UUID, UUID], KnownItem]:
    """Return the known ones of the items by (tenant, item), with all their decisions."""
    rows = await fetch(
        connection,
        "select tenant_id, item_id, revision, state, unit, announced_at is not null, added_at from items"
        " where item_id = any(%s)",
        (uuids(list(item_ids)),),
    )
    held = {(row[0], row[1]): cache.get(row[1], row[6], row[2]) for row in rows}
    missing = [row for row in rows if held[row[0], row[1]] is None]
    if changed := [row[1] for row in missing if row[2] > 0]:
        history = await _load_rules(connection, changed)
    else:
        history = {}
    for tenant_id, item_id, revision, state, unit, _, added_at in missing:
        rules = history.get((tenant_id, item_id), ())
        if not rules and state == MappingState.IGNORED:  # from the start, without anybody's decision
            rules = (Rule(0, MappingState.IGNORED, unit=unit),)
        held[tenant_id, item_id] = rules
        cache.put(item_id, added_at, revision, rules)
    return {
        (row[0], row[1]): KnownItem(row[0], ItemRules(row[2], held[row[0], row[1]] or ()), row[5])
        for row in rows
    }


async def _load_rules(
    connection: AsyncConnection, item_ids: Sequence[UUID]
) -> Mapping[tuple[UUID, UUID], tuple[Rule, ...]]:
    rows = await fetch(
        connection,
        "select tenant_id, item_id, revision, state, targets, from_date, unit from mappings"
        " where item_id = any(%s) order by revision",
        (uuids(item_ids),),
    )
    found: defaultdict[tuple[UUID, UUID], list[Rule]] = defaultdict(list)
    for tenant_id, item_id, revision, state, targets, from_date, unit in rows:
        rule = Rule(revision, MappingState(state), msgspec.convert(targets, _TARGETS), from_date, unit)
        found[tenant_id, item_id].append(rule)
    return {key: tuple(rules) for key, rules in found.items()}


async def add_items(connection: AsyncConnection, items: Sequence[FoundItem]) -> None:
    """Add items that are not known yet; custom amounts are ignored from the start."""
    if not items:
        return
    ordered = sorted(items, key=lambda item: (item.tenant_id, item.item_id))
    await execute(
        connection,
        """
        insert into items (tenant_id, connection_id, item_id, item_key, kind, unit, name, variation_name, sku,
            barcode, category, state)
        select * from unnest(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        on conflict (tenant_id, item_id) do nothing
        """,
        (
            uuids([item.tenant_id for item in ordered]),
            uuids([item.connection_id for item in ordered]),
            uuids([item.item_id for item in ordered]),
            texts([item.item_key for item in ordered]),
            texts([item.kind for item in ordered]),
            texts([item.unit for item in ordered]),
            texts([item.name for item in ordered]),
            texts([item.variation_name for item in ordered]),
            texts([item.sku for item in ordered]),
            texts([item.barcode for item in ordered]),
            texts([item.category for item in ordered]),
            texts([_first_state(item.kind) for item in ordered]),
        ),
    )


def _first_state(kind: ItemKind) -> MappingState:
    return MappingState.IGNORED if kind is ItemKind.CUSTOM_AMOUNT else MappingState.UNMAPPED


class Announced(msgspec.Struct, frozen=True):
    """An item that is announced as unmapped now, for the first and only time."""

    tenant_id: UUID
    connection_id: UUID
    item_id: UUID
    item_key: str
    kind: ItemKind
    name: str | None
    variation_name: str | None
    sku: str | None
    barcode: str | None


async def announce(connection: AsyncConnection, item_ids: Iterable[UUID], at: datetime) -> list[Announced]:
    """Mark items as announced and return those that were not before; of two processes one gets each."""
    rows = await fetch(
        connection,
        """
        update items set announced_at = %s
        where (tenant_id, item_id) in (
            select tenant_id, item_id from items where item_id = any(%s) and announced_at is null
            order by tenant_id, item_id for update)
        returning tenant_id, connection_id, item_id, item_key, kind, name, variation_name, sku, barcode
        """,
        (at, uuids(list(item_ids))),
    )
    return [
        msgspec.convert(dict(zip(Announced.__struct_fields__, row, strict=True)), Announced) for row in rows
    ]


_PRODUCT = "tenant_id, product_id, unit, name, sku, barcode, replaced_by, deleted"


async def load_products(
    connection: AsyncConnection, product_ids: Iterable[str]
) -> dict[UUID, dict[str, Product]]:
    """Return products by tenant, with those that they were merged into."""
    found: defaultdict[UUID, dict[str, Product]] = defaultdict(dict)
    asked: set[str] = set()
    wanted = set(product_ids)
    while wanted:
        asked |= wanted
        rows = await fetch(
            connection,
            f"select {_PRODUCT} from products where product_id = any(%s)",
            (texts(sorted(wanted)),),
        )
        wanted = set()
        for tenant_id, *columns in rows:
            product = Product(*columns)
            found[tenant_id][product.product_id] = product
            if product.replaced_by is not None and product.replaced_by not in asked:
                wanted.add(product.replaced_by)
    return found


async def all_products(connection: AsyncConnection) -> dict[UUID, list[Product]]:
    """Return every product of the transaction's tenants."""
    rows = await fetch(connection, f"select {_PRODUCT} from products where not deleted")
    found: defaultdict[UUID, list[Product]] = defaultdict(list)
    for tenant_id, *columns in rows:
        found[tenant_id].append(Product(*columns))
    return found
