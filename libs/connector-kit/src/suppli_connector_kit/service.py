"""A connector as a process: everything but the provider."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, TypeVar

from suppli_contracts.topics import CONNECTIONS, SALES_RAW, group, registry, sync_commands
from suppli_contracts.topics import connector_service as service_name
from suppli_service_kit.database import database_at
from suppli_service_kit.internal_api import InternalToken
from suppli_service_kit.service import Service

from suppli_connector_kit.adapters.connections import ConnectionBook
from suppli_connector_kit.adapters.exchanges import ExchangeBook
from suppli_connector_kit.adapters.lag import KafkaQueue
from suppli_connector_kit.adapters.ledger import SqlLedger
from suppli_connector_kit.adapters.queue import RunQueue
from suppli_connector_kit.adapters.token_times import TokenTimes
from suppli_connector_kit.api import routes
from suppli_connector_kit.client import ProviderClient
from suppli_connector_kit.connecting import Connecting
from suppli_connector_kit.errors import ProviderError
from suppli_connector_kit.handlers import on_commands, on_connections
from suppli_connector_kit.oauth import CodeFlow
from suppli_connector_kit.protocol import Connector
from suppli_connector_kit.settings import ConnectorSettings
from suppli_connector_kit.tokens.keeper import TokenKeeper
from suppli_connector_kit.upkeep import Upkeep
from suppli_connector_kit.workers import Runner, Syncs, Workers

MIGRATIONS = "suppli_connector_kit"
"""The package whose migrations every connector's database has."""

PROVIDER_SECONDS = 10.0  # between two looks whether the provider answers, of each process
_QUEUE_POOL = 2


S = TypeVar("S", bound=ConnectorSettings)


def app_of(connector: type[CodeFlow], settings_type: type[S]) -> Callable[..., Service]:
    """Return a function that makes the service of a connector, by default with the environment's settings."""

    def create_app(settings: S | None = None) -> Service:
        chosen = settings or settings_type()
        budget = chosen.budget(connector.manifest)
        client = connector.client(chosen.base_url, budget=budget, headers=chosen.headers())
        made: Any = connector(client, web_url=chosen.web_url or "", page_size=chosen.page_size)
        return connector_service(made, chosen, client=client)

    return create_app


def connector_service(
    connector: Connector[Any], settings: ConnectorSettings, *, client: ProviderClient | None = None
) -> Service:
    """Return the service that connects one provider; nothing is connected before it runs.

    Args:
        connector: the provider.
        settings: of the service.
        client: what the connector asks with: its budgets are shared by all replicas, and it is closed at the
            end.

    Raises:
        MissingSetting: a setting is missing, or refused in production.
    """
    settings.check(connector.manifest)
    provider = connector.manifest.provider
    name = service_name(provider)
    service = Service(name, settings)
    clock, database = service.clock, service.database
    queue_database = database_at(settings.relay_dsn(), pool=_QUEUE_POOL, name=f"{name} queue")
    service.on_close(queue_database.close)

    if client is not None:
        client.share(SqlLedger(database))
        service.on_close(client.close)

    times = TokenTimes(database, queue_database, provider=provider, clock=clock)
    keeper = TokenKeeper(connector, service.vault, times, clock=clock)
    book = ConnectionBook(database, provider=provider, clock=clock)
    upkeep = Upkeep(connector, keeper, times, clock=clock)
    backlog = KafkaQueue(settings.kafka, registry((provider,))[SALES_RAW])
    service.on_close(backlog.close)

    holder = settings.instance_id or f"{socket.gethostname()}-{os.getpid()}"
    queue = RunQueue(database, queue_database, holder=holder, times=settings.lease_times(), clock=clock)
    syncs = Syncs(
        connector, keeper, database, service.producer, backlog, clock=clock, limits=settings.limits()
    )
    runner = Runner(syncs, clock=clock, times=settings.lease_times())
    workers = Workers(queue, runner, count=settings.workers)

    connecting = Connecting(
        connector, keeper, times, ExchangeBook(database), book, clock=clock, wake=upkeep.wake
    )
    token = InternalToken(service.vault, name)
    service.internal_app.include_router(routes(connector, connecting, book, token, clock=clock))

    settled = on_connections(book, connecting.settings_changed)
    service.consumers.subscribe(CONNECTIONS, group=group(name, "connections"), handler=settled)
    commanded = on_commands(book, workers.wake)
    service.consumers.subscribe(sync_commands(provider), group=group(name, "commands"), handler=commanded)

    async def provider_answers() -> str | None:
        try:
            await connector.ping()
        except ProviderError as error:
            return error.message
        return None

    service.health.register("provider", provider_answers, every=PROVIDER_SECONDS)
    service.relay_outbox()
    service.add_task("workers", workers.run)
    service.add_task("token refresh", upkeep.refresh)
    service.add_task("revocations", upkeep.revoke)
    service.add_task("figures", upkeep.measure)
    return service
