"""The topic registry: one entry per topic says who writes it, who reads it and how long it is kept.

`deploy/kafka/topics.yaml` and `acls.yaml` and the AsyncAPI document are generated from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import entry_points

from suppli_contracts.events import (
    CancelSync,
    ConnectionChanged,
    Event,
    ExternalItemChanged,
    ItemUnmapped,
    LocationChanged,
    MappingChanged,
    NextSyncScheduled,
    ProductChanged,
    ProductSaleRecorded,
    ReauthRequired,
    RunSync,
    SaleRecorded,
    SalesDayStated,
    SyncRunChanged,
)

DAY_MS = 24 * 60 * 60 * 1000
_SALES_PARTITIONS = 12
_OTHER_PARTITIONS = 6


class Cleanup(StrEnum):
    """How Kafka thins a topic out."""

    DELETE = "delete"
    COMPACT = "compact"


@dataclass(frozen=True, slots=True)
class Consumer:
    """A consumer group and the service that runs it."""

    service: str
    group: str


@dataclass(frozen=True, slots=True)
class Producer:
    """A service that writes a topic, and which of its events it says."""

    service: str
    events: tuple[type[Event], ...]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    Attributes:
        name: the full name; the `v` at its end changes only when schemas cannot stay compatible.
        description: what a record means.
        key: what the key is, in words.
        producers: the services that may write it, and what each says.
        consumers: the groups that read it; a backfill yields to those of them in `yields_to`.
        partitions: never changed within a version.
        retention_days: None where compaction keeps the latest value for good.
        yields_to: groups whose lag holds a backfill back.
    """

    name: str
    description: str
    key: str
    producers: tuple[Producer, ...]
    consumers: tuple[Consumer, ...]
    partitions: int = _OTHER_PARTITIONS
    cleanup: Cleanup = Cleanup.DELETE
    retention_days: int | None = 30
    yields_to: tuple[str, ...] = field(default=())

    @property
    def events(self) -> tuple[type[Event], ...]:
        """What may be on it."""
        return tuple(dict.fromkeys(event for producer in self.producers for event in producer.events))

    def dead_letter(self, group: str) -> str:
        """Return the dead-letter topic of one of the consuming groups."""
        return f"{self.name}.{group}.dlq"


def group(service: str, purpose: str) -> str:
    """Return the consumer group's name: one per service and subscription."""
    return f"{service}.{purpose}"


CONNECTIONS = "suppli.connections.v1"
SYNC_EVENTS = "suppli.sync.events.v1"
SALES_RAW = "suppli.sales.raw.v1"
SALES_PRODUCTS = "suppli.sales.products.v1"
SALES_DAYS = "suppli.sales.days.v1"
CATALOG_EXTERNAL = "suppli.catalog.external.v1"
CATALOG_PRODUCTS = "suppli.catalog.products.v1"
CATALOG_LOCATIONS = "suppli.catalog.locations.v1"
MAPPING_EVENTS = "suppli.mapping.events.v1"


def sync_commands(provider: str) -> str:
    """Return the name of a provider's command topic."""
    return f"suppli.sync.commands.{provider}.v1"


def connector_service(provider: str) -> str:
    """Return the name of the service that connects a provider."""
    return f"connector-{provider}"


def registry(providers: tuple[str, ...]) -> dict[str, Topic]:
    """Return every topic by name, for the providers that are deployed.

    Args:
        providers: their short names; each has a command topic and may write raw sales.
    """
    connectors = tuple(connector_service(provider) for provider in providers)
    topics = (
        Topic(
            name=CONNECTIONS,
            description="Each connection with its settings, as it now stands",
            key="connection",
            producers=(Producer("gateway", (ConnectionChanged,)),),
            consumers=(
                *(Consumer(name, group(name, "connections")) for name in connectors),
                Consumer("mapping", group("mapping", "connections")),
                Consumer("sync-scheduler", group("sync-scheduler", "connections")),
            ),
            cleanup=Cleanup.COMPACT,
            retention_days=None,
        ),
        *(_commands(provider) for provider in providers),
        Topic(
            name=SYNC_EVENTS,
            description="What becomes of runs, when the next one is due, and connections that need a person",
            key="connection",
            producers=(
                Producer("sync-scheduler", (SyncRunChanged, NextSyncScheduled)),
                *(Producer(name, (SyncRunChanged, ReauthRequired)) for name in connectors),
            ),
            consumers=(
                Consumer("gateway", group("gateway", "sync-events")),
                Consumer("mapping", group("mapping", "sync-events")),
                Consumer("sync-scheduler", group("sync-scheduler", "sync-events")),
            ),
        ),
        Topic(
            name=SALES_RAW,
            description="Each order as it now is, without personal data",
            key="connection + order",
            producers=tuple(Producer(name, (SaleRecorded,)) for name in connectors),
            consumers=(Consumer("mapping", group("mapping", "sales")),),
            partitions=_SALES_PARTITIONS,
            retention_days=90,
            yields_to=(group("mapping", "sales"),),
        ),
        Topic(
            name=CATALOG_EXTERNAL,
            description="Each thing that a provider's catalog sells",
            key="connection + item",
            producers=tuple(Producer(name, (ExternalItemChanged,)) for name in connectors),
            consumers=(Consumer("mapping", group("mapping", "external-items")),),
            cleanup=Cleanup.COMPACT,
            retention_days=None,
        ),
        Topic(
            name=CATALOG_PRODUCTS,
            description="Each Suppli product",
            key="tenant + product",
            producers=(Producer("gateway", (ProductChanged,)),),
            consumers=(Consumer("mapping", group("mapping", "products")),),
            cleanup=Cleanup.COMPACT,
            retention_days=None,
        ),
        Topic(
            name=CATALOG_LOCATIONS,
            description="Each Suppli location",
            key="tenant + location",
            producers=(Producer("gateway", (LocationChanged,)),),
            consumers=(Consumer("mapping", group("mapping", "locations")),),
            cleanup=Cleanup.COMPACT,
            retention_days=None,
        ),
        Topic(
            name=SALES_PRODUCTS,
            description="What order lines mean for products, as standing values and deltas",
            key="tenant + product",
            producers=(Producer("mapping", (ProductSaleRecorded,)),),
            consumers=(),
            partitions=_SALES_PARTITIONS,
            retention_days=90,
        ),
        Topic(
            name=SALES_DAYS,
            description="What is known of each business day of a Suppli location, by the ways its sales come",
            key="tenant + location + business date",
            producers=(Producer("mapping", (SalesDayStated,)),),
            consumers=(Consumer("gateway", group("gateway", "sales-days")),),
            partitions=_SALES_PARTITIONS,
            cleanup=Cleanup.COMPACT,
            retention_days=None,
        ),
        Topic(
            name=MAPPING_EVENTS,
            description="Items that wait for a mapping, and mappings that changed",
            key="tenant + external item",
            producers=(Producer("mapping", (ItemUnmapped, MappingChanged)),),
            consumers=(Consumer("gateway", group("gateway", "mapping-events")),),
        ),
    )
    return {topic.name: topic for topic in topics}


def _commands(provider: str) -> Topic:
    service = connector_service(provider)
    return Topic(
        name=sync_commands(provider),
        description="Runs that the connector is to do, or to stop",
        key="connection",
        producers=(Producer("sync-scheduler", (RunSync, CancelSync)),),
        consumers=(Consumer(service, group(service, "commands")),),
        retention_days=7,
    )


def installed_connectors() -> dict[str, str]:
    """Return the package of each connector that is installed here, by provider: entry points of
    `suppli.connectors`.
    """
    found = entry_points(group="suppli.connectors")
    return dict(sorted((entry.name, entry.module.partition(".")[0]) for entry in found))


REGISTRY: dict[str, Topic] = registry(tuple(installed_connectors()))
"""Every topic by name, for the connectors that are installed here."""
