"""The relay, killed wherever it speaks with the database or Kafka."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from suppli_service_kit.database import Database, database_at
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.kafka.producer import Producer
from suppli_service_kit.outbox import LOCK_ID, OutboxRelay, enqueue, unpack
from suppli_service_kit.testing.kill_points import Process, die_everywhere
from suppli_service_kit.testing.topics import Tail

KEYS = "aba-bc-a-cc"  # one row of the outbox for each part, one message for each letter
WAITING = "select count(*) from outbox"
LOCKED = f"""
    select count(*) from pg_locks join pg_database on pg_database.oid = database
    where locktype = 'advisory' and objid = {LOCK_ID} and datname = current_database()
"""


class Relaying:
    """An outbox with some rows, and a relay that empties it."""

    relay: type[OutboxRelay] = OutboxRelay

    def __init__(self, urls: Any, database: Database, producer: Producer, tail: Tail, topic: str) -> None:
        self._urls, self._database, self._producer, self._tail = urls, database, producer, tail
        self._case = uuid4().bytes
        self.said = [
            [
                OutMessage(topic, key.encode(), f"{row}.{place}".encode(), (("case", self._case),))
                for place, key in enumerate(keys)
            ]
            for row, keys in enumerate(KEYS.split("-"))
        ]

    async def write(self) -> Relaying:
        """Put the rows there."""
        for messages in self.said:
            async with self._database.transaction() as connection:
                await enqueue(connection, messages)
        return self

    async def live(self, process: Process) -> None:
        stop = asyncio.Event()
        relay = self.relay(self._urls.relay_url, process.producer(self._producer), connect=process.connect)
        relaying = asyncio.create_task(relay.run(stop))
        try:
            await self._until_none(WAITING)
            stop.set()
            await relaying
        finally:
            relaying.cancel()

    async def time_passes(self) -> None:
        await self._until_none(LOCKED)  # the server has noticed that the connection is gone

    async def check(self) -> None:
        records = [each for each in await self._tail.read_on() if each.headers == (("case", self._case),)]
        said = [(each.key, each.value) for each in records]
        expected = [(each.key, each.value) for messages in self.said for each in messages]
        assert set(said) == set(expected), "nothing is lost or invented"
        for seen in (said, said[::-1]):  # by what a reader sees first, and by what it sees last
            assert _by_key(seen) == _by_key(expected if seen is said else expected[::-1])

    async def _until_none(self, query: str) -> None:
        async with asyncio.timeout(20), _watching(self._urls) as connection:
            while (await (await connection.execute(query)).fetchone()) != (0,):  # noqa: ASYNC110 - the server's
                await asyncio.sleep(0.005)


@asynccontextmanager
async def _watching(urls: Any) -> AsyncIterator[psycopg.AsyncConnection]:
    url = urls.relay_url.replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


def _by_key(said: list[tuple[Any, Any]]) -> dict[bytes, list[bytes]]:
    """Return what was said under each key, each once, in the order in which it comes first."""
    found: defaultdict[bytes, dict[bytes, None]] = defaultdict(dict)
    for key, value in said:
        found[key][value] = None
    return {key: list(values) for key, values in found.items()}


@pytest.fixture
async def new_case(
    urls: Any, producer: Producer, kafka: Any, kafka_topics: Callable[..., str]
) -> AsyncIterator[Callable[..., Any]]:
    topic = kafka_topics("killed", partitions=2)
    database = database_at(urls.app_url, pool=1)
    tail = Tail(kafka.bootstrap_servers, topic)
    await tail.start()

    async def make(kind: type[Relaying] = Relaying) -> Relaying:
        return await kind(urls, database, producer, tail, topic).write()

    yield make
    await tail.stop()
    await database.close()


async def test_a_relay_killed_anywhere_loses_nothing_and_keeps_the_order(new_case: Any) -> None:
    """What was committed would never be heard of, or a key's older state would come last."""
    deaths = await die_everywhere(new_case)
    assert {call.split()[0] for call in deaths.calls()} >= {"publish", "'select", "'delete", "'listen"}


class DeletesFirst(OutboxRelay):
    """Deletes what it has not published yet."""

    async def _relay_page(self, connection: psycopg.AsyncConnection) -> int:
        rows = await (await connection.execute(self._page, binary=True)).fetchall()
        await connection.execute("delete from outbox where id = any(%s)", ([row[0] for row in rows],))
        for _, encoded in rows:
            await self._producer.publish(unpack(encoded))
        return len(rows)


async def test_a_relay_that_deletes_before_it_publishes_is_found_out(new_case: Any) -> None:
    """Killing it everywhere would prove nothing."""

    class Case(Relaying):
        relay = DeletesFirst

    with pytest.raises(AssertionError, match="nothing is lost") as found:
        await die_everywhere(lambda: new_case(Case))
    assert "delete from outbox" in found.value.__notes__[0]
