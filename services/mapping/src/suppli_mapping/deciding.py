"""Saying what an item is, and what follows when its products change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.catalog import ItemKind
from suppli_contracts.events.mapping import MappingChanged, MappingState, MappingTarget
from suppli_contracts.internal import MapRequest
from suppli_service_kit import tracing
from suppli_service_kit.outbox import enqueue

from suppli_mapping.adapters import ledger, queue
from suppli_mapping.adapters.arrays import texts
from suppli_mapping.adapters.items import load_products
from suppli_mapping.adapters.messages import mapping_changed
from suppli_mapping.adapters.queue import Job, JobKind
from suppli_mapping.adapters.sql import execute, fetch
from suppli_mapping.domain.mappings import Problem, Product, current_product, external_unit, faults

_TARGETS = tuple[MappingTarget, ...]
_EARLIEST = date(2000, 1, 1)
_AHEAD = timedelta(days=366)


class NoSuchItem(LookupError):  # the caller's tenant has none with this id
    """There is no such item."""


class Changed(Exception):  # somebody else was faster
    """The mapping is not at the expected revision; `revision` is where it is."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"the mapping is at revision {revision}")
        self.revision = revision


class NotValid(Exception):  # nothing was changed
    """The decision is not valid; `problems` says what and where."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.message}" for problem in problems))
        self.problems = tuple(problems)


async def decide(
    connection: AsyncConnection,
    tenant_id: UUID,
    item_id: UUID,
    request: MapRequest,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Write a decision and ask for the past to be restated, under the tenant's exclusive lock.

    Raises:
        NoSuchItem: the tenant has no such item.
        Changed: somebody else decided meanwhile.
        NotValid: a product is unknown, a factor 0, shares do not add up, or the date makes no sense.
    """
    await ledger.lock_tenants(connection, [tenant_id], exclusive=True)
    rows = await fetch(
        connection,
        "select connection_id, item_key, kind, unit, revision from items where item_id = %s for update",
        (item_id,),
    )
    if not rows:
        raise NoSuchItem(str(item_id))
    connection_id, item_key, kind, unit, revision = rows[0]
    if request.expected_revision is not None and request.expected_revision != revision:
        raise Changed(revision)
    products = await load_products(connection, {target.product_id for target in request.targets})
    problems = faults(
        request.state,
        request.targets,
        is_modifier=kind == ItemKind.MODIFIER,
        products=products.get(tenant_id, {}),
    )
    if request.from_date is not None and not _EARLIEST <= request.from_date <= now.date() + _AHEAD:
        problems.append(Problem("$.from_date", f"must lie between {_EARLIEST} and a year from now"))
    if problems:
        raise NotValid(problems)
    revision += 1
    targets = msgspec.json.encode(request.targets).decode()
    await execute(
        connection,
        """
        insert into mappings (tenant_id, item_id, revision, state, targets, from_date, unit, actor, at)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            tenant_id, item_id, revision, request.state, targets, request.from_date,
            await _sold_unit(connection, item_id, unit), actor, now,
        ),
    )  # fmt: skip
    event = MappingChanged(
        tenant_id=tenant_id,
        connection_id=connection_id,
        item_id=item_id,
        item_key=item_key,
        revision=revision,
        state=request.state,
        at=now,
        targets=request.targets,
        from_date=request.from_date,
        actor=actor,
    )
    await _switch(connection, [event])


async def _sold_unit(connection: AsyncConnection, item_id: UUID, unit: str) -> str:
    """Return the unit that most of the item's sales come in, the catalog's where there are none."""
    rows = await fetch(
        connection,
        """
        select unit from (select unit from ledger_lines where item_id = %s limit 1000) as sample
        group by unit order by count(*) desc, unit limit 1
        """,
        (item_id,),
    )
    return external_unit(rows[0][0] if rows else unit)


async def _switch(connection: AsyncConnection, events: Sequence[MappingChanged]) -> None:
    """Set the items' new revisions, tell everybody and ask for the restatement of their lines."""
    for event in sorted(events, key=lambda each: each.item_id):
        await execute(
            connection,
            "update items set revision = %s, state = %s, targets = %s where tenant_id = %s and item_id = %s",
            (
                event.revision,
                event.state,
                msgspec.json.encode(event.targets).decode(),
                event.tenant_id,
                event.item_id,
            ),
        )
    await queue.ask(connection, [Job(event.tenant_id, JobKind.ITEM, str(event.item_id)) for event in events])
    traceparent = tracing.current_traceparent()
    await enqueue(connection, [mapping_changed(event, traceparent) for event in events])


async def follow_products(
    connection: AsyncConnection, tenant_id: UUID, product_ids: Sequence[str], *, now: datetime
) -> int:
    """Let mappings follow products that were deleted, merged, brought back or given another unit.

    A deleted product parks the lines of its items, a merged one moves them, each with a `MappingChanged`. The
    tenant's exclusive lock must be held. Returns how many items are restated.
    """
    rows = await fetch(
        connection,
        """
        with recursive same (product_id) as (
            select unnest(%(changed)s)
            union
            select products.product_id from products join same on products.replaced_by = same.product_id
                where products.tenant_id = %(tenant)s
        )
        select items.connection_id, items.item_id, items.item_key, items.revision, latest.state,
        latest.targets,
            latest.from_date
        from items join lateral (
            select state, targets, from_date from mappings
            where mappings.tenant_id = items.tenant_id and mappings.item_id = items.item_id
            order by revision desc limit 1) as latest on true
        where items.tenant_id = %(tenant)s and exists (
            select from mappings cross join jsonb_array_elements(mappings.targets) as target
            where mappings.tenant_id = items.tenant_id and mappings.item_id = items.item_id
                and target ->> 'product_id' in (select product_id from same))
        """,
        {"changed": texts(sorted(set(product_ids))), "tenant": tenant_id},
    )
    decisions = [(row, msgspec.convert(row[5], _TARGETS)) for row in rows]
    named = {target.product_id for _, targets in decisions for target in targets}
    products = (await load_products(connection, named)).get(tenant_id, {}) if named else {}
    events = []
    for (connection_id, item_id, item_key, revision, state, _, from_date), targets in decisions:
        now_state, now_targets = current_decision(MappingState(state), targets, products)
        events.append(
            MappingChanged(
                tenant_id=tenant_id,
                connection_id=connection_id,
                item_id=item_id,
                item_key=item_key,
                revision=revision + 1,
                state=now_state,
                at=now,
                targets=now_targets,
                from_date=from_date,
                actor="catalog",
            )
        )
    await _switch(connection, events)
    return len(events)


def current_decision(
    state: MappingState, targets: tuple[MappingTarget, ...], products: dict[str, Product]
) -> tuple[MappingState, tuple[MappingTarget, ...]]:
    """Return what a decision comes to with the products as they now are."""
    if state is not MappingState.MAPPED:
        return state, targets
    moved = []
    for target in targets:
        product = current_product(target.product_id, products)
        if product is None:
            return MappingState.UNMAPPED, targets
        moved.append(msgspec.structs.replace(target, product_id=product.product_id))
    return state, tuple(moved)
