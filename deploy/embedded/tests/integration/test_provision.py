"""The topics' step against a real broker."""

import asyncio
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from suppli_embedded.errors import EmbeddedError
from suppli_embedded.kafka import KafkaServer
from suppli_embedded.provision import topics
from suppli_service_kit.ids import new_id


async def retention(bootstrap_servers: str, name: str) -> str:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    finally:
        await admin.close()
    ((*_, entries),) = answer.resources
    return str(next(entry[1] for entry in entries if entry[0] == "retention.ms"))


def write(path: Path, name: str, partitions: int, retention_ms: int) -> Path:
    config = f"{{cleanup.policy: delete, retention.ms: {retention_ms}, min.insync.replicas: 2}}"
    path.write_text(f"topics:\n- {{name: {name}, partitions: {partitions}, config: {config}}}\n")
    return path


def test_a_second_deployment_changes_settings_and_never_partitions(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    """Else a new retention would stay on paper, or an order's versions would be spread over partitions."""
    name, file = f"provision-{new_id()}", tmp_path / "topics.yaml"
    servers = kafka.bootstrap_servers
    try:
        topics(servers, write(file, name, 2, 1_000_000), 1)
        assert asyncio.run(retention(servers, name)) == "1000000"
        topics(servers, write(file, name, 2, 2_000_000), 1)
        assert asyncio.run(retention(servers, name)) == "2000000"
        with pytest.raises(EmbeddedError, match="has 2 partitions instead of 3"):
            topics(servers, write(file, name, 3, 2_000_000), 1)
    finally:
        kafka.delete_topics([name])
