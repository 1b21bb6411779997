"""A page of orders from its bytes: all at once where it is sound, else order by order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Generic

import msgspec

from suppli_connector_kit.domain.instants import instant, to_us
from suppli_connector_kit.protocol import OrderRef, RawOrder

Names = tuple[str, str | None, str]
"""Fields of an order: its id, its location's id (None: orders do not say), its last modification."""


def stamped(text: str) -> int:
    """Return an RFC 3339 instant in microseconds since 1970; raises `ValueError`."""
    return to_us(instant(text))


class OrderReader(Generic[RawOrder]):
    """Reads pages that are an object with a list of orders and, until the last page, a cursor."""

    def __init__(
        self,
        order: type[RawOrder],
        names: Names,
        *,
        stamp: Callable[[Any], int] = stamped,
        orders: str = "orders",
        cursor: str = "cursor",
    ) -> None:
        """Prepare the decoders.

        Args:
            order: a msgspec Struct of the fields that sales need; others are never decoded.
            names: the fields, required in `order`, that an `OrderRef` is made of.
            stamp: makes microseconds since 1970 of a modification instant, or raises `ValueError`.
            orders: the page's field with the orders.
            cursor: the page's field with the place where the next page begins.
        """
        self._names, self._stamp = names, stamp
        self._page_of: Callable[[Any], tuple[Any, Any]] = attrgetter(orders, cursor)
        id_name, location_name, modified_name = names
        self._key_of: Callable[[Any], Any] = attrgetter(id_name, location_name or id_name, modified_name)
        self._whole = _decoder(orders, list[order] | None, cursor)  # type: ignore[valid-type]
        self._by_order = _decoder(orders, list[msgspec.Raw] | None, cursor)
        self._order = msgspec.json.Decoder(order)

    def read(
        self, body: bytes, floor_us: int = 0, location: str = ""
    ) -> tuple[list[OrderRef[RawOrder]], str | None]:
        """Return a page's orders and the cursor of the next page.

        An order whose shape is wrong is kept with the reason and the path to the fault; the rest goes on.

        Args:
            body: the provider's answer, JSON.
            floor_us: stands for an unreadable modification instant of the first order; later ones take their
                predecessor's, as pages ascend.
            location: of every order, where orders do not say theirs.

        Raises:
            ValueError: the answer as a whole is not one (msgspec's errors are ValueErrors).
        """
        try:
            orders, cursor = self._page_of(self._whole.decode(body))
            return [self._ref(order, location) for order in orders or ()], cursor or None
        except ValueError:  # msgspec's errors and text that is not Unicode among them
            raws, cursor = self._page_of(self._by_order.decode(_repaired(body)))
            return list(self._one_by_one(raws or (), floor_us, location)), cursor or None

    def _ref(self, order: RawOrder, location: str) -> OrderRef[RawOrder]:
        order_id, location_id, modified = self._key_of(order)
        if self._names[1] is None:
            location_id = location
        return OrderRef(order_id, location_id, self._stamp(modified), order)

    def _one_by_one(
        self, raws: Sequence[msgspec.Raw], floor_us: int, location: str
    ) -> Iterator[OrderRef[RawOrder]]:
        for raw in raws:
            ref = self._single(bytes(raw), floor_us, location)
            floor_us = max(floor_us, ref.modified_us)
            yield ref

    def _single(self, raw: bytes, floor_us: int, location: str) -> OrderRef[RawOrder]:
        try:
            order = self._order.decode(raw)
        except msgspec.ValidationError as error:
            # the message names types and the path, never the value
            problem, _, path = str(error).partition(" - at `$")
            where = path.rstrip("`").lstrip(".") or None
            return self._broken(raw, floor_us, location, problem, where)
        try:
            return self._ref(order, location)
        except ValueError:
            return self._broken(raw, floor_us, location, "not an instant", self._names[2])

    def _broken(
        self, raw: bytes, floor_us: int, location: str, problem: str, path: str | None
    ) -> OrderRef[RawOrder]:
        content = msgspec.json.decode(raw)
        fields = content if isinstance(content, dict) else {}
        order_id, location_id, modified = (fields.get(name or "") for name in self._names)
        if not isinstance(order_id, str) or not order_id:
            order_id = f"without-id-{blake2b(raw, digest_size=8).hexdigest()}"
        try:
            modified_us = self._stamp(modified)
        except (TypeError, ValueError):
            modified_us = floor_us
        place = location_id if isinstance(location_id, str) else location
        return OrderRef(order_id, place, modified_us, None, problem, path)


def _decoder(orders: str, kind: Any, cursor: str) -> msgspec.json.Decoder[Any]:
    fields = [(orders, kind, None), (cursor, str | None, None)]
    return msgspec.json.Decoder(msgspec.defstruct("Page", fields))


def _repaired(body: bytes) -> bytes:
    """Return JSON whose text is all Unicode: half a character (a cut emoji) becomes a question mark."""
    content = json.loads(body.decode("utf-8", "replace"))
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
