"""The service, wired."""

from __future__ import annotations

from suppli_contracts import topics
from suppli_service_kit.database import database_at
from suppli_service_kit.direct import DirectPublisher
from suppli_service_kit.internal_api import InternalToken, internal_caller
from suppli_service_kit.service import Service

from suppli_mapping.adapters.raw_sales import KafkaRawSales
from suppli_mapping.api import mapping_api
from suppli_mapping.catalogs import CatalogKeeper
from suppli_mapping.daykeeping import DayKeeper
from suppli_mapping.hearing import RunHearer
from suppli_mapping.recording import SalesRecorder
from suppli_mapping.restating import Restater
from suppli_mapping.settings import Settings

NAME = "mapping"


def create_service(settings: Settings | None = None) -> Service:
    """Return the service, not started.

    Raises:
        MissingSetting: a database URL is not set.
    """
    settings = settings or Settings()
    service = Service(NAME, settings)
    relay_database = database_at(settings.relay_dsn(), pool=2, name=f"{settings.instance_id or NAME}-queue")
    service.on_close(relay_database.close)
    direct = service.publish_directly(relay_database)
    restater = Restater(
        service.database,
        relay_database,
        service.clock,
        direct,
        chunk_lines=settings.restate_chunk_lines,
        outbox_limit=settings.restate_outbox_limit,
    )
    _subscribe(service, restater, direct)
    service.internal_app.include_router(
        mapping_api(
            service.database,
            service.clock,
            internal_caller(InternalToken(service.vault, NAME)),
            wake=restater.wake,
        )
    )
    service.add_task("restatement", restater.run)
    raw_sales = KafkaRawSales(settings.kafka, topics.SALES_RAW, topics.group(NAME, "sales"))
    service.on_close(raw_sales.close)
    days = DayKeeper(service.database, relay_database, service.clock, raw_sales, wake=restater.wake)
    service.add_task("days", days.run)
    return service


def _subscribe(service: Service, restater: Restater, direct: DirectPublisher) -> None:
    sales = SalesRecorder(service.database, service.clock, direct)
    catalogs = CatalogKeeper(service.database, service.clock, wake=restater.wake)
    runs = RunHearer(service.database)
    for topic, purpose, handler in (
        (topics.SALES_RAW, "sales", sales.on_sales),
        (topics.SYNC_EVENTS, "sync-events", runs.on_sync_events),
        (topics.CONNECTIONS, "connections", catalogs.on_connections),
        (topics.CATALOG_LOCATIONS, "locations", catalogs.on_locations),
        (topics.CATALOG_PRODUCTS, "products", catalogs.on_products),
        (topics.CATALOG_EXTERNAL, "external-items", catalogs.on_external_items),
    ):
        service.consumers.subscribe(topic, group=topics.group(NAME, purpose), handler=handler)
