"""One way to run SQL of ours: driver parameters in, plain rows out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

Parameters = tuple[Any, ...] | Mapping[str, Any]


async def fetch(
    connection: AsyncConnection, statement: str, parameters: Parameters = ()
) -> Sequence[Sequence[Any]]:
    """Return the rows of a statement with psycopg placeholders (`%s`, `%(name)s`)."""
    result = await connection.exec_driver_sql(statement, parameters or None)
    return result.all()


async def execute(connection: AsyncConnection, statement: str, parameters: Parameters = ()) -> int:
    """Run a statement and return how many rows it touched."""
    result = await connection.exec_driver_sql(statement, parameters or None)
    return result.rowcount
