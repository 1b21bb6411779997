"""Everything that the system writes anywhere, as bytes to search in."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cramjam
import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from psycopg import Connection, sql
from suppli_demo.system import System

_ZSTANDARD, _GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"  # how frames begin (RFC 8878, RFC 1952)

Store = Callable[[], Iterator[tuple[str, bytes]]]
"""Yields the places of one store with what is written there."""


@dataclass(frozen=True)
class Found:
    """A needle that lies where it must not."""

    needle: str
    store: str
    place: str
    around: str


class Stores:
    """The logs, databases, topics and metrics of a system; traces and answers are added by who collects them.

    Args:
        system: the running system.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self.by_name: dict[str, Store] = {
            "logs": self.logs,
            "databases": self.databases,
            "topics": self.topics,
            "metrics": self.metrics,
        }

    def logs(self) -> Iterator[tuple[str, bytes]]:
        """Every service's and server's log, audit logs included."""
        folder = self._system.folder
        for path in sorted({*folder.glob("logs/*"), *folder.glob("*/*.log")}):
            yield path.name, path.read_bytes()

    def databases(self) -> Iterator[tuple[str, bytes]]:
        """Every row of every table of every database, the servers' own included; binary columns decoded and
        unpacked.
        """
        postgres = self._system.runtime.postgres
        with postgres.connect() as connection:
            names = connection.execute("select datname from pg_database where datallowconn").fetchall()
        for (name,) in sorted(names):
            with postgres.connect(name) as connection:
                for table in _tables(connection):
                    yield f"{name}.{table}", _rows(connection, table)

    def topics(self) -> Iterator[tuple[str, bytes]]:
        """Every record of every topic, the broker's own included: keys, headers and values, decompressed."""
        yield from asyncio.run(_records(self._system.runtime.kafka.bootstrap_servers)).items()

    def metrics(self) -> Iterator[tuple[str, bytes]]:
        """What every service tells Prometheus."""
        for name, service in self._system.services.items():
            yield name, httpx.get(f"http://127.0.0.1:{service.internal_port}/metrics", timeout=10).content


def search(needles: Mapping[str, str], stores: Mapping[str, Store]) -> list[Found]:
    """Return where any of `needles` (name -> text) is written, in whatever case."""
    wanted = {name: needle.lower().encode() for name, needle in needles.items()}
    found: list[Found] = []
    for store, places in stores.items():
        for place, content in places():
            lowered = content.lower()
            for name, needle in wanted.items():
                at = lowered.find(needle)
                if at >= 0:
                    around = content[max(0, at - 120) : at + len(needle) + 40].decode(errors="replace")
                    found.append(Found(name, store, place, around))
    return found


def _tables(connection: Connection[Any]) -> list[str]:
    query = """
        select quote_ident(n.nspname) || '.' || quote_ident(c.relname)
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema')
        and n.nspname !~ '^pg_toast' order by 1
    """
    return [str(name) for (name,) in connection.execute(query).fetchall()]


def _rows(connection: Connection[Any], table: str) -> bytes:
    text = bytearray()
    whole = sql.SQL("copy (select * from {}) to stdout").format(sql.SQL(table))
    with connection.cursor() as cursor:
        with cursor.copy(whole) as rows:
            for part in rows:
                text += part
        columns = cursor.execute(
            "select attname from pg_attribute where attrelid = %s::regclass and atttypid = 'bytea'::regtype",
            [table],
        ).fetchall()
        for (column,) in columns:
            binary = sql.SQL("select {} from {}").format(sql.Identifier(column), sql.SQL(table))
            for (value,) in cursor.execute(binary, binary=True).fetchall():
                text += b"\n" + unpacked(value or b"")
    return bytes(text)


def unpacked(value: bytes) -> bytes:
    """Return a value with what is compressed in it (Zstandard, gzip) open; a needle would hide in it."""
    with suppress(cramjam.DecompressionError):
        if value.startswith(_ZSTANDARD):
            return value + bytes(cramjam.zstd.decompress(value))
        if value.startswith(_GZIP):
            return value + bytes(cramjam.gzip.decompress(value))
    return value


async def _records(servers: str) -> dict[str, bytes]:
    """Return what is on each topic, its records run together."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        described = await admin.describe_topics(await admin.list_topics())
    finally:
        await admin.close()
    parts = [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    ]
    text: dict[str, bytearray] = {topic["topic"]: bytearray() for topic in described}
    async for record in _read(servers, parts):
        body = text[record.topic]
        for value in (record.key, record.value, *(part for header in record.headers for part in header)):
            body += b"\n" + (value.encode() if isinstance(value, str) else value or b"")
    return {topic: bytes(body) for topic, body in text.items()}


async def _read(servers: str, parts: list[TopicPartition]) -> AsyncIterator[Any]:
    async with AIOKafkaConsumer(
        bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False
    ) as consumer:
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        left = {
            part: end
            for part, end in (await consumer.end_offsets(parts)).items()
            if end > await consumer.position(part)
        }
        while left:
            for records in (await consumer.getmany(timeout_ms=200, max_records=5_000)).values():
                for record in records:
                    yield record
            left = {part: end for part, end in left.items() if await consumer.position(part) < end}


def counted(found: list[Found]) -> str:
    """Return what was found in few lines, for a failed test's message."""
    kinds = Counter((each.needle, each.store, each.place) for each in found)
    examples = {(each.needle, each.store, each.place): each.around for each in found}
    return "\n".join(f"{kind}: ...{examples[kind]!r}" for kind in sorted(kinds))
