"""Orders of one merchant, kept sorted per location so that a page is a bisect and a join of bytes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from suppli_sandbox.times import format_us, parse_us

Json = dict[str, Any]
SortField = Literal["CREATED_AT", "UPDATED_AT", "CLOSED_AT"]
Key = tuple[int, str]

# Where a template has its own id, the id of the order it returns, the instant of payment, its location.
OWN_ID, SOURCE_ID, PAID_AT, PLACE = "@@own@@", "@@source@@", "@@paid@@", "@@place@@"
_OWN, _SOURCE, _PAID, _PLACE = (mark.encode() for mark in (OWN_ID, SOURCE_ID, PAID_AT, PLACE))


class Template:
    """An encoded order without ids and instants, shared by every generated order that looks like it."""

    __slots__ = ("body", "has_source", "state", "version")

    def __init__(self, order: Json) -> None:
        self.state: str = order["state"]
        self.version: int | None = order.get("version")
        encoded = msgspec.json.encode(order)
        self.has_source = _SOURCE in encoded
        self.body = encoded[1:]  # the opening brace is written together with the ids

    def render(self, order: StoredOrder) -> bytes:
        """Return the order as JSON bytes."""
        closed = "" if order.closed_us is None else f'"closed_at":"{format_us(order.closed_us)}",'
        head = (
            f'{{"id":"{order.id}","location_id":"{order.location_id}",'
            f'"created_at":"{format_us(order.created_us)}","updated_at":"{format_us(order.updated_us)}",{closed}'
        )
        paid_at = format_us(order.closed_us or order.created_us)
        body = self.body.replace(_OWN, order.id.encode()).replace(_PAID, paid_at.encode())
        body = body.replace(_PLACE, order.location_id.encode())
        if self.has_source:
            body = body.replace(_SOURCE, (order.source_id or "").encode())
        return head.encode() + body


class StoredOrder:
    """One order: what searches need as attributes, the rest as encoded bytes or a shared template."""

    __slots__ = (
        "closed_us", "created_us", "id", "location_id", "raw", "source_id", "state", "template", "updated_us",
    )  # fmt: skip

    def __init__(
        self,
        order_id: str,
        location_id: str,
        state: str,
        created_us: int,
        updated_us: int,
        closed_us: int | None,
        *,
        template: Template | None = None,
        source_id: str | None = None,
        raw: bytes | None = None,
    ) -> None:
        self.id = order_id
        self.location_id = location_id
        self.state = state
        self.created_us = created_us
        self.updated_us = updated_us
        self.closed_us = closed_us
        self.template = template
        self.source_id = source_id
        self.raw = raw

    @classmethod
    def of(cls, order: Json) -> StoredOrder:
        """Store a whole order object. Raises KeyError or ValueError without id, location, state or times."""
        closed = order.get("closed_at")
        return cls(
            order["id"],
            order["location_id"],
            order["state"],
            parse_us(order["created_at"]),
            parse_us(order["updated_at"]),
            None if closed is None else parse_us(closed),
            raw=msgspec.json.encode(order),
        )

    def encoded(self) -> bytes:
        """Return the order as JSON bytes."""
        if self.raw is not None:
            return self.raw
        if self.template is None:
            raise ValueError(f"order {self.id} has neither bytes nor a template")
        return self.template.render(self)

    def kept(self) -> StoredOrder:
        """Return the order itself, from now on with its own bytes instead of rendering them at each read."""
        self.raw = self.encoded()
        return self

    def decoded(self) -> Json:
        """Return the order as a new dictionary."""
        order: Json = msgspec.json.decode(self.encoded())
        return order

    def key(self, field: SortField) -> Key | None:
        """Return the sort key by a field; None when the order has no such instant."""
        if field == "UPDATED_AT":
            return (self.updated_us, self.id)
        if field == "CREATED_AT":
            return (self.created_us, self.id)
        return None if self.closed_us is None else (self.closed_us, self.id)


class OrderBook:
    """All orders of one merchant."""

    def __init__(self) -> None:
        self._orders: dict[str, StoredOrder] = {}
        self._indexes: dict[tuple[str, SortField], list[Key]] = {}
        self._built: set[SortField] = set()
        self.revision = 0  # grows with every change, so that what is derived knows when it is stale

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[StoredOrder]:
        return iter(self._orders.values())

    def get(self, order_id: str) -> StoredOrder | None:
        """Return an order, or None."""
        return self._orders.get(order_id)

    def put(self, order: StoredOrder) -> None:
        """Add an order, or replace the one with its id."""
        self.remove(order.id)
        self.revision += 1
        self._orders[order.id] = order
        for field in self._built:
            key = order.key(field)
            if key is not None:
                insort(self._index(order.location_id, field), key)

    def put_many(self, orders: Iterable[StoredOrder]) -> None:
        """Add many orders at once; their indexes are built at the next search."""
        for order in orders:
            self._orders[order.id] = order
        self.revision += 1
        self._indexes.clear()
        self._built.clear()

    def remove(self, order_id: str) -> bool:
        """Remove an order; False when there was none."""
        order = self._orders.pop(order_id, None)
        if order is None:
            return False
        self.revision += 1
        for field in self._built:
            key = order.key(field)
            if key is not None:
                index = self._index(order.location_id, field)
                del index[bisect_left(index, key)]
        return True

    def touch(self, order: StoredOrder, updated_us: int) -> None:
        """Move `updated_at` alone, as fees, tips and links do after a sale is closed."""
        if order.raw is not None:
            data = order.decoded()
            data["updated_at"] = format_us(updated_us)
            self.put(StoredOrder.of(data))
            return
        self.remove(order.id)
        order.updated_us = updated_us
        self.put(order)

    def scan(
        self,
        location_id: str,
        field: SortField,
        span: tuple[int | None, int | None],
        *,
        after: Key | None = None,
        descending: bool = False,
    ) -> Iterator[Key]:
        """Walk a location's sort keys inside `span` (both ends inclusive), beyond the key `after`."""
        index = self._index(location_id, field)
        low = 0 if span[0] is None else bisect_left(index, (span[0], ""))
        high = len(index) if span[1] is None else bisect_left(index, (span[1] + 1, ""))
        if descending:
            if after is not None:
                high = min(high, bisect_left(index, after))
            return (index[i] for i in range(high - 1, low - 1, -1))
        if after is not None:
            low = max(low, bisect_right(index, after))
        return (index[i] for i in range(low, high))

    def _index(self, location_id: str, field: SortField) -> list[Key]:
        if field not in self._built:
            self._built.add(field)
            for order in self._orders.values():
                key = order.key(field)
                if key is not None:
                    self._indexes.setdefault((order.location_id, field), []).append(key)
            for (_, kind), index in self._indexes.items():
                if kind == field:
                    index.sort()
        return self._indexes.setdefault((location_id, field), [])
