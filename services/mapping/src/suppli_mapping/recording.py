"""Raw sales into the ledger and out as product sales: one transaction for some hundred orders."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.codec import decode_as
from suppli_contracts.envelope import Envelope
from suppli_contracts.errors import BadEvent
from suppli_contracts.events.sales import SaleLine, SaleRecorded
from suppli_service_kit import metrics, tracing
from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database
from suppli_service_kit.direct import DirectPublisher, Parcel
from suppli_service_kit.kafka.batches import BadMessage
from suppli_service_kit.kafka.messages import InMessage, OutMessage
from suppli_service_kit.outbox import enqueue

from suppli_mapping.adapters import entries, ledger, marks, messages
from suppli_mapping.adapters import items as item_store
from suppli_mapping.adapters.items import FoundItem, KnownItem, RulesCache
from suppli_mapping.adapters.ledger import Line, Order
from suppli_mapping.adapters.places import KnownConnection, load_connections
from suppli_mapping.announcing import announcements
from suppli_mapping.books import books
from suppli_mapping.domain.diff import Change, Stored, cause_of
from suppli_mapping.domain.entries import LINE, Book, LineState, Part
from suppli_mapping.domain.items import kind_of
from suppli_mapping.domain.orders import BadSale, OrderDay, check, days, parts
from suppli_mapping.domain.restate import say
from suppli_mapping.domain.units import BadQuantity

DROPPED = metrics.counter(
    "suppli_mapping_dropped_sales_total", "Raw sales that changed nothing, by why.", ["reason"]
)
LINES = metrics.counter(
    "suppli_mapping_lines_total", "Parts of order lines taken into the ledger.", ["state"]
)

_UNKNOWN = KnownConnection()
_EMPTY_BOOK = Book({}, {})
_NO_ENTRIES: Mapping[str, Stored] = {}
Sale = tuple[SaleRecorded, str]
SaleParts = list[tuple[Part, SaleLine, str]]


# Two transactions of a batch overlap: while the database works for one, the other is decoded and said.
TRANSACTION_ORDERS = 250


class SalesRecorder:
    """Handles batches of raw sales. Repeats, old versions and erased connections change nothing."""

    def __init__(self, database: Database, clock: Clock, direct: DirectPublisher) -> None:
        """`direct` publishes the product sales."""
        self._database = database
        self._clock = clock
        self._direct = direct
        self._rules = RulesCache()

    async def on_sales(self, batch: Sequence[InMessage]) -> None:
        """Take a batch into the ledger; durable when it returns.

        Raises:
            BadMessage: a message is no sale, or one that contradicts itself. Others of the batch may have
                been taken then: they are repeats when it comes again.
        """
        parts = [
            batch[first : first + TRANSACTION_ORDERS] for first in range(0, len(batch), TRANSACTION_ORDERS)
        ]
        if len(parts) == 1:
            await self._record(parts[0])
            return
        outcomes = await asyncio.gather(*map(self._record, parts), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    async def _record(self, messages: Sequence[InMessage]) -> None:
        """Take messages in one transaction, then publish what it says."""
        sales = newest([read(message) for message in messages])
        tenants = {sale.tenant_id for sale, _ in sales}
        causes = {message.headers.get("ce_id"): message.headers.get("traceparent") for message in messages}
        with tracing.branches("map sales", causes.values()) as sent_on:
            async with self._database.transaction(tenants) as connection:
                await ledger.lock_tenants(connection, tenants)
                traces = {event_id: sent_on[causes.get(event_id)] for _, event_id in sales}
                work = _Batch(connection, traces, self._rules, self._clock.now())
                parcel = await work.record(sales, self._direct)
            self._direct.send(parcel)


def read(message: InMessage) -> Sale:
    """Return the sale of a message and its event id.

    Raises:
        BadMessage: it is no raw sale, says another tenant than its header, or contradicts itself.
    """
    try:
        envelope: Envelope = message.envelope
        sale = decode_as(SaleRecorded, message.value)
        check(sale)
    except BadSale as error:
        raise BadMessage(str(error), message, error.field) from error
    except BadEvent as error:
        raise BadMessage(str(error), message, error.field) from error
    if envelope.tenant != sale.tenant_id:
        raise BadMessage("ce_tenant and tenant_id differ", message, "$.tenant_id")
    return sale, envelope.id


def newest(sales: Sequence[Sale]) -> list[Sale]:
    """Return each order's newest version, sorted as orders are locked."""
    best: dict[tuple[int, int, str], Sale] = {}
    for each in sales:
        sale = each[0]
        key = (sale.tenant_id.int, sale.connection_id.int, sale.order_id)
        held = best.get(key)
        if held is None or (held[0].source_version, held[0].observed) < (sale.source_version, sale.observed):
            best[key] = each
    DROPPED.labels("repeated").inc(len(sales) - len(best))
    return [best[key] for key in sorted(best)]


class _Batch:
    """One transaction's work."""

    def __init__(
        self,
        connection: AsyncConnection,
        traces: Mapping[str, str | None],
        rules: RulesCache,
        now: datetime,
    ) -> None:
        """Prepare; `traces` has the traceparent to send on for each raw sale's event id."""
        self._connection = connection
        self._rules = rules
        self._now = now
        self._connections: dict[tuple[UUID, UUID], KnownConnection] = {}
        self._items: dict[tuple[UUID, UUID], KnownItem] = {}
        self._books: dict[UUID, Book] = {}
        self._known: dict[int, set[tuple[str, str]]] = {}
        self._entries: dict[int, dict[str, Stored]] = {}
        self._parked: set[UUID] = set()
        self._lines: list[Line] = []
        self._days: list[tuple[Order, str, OrderDay]] = []
        self._changes: list[tuple[Order, Change]] = []
        self._messages: list[OutMessage] = []
        self._marks = marks.Marks()
        self._traceparent = tracing.current_traceparent()
        self._traces = traces
        self._speakers: dict[tuple[UUID, str | None], messages.Speaker] = {}

    async def record(self, sales: list[Sale], direct: DirectPublisher) -> Parcel | None:
        """Take the sales into the ledger; return what is to be published after the commit."""
        self._connections = await load_connections(
            self._connection, {sale.connection_id for sale, _ in sales}
        )
        alive = [each for each in sales if not self._connection_of(each[0]).erased]
        DROPPED.labels("erased").inc(len(sales) - len(alive))
        taken = await self._take(alive)
        DROPPED.labels("older").inc(len(alive) - len(taken))
        if not taken:
            return None
        split = [(order, sale, list(parts(sale))) for order, sale in taken]
        await self._load_items(split)
        for order, sale, sale_parts in split:
            try:
                self._say(order, sale, sale_parts)
            except BadQuantity as error:
                raise BadMessage(str(error)) from error
        await self._write()
        return await direct.write(self._connection, self._messages)

    async def _take(self, sales: list[Sale]) -> list[tuple[Order, SaleRecorded]]:
        if not sales:
            return []
        numbers = await ledger.take_orders(self._connection, sales)
        taken = []
        for sale, event_id in sales:
            found = numbers.get((sale.tenant_id.int, sale.connection_id.int, sale.order_id))
            if found is not None:
                order = Order(
                    found[0], sale.tenant_id, sale.connection_id, sale.order_id, sale.location_id,
                    sale.channel, event_id, sale.run_id,
                )  # fmt: skip
                taken.append((order, sale))
        if changed := [number for number, is_new in numbers.values() if not is_new]:
            self._known = await ledger.drop_lines(self._connection, changed)
            for tenant_id, connection_id, location_id, day in await ledger.drop_days(
                self._connection, changed
            ):
                known = self._connections.get((tenant_id, connection_id), _UNKNOWN)
                self._marks.add(tenant_id, known.place(location_id).location_id, day)
            self._entries = await entries.entries_of(self._connection, changed)
        return taken

    async def _load_items(self, split: list[tuple[Order, SaleRecorded, SaleParts]]) -> None:
        found: dict[tuple[int, int], FoundItem] = {}
        for order, _, sale_parts in split:
            tenant = order.tenant_id.int
            for part, line, key in sale_parts:
                identity = (tenant, part.item_id.int)
                if identity not in found:
                    found[identity] = _found_item(order, part, line, key)
        wanted = {(item.tenant_id, item.item_id): item for item in found.values()}
        self._items = await item_store.load_items(
            self._connection, {item_id for _, item_id in wanted}, self._rules
        )
        unknown = [item for identity, item in wanted.items() if identity not in self._items]
        if unknown:
            await item_store.add_items(self._connection, unknown)
            self._items |= await item_store.load_items(
                self._connection, [item.item_id for item in unknown], self._rules
            )
        self._books = await books(self._connection, self._items)

    def _say(self, order: Order, sale: SaleRecorded, sale_parts: SaleParts) -> None:
        known = self._known.get(order.order_no, ())
        connection = self._connection_of(sale)
        place = connection.place(sale.location_id)
        said = say(
            order.connection_id,
            order.order_id,
            [
                (part, cause_of(part.disposition, known=(part.line_id, part.part) in known))
                for part, _, _ in sale_parts
            ],
            self._entries.get(order.order_no, _NO_ENTRIES),
            book=self._books.get(order.tenant_id, _EMPTY_BOOK),
            place=place,
        )
        for (part, line, _), (revision, state) in zip(sale_parts, said.states, strict=True):
            if state is LineState.PARKED:
                self._parked.add(part.item_id)
            self._lines.append(Line(order, part, revision, state, line.reason))
        speaker = self._speaker(order)
        for change in said.changes:
            self._changes.append((order, change))
            self._messages.append(speaker.product_sale(order, change, connection.first_day))
        for day in days(sale):
            self._days.append((order, sale.currency, day))
            self._marks.add(order.tenant_id, place.location_id, day.business_date)

    def _speaker(self, order: Order) -> messages.Speaker:
        trace = self._traces.get(order.raw_event_id, self._traceparent)
        speaker = self._speakers.get((order.tenant_id, trace))
        if speaker is None:
            speaker = messages.Speaker(order.tenant_id, at=self._now, traceparent=trace)
            self._speakers[order.tenant_id, trace] = speaker
        return speaker

    async def _write(self) -> None:
        await ledger.add_lines(self._connection, self._lines)
        await ledger.add_days(self._connection, self._days)
        await entries.put_entries(self._connection, self._changes)
        await self._marks.write(self._connection)
        waiting = {
            item_id
            for (_, item_id), item in self._items.items()
            if item_id in self._parked and not item.announced
        }
        if waiting:
            said = await announcements(self._connection, waiting, self._now, self._traceparent)
            await enqueue(self._connection, said)
        for state, count in Counter(line.state for line in self._lines).items():
            LINES.labels(state).inc(count)

    def _connection_of(self, sale: SaleRecorded) -> KnownConnection:
        return self._connections.get((sale.tenant_id, sale.connection_id), _UNKNOWN)


def _found_item(order: Order, part: Part, line: SaleLine, key: str) -> FoundItem:
    kind = kind_of(key)
    if part.part != LINE:
        name = next((each.name for each in line.modifiers if each.modifier_id == part.part), None)
        return FoundItem(order.tenant_id, order.connection_id, part.item_id, key, kind, part.unit, name)
    return FoundItem(
        order.tenant_id, order.connection_id, part.item_id, key, kind, part.unit, line.name,
        line.variation_name, line.sku, line.barcode, line.category,
    )  # fmt: skip
