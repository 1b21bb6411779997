"""What lies on Kafka while the whole system works is what the registry promises those who read it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from suppli_contracts.events import ExternalItemChanged
from suppli_contracts.topics import CATALOG_EXTERNAL, REGISTRY
from suppli_demo.consumer import everything_on
from suppli_demo.system import System

from tests.e2e.clover import connect_clover, new_merchant
from tests.e2e.conftest import ZONE, World

Said = tuple[str, str, str]

# A file has no catalog: its items come with the lines.
NEVER_SAID = {("suppli/connector-upload", CATALOG_EXTERNAL, ExternalItemChanged.event_type)}


def test_services_say_and_read_only_what_the_registry_says(
    system: System, make_world: Callable[..., World]
) -> None:
    """A topic, event or group that is not registered is in no document, and has no right in production."""
    world = make_world(orders=20)
    connection = world.connect(schedule={"kind": "cron", "cron": "30 4 * * *", "timezone": ZONE})
    world.map_everything(connection)
    world.settle(connection)
    connect_clover(world.shop, new_merchant(system))
    servers = system.runtime.kafka.bootstrap_servers
    said = asyncio.run(everything_said(servers))
    registered = {
        (f"suppli/{producer.service}", topic.name, event.event_type)
        for topic in REGISTRY.values()
        for producer in topic.producers
        for event in producer.events
    }
    assert said - registered == set()
    # Only a refused authorization and a person who cancels are not part of every run of these tests.
    silent = {kind.rsplit(".", 2)[-2] for _, _, kind in registered - said - NEVER_SAID}
    assert silent <= {"ReauthRequired", "CancelSync"}
    groups = {each.group: topic.name for topic in REGISTRY.values() for each in topic.consumers}
    read = asyncio.run(topics_read(servers))
    assert {group: topics for group, topics in read.items() if not group.endswith(".replay")} == {
        group: {topic} for group, topic in groups.items()
    }


async def everything_said(servers: str) -> set[Said]:
    """Return who said which event on which topic, of all that is on Kafka now; dead letters apart."""
    async with AIOKafkaConsumer(bootstrap_servers=servers) as consumer:
        names = [name for name in await consumer.topics() if not name.startswith("__")]
    found: set[Said] = set()
    async for record in everything_on(servers, *(name for name in names if not name.endswith(".dlq"))):
        headers = {name: value.decode() for name, value in record.headers}
        # Without a source: what other tests put there to poison a reader, or to be found.
        if record.value is not None and "ce_source" in headers:
            found.add((headers["ce_source"], record.topic, headers["ce_type"]))
    return found


async def topics_read(servers: str) -> dict[str, set[str]]:
    """Return the topics that each consumer group has read, as the broker knows by its offsets."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        groups = [group for group, *_ in await admin.list_consumer_groups()]
        return {
            group: {part.topic for part in await admin.list_consumer_group_offsets(group)}
            for group in groups
            if group
        }
    finally:
        await admin.close()
