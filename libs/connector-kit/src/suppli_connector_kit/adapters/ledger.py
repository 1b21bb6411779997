"""Budgets in the connector's database, so that all replicas together stay within them (port `Ledger`)."""

from __future__ import annotations

import sqlalchemy as sa
from suppli_service_kit.database import Database

from suppli_connector_kit.budgets import AHEAD_SECONDS, RECOVERY, SLOWEST, Grant
from suppli_connector_kit.domain.pacing import Pace

_SLOW = "greatest(1, slow - extract(epoch from (clock_timestamp() - slowed_at)) * :recovery)"
_NEW = sa.text("insert into budgets (key) values (:key) on conflict do nothing")
_TAKE = sa.text(f"""
    with held as (
        select key, free_at, slow, slowed_at from budgets where key = :key for update
    ), asked as (
        select key, clock_timestamp() as now, {_SLOW} as slow,
            greatest(free_at, clock_timestamp() - make_interval(secs => :window)) as start
        from held
    ), given as (
        update budgets as b
        set free_at = asked.start + make_interval(secs => :count * :step * asked.slow)
        from asked where b.key = asked.key and asked.start <= asked.now + make_interval(secs => :ahead)
        returning b.key
    )
    select cast(extract(epoch from asked.start - asked.now) as double precision) as starts_in,
        cast(asked.slow as double precision) as slow, exists (select 1 from given) as granted
    from asked
""")
_SLOWER = sa.text(f"""
    update budgets set slow = least(:slowest, {_SLOW} * 2), slowed_at = clock_timestamp(),
        free_at = greatest(free_at, clock_timestamp() + make_interval(secs => :seconds))
    where key = :key
""")


class SqlLedger:
    """Gives out instants by the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, key: str, count: int, pace: Pace) -> Grant:
        """Give out the next `count` instants of the budget, unless they are too far ahead."""
        values = {
            "key": key,
            "count": count,
            "step": pace.step,
            "window": pace.window,
            "ahead": AHEAD_SECONDS,
            "recovery": RECOVERY,
        }
        async with self._database.transaction() as connection:
            row = (await connection.execute(_TAKE, values)).first()
            if row is None:
                await connection.execute(_NEW, {"key": key})
                row = (await connection.execute(_TAKE, values)).one()
        if row.granted:
            return Grant(True, row.starts_in, row.slow)
        return Grant(False, row.starts_in - AHEAD_SECONDS)

    async def slow_down(self, key: str, pace: Pace, seconds: float) -> None:
        """Give out nothing for so many seconds, and longer steps after that."""
        values = {"key": key, "seconds": seconds, "recovery": RECOVERY, "slowest": SLOWEST}
        async with self._database.transaction() as connection:
            await connection.execute(_NEW, {"key": key})
            await connection.execute(_SLOWER, values)
