"""The whole process on Kafka: consumers, dead letters, HTTP and the relay."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import NewTopic
from suppli_contracts import topics
from suppli_contracts.events import ConnectionChanged, LocationChanged, ProductChanged
from suppli_contracts.events.connections import ConnectedLocation, ConnectionState
from suppli_contracts.events.mapping import MappingState
from suppli_embedded.kafka import KafkaServer
from suppli_embedded.openbao import OpenBaoServer
from suppli_embedded.postgres import ServiceDatabase
from suppli_mapping.adapters import reading
from suppli_mapping.app import create_service
from suppli_mapping.settings import Settings
from suppli_service_kit.database import database_at, migrate
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.kafka.producer import Producer
from suppli_service_kit.service import Service
from suppli_service_kit.settings import KafkaSettings, VaultSettings

from .conftest import NOON, Parts, Shop, line, out_message, until


@pytest.fixture(scope="module")
async def service(
    make_database: Callable[[str], ServiceDatabase], kafka: KafkaServer, openbao: OpenBaoServer
) -> AsyncIterator[Service]:
    urls = make_database("mapping")
    await migrate("suppli_mapping", urls.owner_url)
    read = [
        topic for topic in topics.REGISTRY.values() if any(c.service == "mapping" for c in topic.consumers)
    ]
    names = [
        *(NewTopic(topic.name, topic.partitions, 1) for topic in topics.REGISTRY.values()),
        *(
            NewTopic(topic.dead_letter(each.group), 1, 1)
            for topic in read
            for each in topic.consumers
            if each.service == "mapping"
        ),
    ]
    kafka.ensure_topics(names)
    settings = Settings(
        environment="development",
        host="127.0.0.1",
        internal_port=0,
        database_url=urls.app_url,
        relay_url=urls.relay_url,
        kafka=KafkaSettings(
            bootstrap_servers=kafka.bootstrap_servers, session_timeout_ms=6_000, rebalance_timeout_ms=6_000
        ),
        vault=VaultSettings(
            url=openbao.url,
            role_id_file=openbao.role_id_file("mapping"),
            secret_id_file=openbao.secret_id_file("mapping"),
        ),
    )
    running = create_service(settings)
    task = asyncio.create_task(running.run())

    async def reading() -> bool:
        assert not task.done(), "the service ended"
        return all(each.assigned() for each in running.consumers.subscriptions)

    await until(reading, seconds=40, what="joining the groups")
    yield running
    running.stop()
    assert await task == 0


@pytest.fixture(scope="module")
async def producer(kafka: KafkaServer) -> AsyncIterator[Producer]:
    made = Producer(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def client(service: Service, openbao: OpenBaoServer, shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    headers = {
        "Authorization": f"Bearer {openbao.internal_token('mapping')}",
        "Suppli-Tenant": str(shop.tenant_id),
        "Suppli-Actor": "ann",
    }
    base = f"http://127.0.0.1:{service.ports['internal']}/internal/v1"
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=10) as made:
        yield made


async def test_walk_over_kafka_and_http(
    shop: Shop, client: httpx.AsyncClient, producer: Producer, kafka: KafkaServer
) -> None:
    """The main job: a poisoned message is set aside with its reason, and the sales beside it go through."""
    tied = (ConnectedLocation(location_id="L1", chosen=True, suppli_location_id="bar"),)
    connected = ConnectionChanged(
        tenant_id=shop.tenant_id,
        connection_id=shop.connection_id,
        revision=1,
        provider="square",
        environment="sandbox",
        state=ConnectionState.CONNECTED,
        changed_at=NOON,
        locations=tied,
    )
    good = [
        out_message(shop.sale(f"O{number}", line(net=100)), topic=topics.SALES_RAW) for number in range(5)
    ]
    poison = OutMessage(topics.SALES_RAW, good[0].key, b'{"lines": "none"}', good[0].headers)
    wrong = out_message(shop.sale("bad", line(quantity="lots")), topic=topics.SALES_RAW)
    await producer.publish(
        [
            out_message(connected, topic=topics.CONNECTIONS),
            out_message(
                LocationChanged(tenant_id=shop.tenant_id, location_id="bar", revision=1),
                topic=topics.CATALOG_LOCATIONS,
            ),
            out_message(
                ProductChanged(tenant_id=shop.tenant_id, product_id="p-cola", revision=1, name="Cola"),
                topic=topics.CATALOG_PRODUCTS,
            ),
            *good[:2],
            poison,
            wrong,
            *good[2:],
        ]
    )

    async def parked() -> bool:
        page = (await client.get("/items", params={"state": "unmapped", "search": "COL"})).json()
        return bool(page["items"]) and page["items"][0].get("parked_lines") == 5

    async def known() -> bool:
        body = {"targets": [{"product_id": "p-cola"}], "expected_revision": 0}
        answer = await client.put(f"/items/{item_id}/mapping", json=body)
        assert answer.status_code in (200, 422), answer.text
        return answer.status_code == 200

    await until(parked, what="parking the sales")
    item_id = shop.item_id("id:cola")
    item = (await client.get(f"/items/{item_id}")).json()
    assert [each["product_id"] for each in item["suggestions"]] == ["p-cola"]
    await until(known, what="the product's arrival")

    async def released() -> bool:
        entries = (await client.get("/snapshot", params={"limit": 2})).json()
        return len(entries["entries"]) == 2 and entries["next_cursor"] is not None

    async def all_sold() -> bool:
        found = (
            await client.get(f"/connections/{shop.connection_id}/days?from=2026-05-01&to=2026-05-31")
        ).json()
        return [day.get("sold_net") for day in found["days"]] == [500]

    await until(released, what="releasing the sales")
    await until(all_sold, what="releasing all sales")
    entry = (await client.get("/snapshot")).json()["entries"][0]
    why = (await client.get(f"/entries/{entry['entry_key']}")).json()
    assert why["order"]["run_id"] == str(shop.run_id)
    assert (why["mapping"]["actor"], why["line"]["state"], why["item"]["item_key"]) == (
        "ann",
        "mapped",
        "id:cola",
    )
    conflict = await client.put(
        f"/items/{item_id}/mapping", json={"state": "ignored", "expected_revision": 0}
    )
    assert (conflict.status_code, conflict.json()["revision"]) == (409, 1)
    letters = await dead_letters(kafka, str(shop.connection_id))
    assert {letter.get("field") for letter in letters} == {"$.lines[0].quantity", "$.lines"}, letters


async def dead_letters(kafka: KafkaServer, connection_id: str) -> list[dict[str, str]]:
    """Return the error headers of a connection's dead letters."""
    consumer = AIOKafkaConsumer(
        f"{topics.SALES_RAW}.mapping.sales.dlq",
        bootstrap_servers=kafka.bootstrap_servers,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        found = []
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [record for record in records if connection_id in (record.key or b"").decode()]
    finally:
        await consumer.stop()
    prefix = "__connect.errors."
    return [
        {
            name.removeprefix(prefix): value.decode()
            for name, value in record.headers
            if name.startswith(prefix)
        }
        for record in found
    ]


async def test_http_refuses_precisely(shop: Shop, client: httpx.AsyncClient) -> None:
    """Every wrong request is told what is wrong, and a foreign or unknown id is just not there."""
    unknown = shop.item_id("id:none")
    cases = [
        (await client.get(f"/items/{unknown}"), 404, "item-not-found"),
        (await client.put(f"/items/{unknown}/mapping", json={"state": "ignored"}), 404, "item-not-found"),
        (await client.put(f"/items/{unknown}/mapping", content=b"{"), 422, "invalid-request"),
        (await client.put(f"/items/{unknown}/mapping", json={"from_date": "soon"}), 422, "invalid-request"),
        (await client.get("/items", params={"cursor": "???"}), 422, "invalid-cursor"),
        (await client.get("/items", params={"limit": 201}), 422, "invalid-request"),
        (await client.get(f"/entries/{unknown}"), 404, "entry-not-found"),
        (
            await client.get(f"/connections/{shop.connection_id}/days?from=2026-05-02&to=2026-05-01"),
            422,
            "invalid-request",
        ),
        (await client.get("/items", headers={"Authorization": "Bearer no"}), 401, "unauthorized"),
    ]
    for answer, status, slug in cases:
        assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (status, slug), answer.text
        assert json.loads(answer.text)["title"]


async def test_items_are_paged_and_filtered(parts: Parts, shop: Shop) -> None:
    """An owner with a thousand items sees each once, those that wait first."""
    await shop.connect()
    await shop.sell(*[shop.sale(f"O{number}", line(item=f"i_{number:02}")) for number in range(12)])
    await shop.ignore("id:i_03")
    seen, cursor = [], None
    async with parts.database.transaction([shop.tenant_id]) as connection:
        while True:
            page, cursor = await reading.list_items(
                connection, state=MappingState.UNMAPPED, cursor=cursor, limit=5
            )
            seen += [item.item_key for item in page]
            if cursor is None:
                break
        found, _ = await reading.list_items(connection, search="I_0")
        nothing, _ = await reading.list_items(connection, search="%")
    assert seen == [f"id:i_{number:02}" for number in range(12) if number != 3]
    assert len(found) == 10
    assert nothing == []


async def test_migration_runs_on_a_used_database(parts: Parts) -> None:
    """A second replica migrates again at its start; nothing may break."""
    assert await migrate("suppli_mapping", parts.urls.owner_url) == "0003"
    relay = database_at(parts.urls.relay_url, pool=1)
    try:
        async with relay.transaction() as connection:
            with pytest.raises(Exception, match="permission denied"):
                await connection.exec_driver_sql("select * from items")
    finally:
        await relay.close()
