"""A page of orders from its bytes: all at once where it is sound, else order by order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec
from suppli_connector_kit.domain.instants import to_us
from suppli_connector_kit.protocol import OrderRef

from suppli_connector_square.domain.models import Order

Refs = list[OrderRef[Order]]


class _Page(msgspec.Struct):
    orders: list[Order] | None = None
    cursor: str | None = None


class _Head(msgspec.Struct):
    id: Any = None
    location_id: Any = None
    updated_at: Any = None


class _RawPage(msgspec.Struct):
    orders: list[msgspec.Raw] | None = None
    cursor: str | None = None


_WHOLE = msgspec.json.Decoder(_Page)
_BY_ORDER = msgspec.json.Decoder(_RawPage)
_ORDER = msgspec.json.Decoder(Order)
_HEAD = msgspec.json.Decoder(_Head)


def instant(text: str) -> datetime:
    """Return an RFC 3339 instant with 0 to 9 fraction digits, to the microsecond.

    Raises:
        ValueError: it is none, or has no zone.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("an instant without a zone")
    return at


def read_page(body: bytes, floor_us: int) -> tuple[Refs, str | None]:
    """Return the orders of a SearchOrders or BatchRetrieveOrders answer, and the cursor of the next page.

    An order whose shape is wrong is kept with the reason and the path to the fault, and the rest goes on.

    Args:
        floor_us: stands for an unreadable modification instant of the first order; later ones take their
            predecessor's, as pages ascend.

    Raises:
        ValueError: the answer as a whole is not one (msgspec's errors are ValueErrors).
    """
    try:
        page = _WHOLE.decode(body)
        return [OrderRef(o.id, o.location_id, to_us(instant(o.updated_at)), o) for o in page.orders or ()], (
            page.cursor or None
        )
    except ValueError:  # msgspec's errors and text that is not Unicode among them
        raw = _BY_ORDER.decode(_repaired(body))
        return list(_one_by_one(raw.orders or (), floor_us)), raw.cursor or None


def _repaired(body: bytes) -> bytes:
    """Return JSON whose text is all Unicode: half a character (a cut emoji) becomes a question mark."""
    content = json.loads(body.decode("utf-8", "replace"))
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


def _one_by_one(raws: Sequence[msgspec.Raw], floor_us: int) -> Iterator[OrderRef[Order]]:
    for raw in raws:
        ref = _ref(bytes(raw), floor_us)
        floor_us = max(floor_us, ref.modified_us)
        yield ref


def _ref(raw: bytes, floor_us: int) -> OrderRef[Order]:
    try:
        order = _ORDER.decode(raw)
    except msgspec.ValidationError as error:
        # the message names types and the path, never the value
        problem, _, path = str(error).partition(" - at `$")
        return _broken(raw, floor_us, problem, path.rstrip("`").lstrip(".") or None)
    try:
        return OrderRef(order.id, order.location_id, to_us(instant(order.updated_at)), order)
    except ValueError:
        return _broken(raw, floor_us, "not an instant", "updated_at")


def _broken(raw: bytes, floor_us: int, problem: str, path: str | None) -> OrderRef[Order]:
    try:
        head = _HEAD.decode(raw)
    except msgspec.ValidationError:  # not even an object
        head = _Head()
    order_id, location_id = head.id, head.location_id
    if not isinstance(order_id, str) or not order_id:
        order_id = f"without-id-{blake2b(raw, digest_size=8).hexdigest()}"
    try:
        modified_us = to_us(instant(head.updated_at))
    except (TypeError, ValueError):
        modified_us = floor_us
    location = location_id if isinstance(location_id, str) else ""
    return OrderRef(order_id, location, modified_us, None, problem, path)
