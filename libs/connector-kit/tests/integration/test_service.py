"""The whole service on real PostgreSQL, Kafka and OpenBao: from the consent to the sale, over HTTP and
Kafka.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from hvac.exceptions import InvalidPath
from pydantic_settings import SettingsConfigDict
from suppli_connector_kit.domain.instants import to_us
from suppli_connector_kit.service import connector_service
from suppli_connector_kit.settings import ConnectorSettings, RefusedSetting
from suppli_connector_kit.testing import MemoryOrder, MemoryProvider
from suppli_connector_kit.tokens.keeper import AccountKey, TokenKeeper
from suppli_connector_kit.tokens.secret import StoredTokens
from suppli_contracts.codec import encode
from suppli_contracts.events.base import Event
from suppli_contracts.events.connections import (
    ConnectedLocation,
    ConnectionChanged,
    ConnectionState,
    ZonePeriod,
)
from suppli_contracts.events.sync import RunKind, RunSync
from suppli_contracts.internal import Account, Preview
from suppli_contracts.topics import CONNECTIONS, sync_commands
from suppli_embedded.kafka import KafkaServer
from suppli_embedded.openbao import OpenBaoServer
from suppli_embedded.postgres import ServiceDatabase
from suppli_service_kit.clock import SystemClock
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.service import Service
from suppli_service_kit.settings import Environment, KafkaSettings, VaultSettings
from suppli_service_kit.vault import Vault

from .conftest import INTERNAL_TOKEN, NAME, unreadable

World = Any  # the fixture of conftest.py


class Settings(ConnectorSettings):
    model_config = SettingsConfigDict(
        env_prefix="SUPPLI_CONNECTOR_MEMORY_", populate_by_name=True, frozen=True
    )

    base_url: str = "https://memory.example"


@pytest.fixture
async def running(
    kafka: KafkaServer,
    openbao: OpenBaoServer,
    topics: str,
    vault_settings: VaultSettings,
    connector_database: ServiceDatabase,
) -> AsyncIterator[tuple[Service, MemoryProvider, httpx.AsyncClient, UUID]]:
    provider = MemoryProvider(SystemClock())
    settings = Settings(
        environment=Environment.DEVELOPMENT,
        host="127.0.0.1",
        internal_port=0,
        database_url=connector_database.app_url,
        relay_url=connector_database.relay_url,
        kafka=KafkaSettings(bootstrap_servers=topics),
        vault=vault_settings,
    )
    service = connector_service(provider, settings)
    task = asyncio.create_task(service.run())
    tenant = uuid4()
    while not service.ports and not task.done():  # noqa: ASYNC110 - a look at a condition
        await asyncio.sleep(0.05)
    headers = {
        "Authorization": f"Bearer {INTERNAL_TOKEN}",
        "Suppli-Tenant": str(tenant),
        "Suppli-Actor": "test",
    }
    base = f"http://127.0.0.1:{service.ports['internal']}"
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=20) as client:
        yield service, provider, client, tenant
    service.stop()
    assert await task == 0, "a part of the service died meanwhile"


async def say(service: Service, topic: str, event: Event) -> None:
    key, value, headers = encode(event, event_id=str(uuid4()), source="suppli/test", time=datetime.now(UTC))
    await service.producer.publish([OutMessage(topic, key, value, headers)])


async def test_from_consent_to_sale_and_to_nothing_left(
    running: tuple[Service, MemoryProvider, httpx.AsyncClient, UUID], world: World, openbao: OpenBaoServer
) -> None:
    """A shop could not connect, sync or disconnect; or a token would be found outside Vault, or left
    in it.
    """
    service, provider, client, tenant = running
    connection_id = uuid4()
    world.tenant, world.connection_id = tenant, connection_id
    path = f"/internal/v1/connections/{connection_id}"
    body = {"state": "s1", "code": "good-1", "redirect_uri": "https://us/back", "environment": "production"}

    first, second = await asyncio.gather(
        client.post(f"{path}/exchange", json=body), client.post(f"{path}/exchange", json=body)
    )
    assert first.status_code == second.status_code == 200, first.text
    assert first.content == second.content
    assert msgspec.json.decode(first.content, type=Account).account_id == "ACCOUNT"
    assert provider.calls.count("exchange good-1") == 1
    secret = openbao.login(NAME).secrets.kv.v2
    vault_path = f"suppli/tokens/memory/{tenant}/{connection_id}"
    assert secret.read_secret_version(vault_path, raise_on_deleted_version=True)["data"]["data"][
        "access_token"
    ]

    sold = datetime.now(UTC) - timedelta(hours=1)
    provider.put(MemoryOrder("O1", "L1", to_us(sold)), MemoryOrder("O2", "L1", to_us(sold) + 1, broken=True))
    preview = msgspec.json.decode((await client.get(f"{path}/preview?days=2")).content, type=Preview)
    assert [sale.order_id for sale in preview.sales] == ["O1"]

    settings = ConnectionChanged(
        tenant_id=tenant,
        connection_id=connection_id,
        revision=3,
        provider="memory",
        environment="production",
        state=ConnectionState.CONNECTED,
        changed_at=datetime.now(UTC),
        account_id="ACCOUNT",
        start_date=sold.date() - timedelta(days=1),
        locations=(
            ConnectedLocation(
                location_id="L1", chosen=True, suppli_location_id="S1", zones=(ZonePeriod(timezone="UTC"),)
            ),
        ),
    )
    command = RunSync(
        tenant_id=tenant,
        connection_id=connection_id,
        provider="memory",
        run_id=uuid4(),
        attempt=1,
        kind=RunKind.BACKFILL,
        settings_revision=3,
        requested_at=datetime.now(UTC),
    )
    await say(service, sync_commands("memory"), command)  # overtakes the settings that it presumes
    await say(service, CONNECTIONS, settings)
    ended = await world.ended()
    assert (ended.state.value, ended.counts.orders_published, ended.counts.orders_set_aside) == (
        "succeeded",
        1,
        1,
    )
    assert [sale.order_id for _, sale in await world.sales()] == ["O1"]
    aside = (await client.get(f"{path}/set-aside")).json()["orders"]
    assert [(order["order_id"], order["field_path"]) for order in aside] == [("O2", "lines[0].quantity")]

    assert (await client.post(f"{path}/revoke")).status_code == 202
    await world.until(lambda: unreadable(secret, vault_path))
    assert provider.revoked == 1
    refused = await client.post(f"{path}/test")
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (409, "reauth-required")
    foreign = await client.get(f"{path}/set-aside", headers={"Suppli-Tenant": str(uuid4())})
    assert foreign.json().get("orders", []) == []


async def test_tokens_move_to_the_accounts_own_connection_or_are_discarded_unseen(
    running: tuple[Service, MemoryProvider, httpx.AsyncClient, UUID], openbao: OpenBaoServer
) -> None:
    """Connecting an account again would lose its history, or a stray authorization would cut its access."""
    _, provider, client, tenant = running
    pending, own, stray = uuid4(), uuid4(), uuid4()
    body = {"state": "s3", "code": "good-3", "redirect_uri": "https://us/back", "environment": "production"}
    assert (await client.post(f"/internal/v1/connections/{pending}/exchange", json=body)).status_code == 200
    adopt = {"from_connection_id": str(pending)}
    for _ in range(2):
        moved = await client.post(f"/internal/v1/connections/{own}/adopt", json=adopt)
        assert moved.status_code == 200, moved.text
    assert (await client.post(f"/internal/v1/connections/{own}/test")).status_code == 200
    secret = openbao.login(NAME).secrets.kv.v2
    assert await unreadable(secret, f"suppli/tokens/memory/{tenant}/{pending}")
    missing = await client.post(f"/internal/v1/connections/{uuid4()}/adopt", json=adopt)
    assert missing.status_code == 404

    body = {**body, "state": "s4", "code": "good-4"}
    assert (await client.post(f"/internal/v1/connections/{stray}/exchange", json=body)).status_code == 200
    for _ in range(2):
        assert (await client.post(f"/internal/v1/connections/{stray}/discard")).status_code == 204
    assert await unreadable(secret, f"suppli/tokens/memory/{tenant}/{stray}")
    assert provider.revoked == 0
    assert (await client.post(f"/internal/v1/connections/{stray}/test")).status_code == 404


async def test_a_typed_token_is_tested_before_it_is_kept(
    running: tuple[Service, MemoryProvider, httpx.AsyncClient, UUID], openbao: OpenBaoServer
) -> None:
    """A slip of the finger would be stored as a secret, and the connection shown as working."""
    _, provider, client, tenant = running
    connection = uuid4()
    path = f"/internal/v1/connections/{connection}/exchange"
    body = {"state": "typed-1", "code": "", "redirect_uri": "", "environment": "production"}
    wrong = await client.post(path, json={**body, "credentials": {"token": "wrong"}})
    assert (wrong.status_code, wrong.json()["type"].rpartition("/")[2]) == (422, "code-invalid")
    secret = openbao.login(NAME).secrets.kv.v2
    with pytest.raises(InvalidPath):  # nothing was ever written there
        secret.read_secret_metadata(f"suppli/tokens/memory/{tenant}/{connection}")
    good = provider.issue().access_token
    right = await client.post(path, json={**body, "state": "typed-2", "credentials": {"token": good}})
    assert right.status_code == 200, right.text
    assert (await client.post(f"/internal/v1/connections/{connection}/test")).status_code == 200


async def test_a_used_code_and_a_foreign_address_are_refused_precisely(
    running: tuple[Service, MemoryProvider, httpx.AsyncClient, UUID],
) -> None:
    """A person would not know what to do, or a production service would send tokens to a stranger's host."""
    _, _, client, _ = running
    body = {"state": "s2", "code": "bad", "redirect_uri": "https://us/back", "environment": "production"}
    refused = await client.post(f"/internal/v1/connections/{uuid4()}/exchange", json=body)
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (422, "code-invalid")
    provider = MemoryProvider(SystemClock())
    with pytest.raises(RefusedSetting, match=r"evil\.example"):
        Settings(environment=Environment.PRODUCTION, base_url="https://evil.example").check(provider.manifest)
    Settings(environment=Environment.PRODUCTION).check(provider.manifest)


async def test_replicas_that_refresh_at_once_make_one_refresh(
    vault_settings: VaultSettings, world: World, openbao: OpenBaoServer
) -> None:
    """A single-use refresh token would be spent twice, and the shop disconnected."""
    clock = SystemClock()
    provider = MemoryProvider(clock, single_use=True, token_seconds=600)
    key = AccountKey(uuid4(), uuid4())
    replicas = [Vault(vault_settings) for _ in range(2)]
    for each in replicas:
        await each.start()
    try:
        keepers = [TokenKeeper(provider, each, world.token_times, clock=clock) for each in replicas]
        past = clock.now() - timedelta(seconds=1200)
        await keepers[0].keep(key, StoredTokens(provider.issue(), past))
        due = await world.token_times.due_refreshes()
        assert key in [each.key for each in due], "what is due is found without any tenant"
        got = await asyncio.gather(*(keeper.refresh(key) for keeper in keepers for _ in range(3)))
        assert provider.refreshes == 1
        assert {stored.tokens.access_token for stored in got} == {"access-2"}
        kept = await keepers[1].stored(key)
        assert kept is not None
        assert (kept[0].tokens.access_token, kept[0].intent) == ("access-2", None)
        await keepers[0].destroy(key)
    finally:
        for each in replicas:
            await each.stop()
