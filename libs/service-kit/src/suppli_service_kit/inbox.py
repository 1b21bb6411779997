"""The inbox: which events a consumer has already taken, in the same transaction as their effect."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

_INSERT = sa.text(
    "insert into inbox (consumer, event_id) select :consumer, unnest(cast(:ids as text[]))"
    " on conflict do nothing returning event_id"
)
_PRUNE = sa.text(
    "delete from inbox where (consumer, event_id) in (select consumer, event_id from inbox"
    " where seen_at < now() - cast(:age as interval) order by seen_at limit :limit)"
)


async def unseen(connection: AsyncConnection, consumer: str, event_ids: Sequence[str]) -> set[str]:
    """Mark events as seen and return those that were not before.

    Call it first in the transaction that makes the effect: rolled back together, they are unseen again.
    A second transaction with the same event waits for the first one's end.

    Args:
        connection: in a transaction.
        consumer: whose inbox, e.g. the group's name.
        event_ids: identities, `<ce_source>/<ce_id>` where several sources write one topic.
    """
    if not event_ids:
        return set()
    # Sorted, so that two overlapping batches cannot wait for each other in a circle.
    rows = await connection.execute(_INSERT, {"consumer": consumer, "ids": sorted(set(event_ids))})
    return set(rows.scalars())


async def prune(connection: AsyncConnection, older_than: timedelta, *, limit: int = 5_000) -> int:
    """Forget events seen before `older_than` ago, at most `limit`; return how many.

    `older_than` must exceed the topics' retention and any replay window, or a repeat would count again.
    """
    result = await connection.execute(_PRUNE, {"age": older_than, "limit": limit})
    return result.rowcount
