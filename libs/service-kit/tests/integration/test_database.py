"""What the database, the outbox, the inbox and migrations promise, on a real PostgreSQL and Kafka."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from aiokafka import AIOKafkaConsumer
from suppli_service_kit.database import Database, database_at, migrate
from suppli_service_kit.inbox import unseen
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.kafka.producer import MessageTooLarge, Producer, PublishFailed
from suppli_service_kit.migrations import NoMigrations
from suppli_service_kit.outbox import OutboxRelay, enqueue
from suppli_service_kit.settings import KafkaSettings
from suppli_service_kit.waiting import Backoff

ALICE, BOB = uuid.uuid4(), uuid.uuid4()


async def until(condition: Callable[[], Any], deadline: float = 30) -> None:
    async with asyncio.timeout(deadline):
        while True:
            found = condition()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.02)  # a look at a condition, bounded by the deadline


@pytest.fixture
async def database(urls: Any) -> AsyncIterator[Database]:
    database = database_at(urls.app_url, pool=2)
    yield database
    await database.close()


async def names(database: Database, *tenants: uuid.UUID) -> list[str]:
    async with database.transaction(tenants) as connection:
        return list((await connection.execute(sa.text("select name from item order by name"))).scalars())


async def put(database: Database, tenant: uuid.UUID, name: str, *, as_tenants: list[uuid.UUID]) -> None:
    async with database.transaction(as_tenants) as connection:
        await connection.execute(
            sa.text("insert into item values (:tenant, :name)"), {"tenant": tenant, "name": name}
        )


async def test_migrations_run_twice_and_at_once(make_database: Callable[[str], Any], package: str) -> None:
    """Two pods that start the step together must not break the schema, nor a repeat fail a deployment."""
    made = make_database("kit")
    assert await asyncio.gather(*(migrate(package, made.owner_url) for _ in range(3))) == ["0001"] * 3
    assert await migrate(package, made.owner_url) == "0001"


async def test_a_service_has_tables_of_its_own_beside_a_librarys(
    make_database: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service must not copy a library's tables to add its own, nor miss what the library adds later."""

    def revise(package: str, revision: str, down: str | None, needs: str | None, statement: str) -> None:
        versions = tmp_path / package / "migrations" / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        (tmp_path / package / "__init__.py").touch()
        (versions / f"{revision}.py").write_text(
            "from alembic import op\n"
            f"revision, down_revision, depends_on = {revision!r}, {down!r}, {needs!r}\n"
            f"def upgrade():\n    op.execute({statement!r})\n"
        )

    monkeypatch.syspath_prepend(tmp_path)
    revise("kit_own", "own_0001", None, "0001", "alter table item add column own text")
    revise("kit_library", "0001", None, None, "create table item (name text)")
    made = make_database("kit")
    assert await migrate("kit_library", made.owner_url) == "0001"
    assert await migrate("kit_library kit_own", made.owner_url) == "own_0001"  # which has 0001 in it
    revise("kit_library", "0002", "0001", None, "alter table item add column more text")
    for _ in range(2):
        assert await migrate("kit_library kit_own", made.owner_url) == "0002, own_0001"


async def test_a_package_without_migrations_is_named() -> None:
    """A typo in a deployment must not pass as a migrated database."""
    with pytest.raises(NoMigrations, match="json"):
        await migrate("json", "postgresql://nobody@127.0.0.1:1/none")


async def test_tenants_are_apart(database: Database) -> None:
    """A shop must never see or write another shop's rows, whatever the query says."""
    await put(database, ALICE, "a", as_tenants=[ALICE])
    await put(database, BOB, "b", as_tenants=[ALICE, BOB])
    assert await names(database, ALICE) == ["a"]
    assert await names(database, ALICE, BOB) == ["a", "b"]
    assert await names(database) == []
    with pytest.raises(sa.exc.ProgrammingError, match="row-level security"):
        await put(database, BOB, "forged", as_tenants=[ALICE])
    async with database.transaction([ALICE]) as connection:
        changed = await connection.execute(sa.text("update item set name = 'x' where name = 'b'"))
    assert changed.rowcount == 0


async def test_tenants_do_not_leak_through_pooled_connections(urls: Any) -> None:
    """The next request on the same connection must start with no tenant, also after an error."""
    database = database_at(urls.app_url, pool=1)
    try:
        await put(database, ALICE, "a", as_tenants=[ALICE])
        assert await names(database) == []
        with pytest.raises(ZeroDivisionError):
            async with database.transaction([ALICE]) as connection:
                await connection.execute(sa.text("insert into item values (:t, 'gone')"), {"t": ALICE})
                raise ZeroDivisionError
        assert await names(database) == []
        assert await names(database, ALICE) == ["a"]
    finally:
        await database.close()


async def test_the_service_cannot_lift_the_isolation(database: Database, urls: Any) -> None:
    """A service that is broken into must not switch row security off or read the outbox of all tenants."""
    for statement in (
        "alter table item disable row level security",
        "alter table item no force row level security",
        "drop policy tenant_isolation on item",
        "set role postgres",
        "select * from outbox",
        "delete from outbox",
    ):
        with pytest.raises(sa.exc.ProgrammingError):
            async with database.transaction() as connection:
                await connection.execute(sa.text(statement))
    await put(database, ALICE, "a", as_tenants=[ALICE])
    async with database.transaction() as connection:
        await connection.execute(sa.text("set local row_security = off"))
        with pytest.raises(sa.exc.ProgrammingError, match="row-level security"):
            await connection.execute(sa.text("select * from item"))
    with psycopg.connect(urls.relay_url.replace("+psycopg", "")) as relay, pytest.raises(psycopg.Error):
        relay.execute("select * from item")


async def test_a_database_that_restarts_is_used_again(urls: Any, postgres: Any) -> None:
    """Connections cut by a server restart must be replaced before a transaction starts, not fail requests."""
    database = database_at(urls.app_url, pool=1)
    try:
        await database.ping()
        with postgres.connect("postgres") as admin:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (urls.name,)
            )
        assert await names(database, ALICE) == []
    finally:
        await database.close()


async def test_the_inbox_lets_each_event_through_once(database: Database) -> None:
    """A repeated event must not count twice, and one whose transaction failed must come through again."""
    async with database.transaction() as connection:
        assert await unseen(connection, "c", ["1", "2", "2"]) == {"1", "2"}
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as connection:
            assert await unseen(connection, "c", ["2", "3"]) == {"3"}
            raise ZeroDivisionError
    async with database.transaction() as connection:
        assert await unseen(connection, "c", ["3", "1"]) == {"3"}
        assert await unseen(connection, "other", ["1"]) == {"1"}


async def read(kafka: Any, topic: str, count: int) -> list[Any]:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.bootstrap_servers, auto_offset_reset="earliest"
    )
    await consumer.start()
    records: list[Any] = []
    try:
        async with asyncio.timeout(30):
            while len(records) < count:
                for found in (await consumer.getmany(timeout_ms=200)).values():
                    records += found
        for found in (await consumer.getmany(timeout_ms=400)).values():
            records += found
    finally:
        await consumer.stop()
    return records


async def say(database: Database, topic: str, numbers: range) -> None:
    async with database.transaction() as connection:
        await enqueue(
            connection, [OutMessage(topic, b"key", str(n).encode(), (("h", b"\x00\xff"),)) for n in numbers]
        )


async def waiting(urls: Any) -> int:
    async with await psycopg.AsyncConnection.connect(urls.relay_url.replace("+psycopg", "")) as connection:
        row = await (await connection.execute("select count(*) from outbox")).fetchone()
        assert row is not None
        return int(row[0])


async def test_the_outbox_is_published_in_order_and_emptied(
    database: Database, urls: Any, producer: Producer, kafka: Any, kafka_topics: Callable[..., str]
) -> None:
    """What was committed must reach Kafka completely, in order, and a rolled back change must never be heard
    of.
    """
    topic = kafka_topics("outbox", partitions=1)
    stop = asyncio.Event()
    relay = OutboxRelay(urls.relay_url, producer)
    running = asyncio.create_task(relay.run(stop))
    await until(lambda: relay.active)
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as connection:
            await enqueue(connection, [OutMessage(topic, b"key", b"never")])
            raise ZeroDivisionError
    for first in range(0, 5_000, 1_250):
        await say(database, topic, range(first, first + 1_250))
    records = await read(kafka, topic, 5_000)
    assert [int(record.value) for record in records] == list(range(5_000))
    assert records[0].headers == (("h", b"\x00\xff"),)
    await until(lambda: _empty(urls))
    stop.set()
    await asyncio.wait_for(running, 5)


async def _empty(urls: Any) -> bool:
    return await waiting(urls) == 0


class Unreliable(Producer):
    """Says that publishing failed although it did not, as a lost acknowledgement does."""

    def __init__(self, settings: KafkaSettings, losses: int) -> None:
        super().__init__(settings)
        self.losses = losses

    async def publish(self, messages: Any, *, timeout: float = 30) -> None:
        await super().publish(messages, timeout=timeout)
        if self.losses:
            self.losses -= 1
            raise PublishFailed("lost acknowledgement")


async def test_a_lost_acknowledgement_leads_to_the_same_bytes_again(
    database: Database, urls: Any, kafka: Any, kafka_topics: Callable[..., str]
) -> None:
    """Consumers drop repeats by id: a resend must be identical, and nothing may be deleted unacknowledged."""
    topic = kafka_topics("outbox", partitions=1)
    await say(database, topic, range(3))
    producer = Unreliable(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers), losses=1)
    stop = asyncio.Event()
    running = asyncio.create_task(OutboxRelay(urls.relay_url, producer).run(stop))
    records = await read(kafka, topic, 6)
    said = [(record.key, record.value, record.headers) for record in records]
    assert len(said) == 6
    assert said[:3] == said[3:]
    await until(lambda: _empty(urls))
    stop.set()
    await asyncio.wait_for(running, 5)
    await producer.stop()


class Patient(Backoff):
    """Waits long after a failure, whatever chance says."""

    def next(self) -> float:
        return 30.0


async def test_one_relay_is_active_and_another_takes_over(
    database: Database,
    urls: Any,
    producer: Producer,
    kafka: Any,
    kafka_topics: Callable[..., str],
    postgres: Any,
) -> None:
    """Two replicas must not publish the same rows side by side, and a lost connection must hand over."""
    topic = kafka_topics("outbox", partitions=1)
    stop = asyncio.Event()
    relays = [OutboxRelay(urls.relay_url, producer) for _ in range(2)]
    running = [asyncio.create_task(relay.run(stop)) for relay in relays]
    await until(lambda: any(relay.active for relay in relays))
    await say(database, topic, range(100))
    await read(kafka, topic, 100)
    assert sum(relay.active for relay in relays) == 1
    before = next(relay for relay in relays if relay.active)
    before.backoff = Patient()  # so that the other is first
    with postgres.connect("postgres") as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted"
            " and database = (select oid from pg_database where datname = %s)",
            (urls.name,),
        )
    await until(lambda: not before.active, 10)
    await until(lambda: any(relay.active for relay in relays), 20)
    await say(database, topic, range(100, 200))
    records = await read(kafka, topic, 200)
    assert [int(record.value) for record in records] == list(range(200))
    stop.set()
    await asyncio.wait_for(asyncio.gather(*running), 5)


async def test_a_message_that_never_fits_is_refused_when_written(database: Database) -> None:
    """One too large message in the outbox would hold up everything behind it for ever."""
    with pytest.raises(MessageTooLarge):
        async with database.transaction() as connection:
            await enqueue(connection, [OutMessage("any", b"k", bytes(1_000_000))])


def test_migration_sample_is_packaged(package: str) -> None:
    """The sample must be found like a service's own migrations are."""
    assert Path(sys.path[0], package, "migrations", "versions").is_dir()
