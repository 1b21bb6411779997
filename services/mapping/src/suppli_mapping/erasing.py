"""Erasing what the ledger holds of a connection, in chunks; a marker of ids stays."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from suppli_mapping.adapters import ledger, queue
from suppli_mapping.adapters.arrays import bigints
from suppli_mapping.adapters.queue import Job
from suppli_mapping.adapters.sql import execute, fetch

CHUNK_ORDERS = 500
"""Most orders of a location, a day or an erased connection that one transaction works on."""


async def erase_chunk(connection: AsyncConnection, job: Job, bound: int) -> None:
    """Delete some orders of an erased connection (those up to `bound`), at last its items."""
    connection_id = UUID(job.subject)
    rows = await fetch(
        connection,
        "select id from orders where connection_id = %s and id <= %s limit %s",
        (connection_id, bound, CHUNK_ORDERS),
    )
    if rows:
        order_nos = [row[0] for row in rows]
        await ledger.lock_orders(connection, order_nos)
        for table, column in (
            ("ledger_lines", "order_no"), ("entries", "order_no"), ("order_days", "order_no"), ("orders",
            "id")
        ):  # fmt: skip
            await execute(connection, f"delete from {table} where {column} = any(%s)", (bigints(order_nos),))
        return
    await execute(
        connection,
        "delete from mappings where item_id in (select item_id from items where connection_id = %s)",
        (connection_id,),
    )
    for table in ("items", "coverages", "file_days"):
        await execute(connection, f"delete from {table} where connection_id = %s", (connection_id,))
    await queue.finish(connection, job)
