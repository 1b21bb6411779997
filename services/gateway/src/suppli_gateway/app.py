"""Wires the gateway: the only place where its parts are made."""

from __future__ import annotations

from suppli_contracts.topics import MAPPING_EVENTS, SALES_DAYS, SYNC_EVENTS, connector_service, group
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import database_at
from suppli_service_kit.http_client import Timeouts
from suppli_service_kit.internal_api import InternalClient, InternalToken
from suppli_service_kit.service import Service
from suppli_service_kit.urls import libpq_url

from suppli_gateway.api import create_api
from suppli_gateway.auth.keys import SigningKeys
from suppli_gateway.auth.tokens import TokenReader
from suppli_gateway.background import Background
from suppli_gateway.consumers import MappingEvents, SalesDays, SyncEvents
from suppli_gateway.context import Gateway
from suppli_gateway.due import DueWork
from suppli_gateway.events.hub import Hub
from suppli_gateway.oauth.service import FILES as UPLOADS
from suppli_gateway.outages import Outages
from suppli_gateway.services import (
    MAPPING,
    SCHEDULER,
    Connector,
    MappingService,
    Scheduler,
    Services,
    UploadService,
)
from suppli_gateway.settings import Settings

NAME = "gateway"


def create_service(settings: Settings, *, clock: Clock | None = None) -> Service:
    """Return the gateway as a process; nothing is connected yet."""
    service = Service(NAME, settings, clock=clock)
    gateway = _gateway(service, settings)
    service.serve_public(create_api(gateway))
    service.consumers.subscribe(
        SYNC_EVENTS, group=group(NAME, "sync-events"), handler=SyncEvents(service.database, service.clock)
    )
    service.consumers.subscribe(
        MAPPING_EVENTS, group=group(NAME, "mapping-events"), handler=MappingEvents(service.database)
    )
    service.consumers.subscribe(
        SALES_DAYS, group=group(NAME, "sales-days"), handler=SalesDays(service.database)
    )
    service.relay_outbox()
    service.add_task("live events", gateway.hub.run)
    service.add_task("background", Background(gateway).run)
    service.health.register("live-events", gateway.hub.check)
    return service


def _gateway(service: Service, settings: Settings) -> Gateway:
    keys = SigningKeys(
        settings.jwks_url, max_age=settings.jwks_max_age_seconds, retry_after=settings.jwks_retry_seconds
    )
    service.on_close(keys.close)
    service.health.register("identity-provider", keys.check)
    tokens = TokenReader(keys, issuer=settings.issuer, audience=settings.audience, clock=service.clock)
    relay_database = database_at(settings.relay_dsn(), pool=1, name="gateway-due")
    service.on_close(relay_database.close)
    services = _services(service, settings)
    service.on_close(services.close)
    outages = Outages(service.health)
    outages.look_at(services)
    return Gateway(
        settings=settings,
        database=service.database,
        clock=service.clock,
        tokens=tokens,
        services=services,
        hub=Hub(libpq_url(settings.database_dsn()), max_streams=settings.max_streams),
        due=DueWork(relay_database),
        outages=outages,
    )


def _services(service: Service, settings: Settings) -> Services:
    patience = settings.internal_timeout_seconds
    timeouts = Timeouts(connect=2.0, read=patience, total=patience)

    def client(name: str, url: str) -> InternalClient:
        return InternalClient(url, InternalToken(service.vault, name), service=name, timeouts=timeouts)

    connectors = {
        provider: Connector(client(connector_service(provider), url), connector_service(provider))
        for provider, url in settings.connector_urls.items()
    }
    # What a person waits for is a matter of seconds, a large file's way one of minutes.
    arriving = Timeouts(connect=2.0, read=patience, write=patience, total=settings.upload_seconds)
    url = settings.connector_urls.get(UPLOADS)
    files = None
    if url is not None:
        name = connector_service(UPLOADS)
        token = InternalToken(service.vault, name)
        files = UploadService(InternalClient(url, token, service=name, timeouts=arriving), name)
    return Services(
        connectors=connectors,
        files=files,
        scheduler=Scheduler(client(SCHEDULER, settings.sync_scheduler_url), SCHEDULER),
        mapping=MappingService(client(MAPPING, settings.mapping_url), MAPPING),
    )
