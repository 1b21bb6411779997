"""Suppli's own locations in the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.catalog import LocationChanged
from suppli_service_kit.clock import Clock
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.outbox import enqueue

from suppli_gateway.outgoing import CATALOG_LOCATIONS, value_of
from suppli_gateway.tables import locations


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppliLocation:
    """A Suppli location.

    Attributes:
        restock_unknown: whether a return that does not say so goes back on the shelf.
    """

    tenant_id: UUID
    location_id: str
    name: str
    timezone: str | None
    restock_unknown: bool
    revision: int
    changed_at: datetime

    def message(self, clock: Clock) -> OutMessage:
        """Return the message that says the location as it now stands."""
        event = LocationChanged(
            tenant_id=self.tenant_id,
            location_id=self.location_id,
            revision=self.revision,
            name=self.name,
            timezone=self.timezone,
            restock_unknown=self.restock_unknown,
        )
        return value_of(event, CATALOG_LOCATIONS, self.revision, clock)


def _read(row: sa.RowMapping) -> SuppliLocation:
    return SuppliLocation(**row)


async def existing_locations(transaction: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Return those of `ids` that are locations of the tenant."""
    if not ids:
        return set()
    rows = await transaction.execute(
        sa.select(locations.c.location_id).where(locations.c.location_id.in_(ids))
    )
    return set(rows.scalars())


async def page(transaction: AsyncConnection, *, after: str | None, limit: int) -> list[SuppliLocation]:
    """Return at most `limit` locations with ids above `after`."""
    query = sa.select(locations)
    if after is not None:
        query = query.where(locations.c.location_id > after)
    rows = await transaction.execute(query.order_by(locations.c.location_id).limit(limit))
    return [_read(row) for row in rows.mappings()]


async def lock_all(
    transaction: AsyncConnection, *, after: str | None, limit: int
) -> Sequence[SuppliLocation]:
    """Return the next locations, locked."""
    query = sa.select(locations).order_by(locations.c.location_id).limit(limit).with_for_update()
    if after is not None:
        query = query.where(locations.c.location_id > after)
    rows = await transaction.execute(query)
    return [_read(row) for row in rows.mappings()]


async def put(
    transaction: AsyncConnection,
    *,
    tenant_id: UUID,
    location_id: str,
    name: str,
    timezone: str | None,
    restock_unknown: bool,
    clock: Clock,
) -> tuple[SuppliLocation, bool]:
    """Write a location and say it where something changed; return it and whether it is new."""
    values = {"name": name, "timezone": timezone, "restock_unknown": restock_unknown}
    statement = (
        insert(locations)
        .values(tenant_id=tenant_id, location_id=location_id, revision=1, changed_at=clock.now(), **values)
        .on_conflict_do_nothing()
        .returning(locations.c.location_id)
    )
    is_new = (await transaction.execute(statement)).one_or_none() is not None
    query = sa.select(locations).where(
        locations.c.tenant_id == tenant_id, locations.c.location_id == location_id
    )
    known = _read((await transaction.execute(query.with_for_update())).mappings().one())
    if not is_new:
        if all(getattr(known, field) == value for field, value in values.items()):
            return known, False
        update = (
            sa.update(locations)
            .where(locations.c.tenant_id == tenant_id, locations.c.location_id == location_id)
            .values(revision=known.revision + 1, changed_at=clock.now(), **values)
            .returning(locations)
        )
        known = _read((await transaction.execute(update)).mappings().one())
    await enqueue(transaction, [known.message(clock)])
    return known, is_new
