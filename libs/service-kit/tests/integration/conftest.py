"""A database with an outbox, as a service's migrations make it, and a producer."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from suppli_service_kit.database import migrate
from suppli_service_kit.kafka.producer import Producer
from suppli_service_kit.settings import KafkaSettings

REVISION = """
from alembic import op
from suppli_service_kit.database import inbox_table, outbox_tables, service_roles, tenant_isolation

revision = "0001"
down_revision = None


def upgrade() -> None:
    roles = service_roles(op.get_bind())
    op.execute("create table item (tenant_id uuid not null, name text not null)")
    for statement in [*tenant_isolation("item"), *outbox_tables(roles.relay), *inbox_table(roles.app)]:
        op.execute(statement)
"""


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("packages")
    versions = root / "kit_sample" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (root / "kit_sample" / "__init__.py").write_text(
        "raise RuntimeError('migrating must not import the service')\n"
    )
    (versions / "0001_first.py").write_text(REVISION)
    sys.path.insert(0, str(root))
    yield "kit_sample"
    sys.path.remove(str(root))


@pytest.fixture
async def urls(make_database: Callable[[str], Any], package: str) -> Any:
    made = make_database("kit")
    await migrate(package, made.owner_url)
    return made


@pytest.fixture
async def producer(kafka: Any) -> AsyncIterator[Producer]:
    producer = Producer(KafkaSettings(bootstrap_servers=kafka.bootstrap_servers))
    yield producer
    await producer.stop()
