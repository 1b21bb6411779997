"""What the engine needs of the world, and the two ways in which a run ends early without having failed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from suppli_contracts.events.connections import ConnectionChanged
from suppli_contracts.events.sync import NothingFound, Republish, RunCounts, RunKind
from suppli_service_kit.kafka.messages import OutMessage

from suppli_connector_kit.domain.coverage import Span, Spans
from suppli_connector_kit.domain.decisions import Changed, Known, Recorded, SetAside
from suppli_connector_kit.protocol import CatalogItem

ORDERS = "orders"
"""The coverage stream of orders."""


class LeaseLost(Exception):
    """Somebody else holds the connection now, or may: nothing more is published or recorded."""


class RunCancelled(Exception):
    """The run was asked to stop; what is recorded stays."""


@dataclass(slots=True)
class Tally:
    """What a run has done so far; the mutable twin of `RunCounts`."""

    orders_read: int = 0
    orders_published: int = 0
    orders_unchanged: int = 0
    orders_set_aside: int = 0
    orders_before_start: int = 0
    orders_elsewhere: int = 0
    lines_published: int = 0
    items_published: int = 0
    pages: int = 0

    def counts(self) -> RunCounts:
        """Return the counts as the events carry them."""
        return RunCounts(**{name: getattr(self, name) for name in self.__slots__})

    def add(self, other: Tally) -> None:
        """Count what `other` counts, too."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Report:
    """How far a run is: what its next progress event says.

    Attributes:
        nothing_found: of a run that ends without having read an order: what that is worth.
    """

    tally: Tally
    progress: float | None = None
    nothing_found: NothingFound | None = None


@dataclass(frozen=True, slots=True)
class PageEntry:
    """What is recorded of one page, in one transaction.

    Attributes:
        changed: what was published: its hashes.
        set_aside: orders that wait for a better reading; `cleared` ones wait no longer.
        coverage: of each location that the page extended, all of its coverage as it now stands.
        tally: what the page adds to the run's counts.
    """

    tally: Tally
    changed: Sequence[Changed] = ()
    set_aside: Sequence[SetAside] = ()
    cleared: Collection[str] = ()
    coverage: Mapping[str, Spans] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KnownItem:
    """What was last said of a catalog item."""

    item: CatalogItem
    content_hash: str
    revision: int


@dataclass(frozen=True, slots=True)
class ItemEntry:
    """A catalog item that changed."""

    item: CatalogItem
    content_hash: str
    revision: int


@dataclass(frozen=True, slots=True)
class Job:
    """A run that this process holds, with what is recorded of its connection.

    Attributes:
        connection: as the gateway last said it.
        unfinished: the last holder may have published what it did not record.
        coverage: what is imported, by location.
        waiting: set-aside orders with the revision of the reading that failed on them.
        tally: what this attempt did before it was taken over.
    """

    connection: ConnectionChanged
    run_id: UUID
    attempt: int
    kind: RunKind
    fence: int
    unfinished: bool = False
    republish: Republish | None = None
    coverage: Mapping[str, Spans] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)


class Lease(Protocol):
    """The right to publish for a connection."""

    def remaining(self) -> float:
        """Return for how many seconds the lease is certainly held; 0 or less: it may be somebody else's."""
        ...

    async def renew(self) -> None:
        """Prolong it; raises `LeaseLost`, or `RunCancelled` when the run is to stop."""
        ...


class KnownOrders(Protocol):
    """What the orders of a page are compared with."""

    async def known(self, order_ids: Sequence[str]) -> Mapping[str, Known]:
        """Return what was recorded of these orders."""
        ...


class Books(KnownOrders, Protocol):
    """What is recorded of a connection. Writing happens under the lease, all or nothing."""

    async def recorded_of(self, order_ids: Sequence[str]) -> Sequence[Recorded]:
        """Return those of these orders that were said, enough to take them back."""
        ...

    async def recent(self, since_us: int, after: str, most: int) -> Sequence[Recorded]:
        """Return up to `most` orders whose recorded modification is not before `since_us` (microseconds), by
        their ids, beginning behind the id `after`.
        """
        ...

    async def record(self, entry: PageEntry, report: Report) -> None:
        """Record a page and the run's progress; raises `LeaseLost` or, having recorded, `RunCancelled`."""
        ...

    async def catalog_token(self) -> str | None:
        """Return from where the catalog's changes are read; None = from the beginning."""
        ...

    async def known_items(self, external_ids: Sequence[str] | None) -> Mapping[str, KnownItem]:
        """Return what was said of these items; None = of all that are not deleted."""
        ...

    async def record_items(self, items: Sequence[ItemEntry], token: str | None, report: Report) -> None:
        """Record and say changed items (outbox), and keep the token where there is one; raises like
        `record`.
        """
        ...


class History(Protocol):
    """When a connection sold something."""

    async def sold(self, windows: Sequence[tuple[str, Span]]) -> Sequence[bool]:
        """Return for each (location, time) whether a recorded order was last modified then."""
        ...


class Publisher(Protocol):
    """Kafka."""

    async def publish(self, messages: Sequence[OutMessage], *, timeout: float) -> None:
        """Return when every message is acknowledged; raise otherwise."""
        ...


class Queue(Protocol):
    """How far those are behind whom bulk work must not hold up."""

    async def behind(self) -> int:
        """Return how many records the slowest group has not read yet."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """The engine's settings.

    Attributes:
        safety_lag: how far coverage stays behind the provider's clock.
        overlap: how far every window goes back over what is covered.
        publish_seconds: how long publishing a page may take; the lease must have longer left.
        walks: most walks of this process at once is bounded outside; this is one run's.
        bulk_backlog: a backfill waits while readers are further behind than this many records.
        bulk_wait_seconds: how often it looks again.
    """

    safety_lag: timedelta = timedelta(seconds=2)
    overlap: timedelta = timedelta(minutes=10)
    publish_seconds: float = 10.0
    walks: int = 3
    bulk_backlog: int = 5_000
    bulk_wait_seconds: float = 0.5
