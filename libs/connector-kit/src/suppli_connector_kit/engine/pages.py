"""One page on its way: understood, compared, published; recorded later, when its edge is known."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from suppli_contracts.events.sync import RunKind
from suppli_service_kit.clock import Clock
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.kafka.producer import MAX_MESSAGE_BYTES
from suppli_service_kit.tracing import current_traceparent, span

from suppli_connector_kit.domain.decisions import Changed, Decisions, Rules, SetAside
from suppli_connector_kit.domain.versions import observed
from suppli_connector_kit.engine.ports import (
    Job,
    KnownOrders,
    Lease,
    Limits,
    PageEntry,
    Publisher,
    Queue,
    Tally,
)
from suppli_connector_kit.engine.says import SaleMessages
from suppli_connector_kit.metrics import ORDERS, PUBLISH_SECONDS
from suppli_connector_kit.protocol import OrderRef

_SLICE = 200  # orders judged between two turns of the event loop, so that answers and renewals come through
_BULK = frozenset({RunKind.BACKFILL, RunKind.SWEEP, RunKind.REPUBLISH})
_SHORT_PAGES = 2  # a run that publishes more than so many pages is bulk work, whatever it was asked for


@dataclass(frozen=True, slots=True)
class Published:
    """A page whose every message is acknowledged, waiting to be recorded."""

    instants: Sequence[int]
    decisions: Decisions

    def entry(self, waiting: Iterable[str]) -> PageEntry:
        """Return what is recorded of it, but for the coverage.

        Args:
            waiting: the connection's set-aside orders; those understood now wait no longer.
        """
        decided = self.decisions
        tally = Tally(
            orders_read=decided.read,
            orders_published=len(decided.changed),
            orders_unchanged=decided.unchanged,
            orders_set_aside=len(decided.set_aside),
            orders_before_start=decided.before_start,
            orders_elsewhere=decided.elsewhere,
            lines_published=sum(len(change.sale.lines) for change in decided.changed),
            pages=1,
        )
        return PageEntry(
            tally=tally,
            changed=decided.changed,
            set_aside=decided.set_aside,
            cleared=set(waiting).intersection(decided.understood)
            - {order.order_id for order in decided.set_aside},
        )


class PageSayer:
    """Judges the orders of pages and publishes what changed, for one run."""

    def __init__(
        self,
        job: Job,
        rules: Rules,
        *,
        books: KnownOrders,
        publisher: Publisher,
        lease: Lease,
        queue: Queue,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._job, self._rules = job, rules
        self._books, self._publisher, self._lease, self._queue = books, publisher, lease, queue
        self._clock, self._limits = clock, limits
        self._pages = 0
        self.seen: set[str] = set()
        """Orders that a sweep saw; what it should have seen and did not may be gone."""

    async def say(self, orders: list[OrderRef[Any]], gone: Sequence[Changed] = ()) -> Published:
        """Publish what changed among `orders`, and what is `gone`; return when it is acknowledged.

        Args:
            orders: taken over: the list is empty afterwards. An order that is decided takes several times the
                memory of what is said of it, and the next page is there already.
            gone: said with them.

        Raises:
            LeaseLost: the lease has not longer left than publishing may take.
            suppli_service_kit.kafka.producer.PublishFailed: Kafka did not acknowledge everything.
        """
        if self._job.kind is RunKind.SWEEP:
            self.seen.update(order.order_id for order in orders)
        decided = await self._decide(orders)
        instants = [order.modified_us for order in orders]
        orders.clear()
        decided.changed += gone
        decided.understood += [change.sale.order_id for change in gone]
        with span("publish page", orders=len(decided.changed)):
            await self._publish(await self._encode(decided))
        for outcome, count in (
            ("published", len(decided.changed)),
            ("unchanged", decided.unchanged),
            ("set_aside", len(decided.set_aside)),
            ("before_start", decided.before_start),
            ("elsewhere", decided.elsewhere),
        ):
            if count:
                ORDERS.labels(outcome).inc(count)
        return Published(instants, decided)

    async def _decide(self, orders: Sequence[OrderRef[Any]]) -> Decisions:
        decided = Decisions()
        if not orders:
            return decided
        known = await self._books.known([order.order_id for order in orders])
        for at in range(0, len(orders), _SLICE):
            self._rules.decide(orders[at : at + _SLICE], known, decided)
            await asyncio.sleep(0)
        return decided

    async def _encode(self, decided: Decisions) -> list[OutMessage]:
        if not decided.changed:
            return []
        self._pages += 1
        version = observed(self._job.fence, self._pages)
        now, traceparent = self._clock.now(), current_traceparent()
        said = SaleMessages(
            self._job, observed=version, revision=self._rules.revision, at=now, traceparent=traceparent
        )
        messages: list[OutMessage] = []
        for at in range(0, len(decided.changed), _SLICE):
            messages += [said.message(change) for change in decided.changed[at : at + _SLICE]]
            await asyncio.sleep(0)
        return _fitting(messages, decided)

    async def _let_others_go_first(self) -> None:
        behind = await self._queue.behind()
        while behind > self._limits.bulk_backlog:
            await asyncio.sleep(self._limits.bulk_wait_seconds)
            behind = await self._queue.behind()

    async def _publish(self, messages: Sequence[OutMessage]) -> None:
        if not messages:
            return
        if self._job.kind in _BULK or self._pages > _SHORT_PAGES:
            await self._let_others_go_first()
        if self._lease.remaining() <= self._limits.publish_seconds:
            await self._lease.renew()
        with PUBLISH_SECONDS.time():
            await self._publisher.publish(messages, timeout=self._limits.publish_seconds)


def _fitting(messages: list[OutMessage], decided: Decisions) -> list[OutMessage]:
    """Return the messages that Kafka takes; an order too large for it is set aside, so that the rest
    goes on.
    """
    sizes = [len(message.key or b"") + len(message.value or b"") for message in messages]
    if max(sizes) <= MAX_MESSAGE_BYTES:
        return messages
    pairs = list(zip(messages, decided.changed, sizes, strict=True))
    decided.set_aside += [
        SetAside(
            change.sale.order_id,
            change.sale.location_id,
            change.source_version,
            f"is larger ({size} bytes) than a message may be",
            None,
        )
        for _, change, size in pairs
        if size > MAX_MESSAGE_BYTES
    ]
    decided.changed[:] = [change for _, change, size in pairs if size <= MAX_MESSAGE_BYTES]
    return [message for message, _, size in pairs if size <= MAX_MESSAGE_BYTES]
