"""Statements of business days in the database: a read copy of `suppli.sales.days.v1`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.days import DayWay, SalesDayStated

from suppli_gateway.tables import sales_days


async def put(transaction: AsyncConnection, event: SalesDayStated) -> None:
    """Keep a statement, unless a newer one is known."""
    statement = insert(sales_days).values(
        tenant_id=event.tenant_id,
        location_id=event.location_id,
        business_date=event.business_date,
        revision=event.revision,
        statement=msgspec.to_builtins(event),
    )
    given = statement.excluded
    await transaction.execute(
        statement.on_conflict_do_update(
            index_elements=[sales_days.c.tenant_id, sales_days.c.location_id, sales_days.c.business_date],
            set_={"revision": given.revision, "statement": given.statement},
            where=sales_days.c.revision <= given.revision,
        )
    )


async def remove(transaction: AsyncConnection, tenant_id: UUID, location_id: str, day: date) -> None:
    """Forget a day whose key has ended."""
    await transaction.execute(
        sa.delete(sales_days).where(
            sales_days.c.tenant_id == tenant_id,
            sales_days.c.location_id == location_id,
            sales_days.c.business_date == day,
        )
    )


async def ways_of(
    transaction: AsyncConnection, connection_id: UUID, first: date, last: date
) -> dict[tuple[str, date], DayWay]:
    """Return what is stated of a connection's days, by the provider's location and the date."""
    named = {"ways": [{"connection_id": str(connection_id)}]}
    query = sa.select(sales_days.c.statement).where(
        sales_days.c.business_date.between(first, last), sales_days.c.statement.contains(named)
    )
    return {
        (way.external_location_id, event.business_date): way
        for row in (await transaction.execute(query)).scalars()
        for event in [msgspec.convert(row, SalesDayStated)]
        for way in event.ways
        if way.connection_id == connection_id
    }


async def of_location(
    transaction: AsyncConnection, location_id: str, first: date, last: date
) -> Sequence[SalesDayStated]:
    """Return the tenant's statements of a Suppli location from `first` to `last`, oldest first."""
    query = (
        sa.select(sales_days.c.statement)
        .where(sales_days.c.location_id == location_id, sales_days.c.business_date.between(first, last))
        .order_by(sales_days.c.business_date)
    )
    found = [msgspec.convert(row, SalesDayStated) for row in (await transaction.execute(query)).scalars()]
    return [event for event in found if not event.deleted]
