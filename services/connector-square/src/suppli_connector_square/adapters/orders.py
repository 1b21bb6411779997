"""Walks orders by modification, and fetches single ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from suppli_connector_kit.client import ProviderClient
from suppli_connector_kit.domain.instants import to_us
from suppli_connector_kit.protocol import OrderPage, Session, Window

from suppli_connector_square.domain.models import Order
from suppli_connector_square.domain.reading import Refs, read_page
from suppli_connector_square.manifest import IDS_PER_CALL

_STATES = ("OPEN", "COMPLETED", "CANCELED")  # a DRAFT is never a sale
_MILLISECOND_US = 1000


async def search(
    client: ProviderClient, session: Session, locations: Sequence[str], window: Window, limit: int
) -> AsyncIterator[OrderPage[Order]]:
    """Yield the orders modified within `window`, oldest first.

    A cursor lives for 5 minutes and within this walk alone; what is kept across walks are instants.
    """
    updated = {"start_at": _stamp(window.from_at), "end_at": _stamp(window.to_at, up=True)}
    body: dict[str, Any] = {
        "location_ids": list(locations),
        "query": {
            "filter": {
                "date_time_filter": {"updated_at": updated},
                "state_filter": {"states": _STATES},
            },
            "sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"},
        },
        "limit": limit,
        "return_entries": False,
    }
    floor_us = to_us(window.from_at)
    while True:
        read = partial(read_page, floor_us=floor_us)
        (orders, cursor), now = await client.ask(session, "POST", "/v2/orders/search", read, json=body)
        if orders or cursor is None:  # a page may be empty and not the last
            yield OrderPage(orders, last=cursor is None, provider_now=now)
        if cursor is None:
            return
        if orders:
            floor_us = orders[-1].modified_us
        body["cursor"] = cursor


async def by_id(client: ProviderClient, session: Session, order_ids: Sequence[str]) -> OrderPage[Order]:
    """Return those of `order_ids` that exist; Square leaves the others out."""
    found: Refs = []
    now: datetime | None = None
    for at in range(0, len(order_ids), IDS_PER_CALL):
        body = {"order_ids": list(order_ids[at : at + IDS_PER_CALL])}
        read = partial(read_page, floor_us=0)
        (orders, _), now = await client.ask(session, "POST", "/v2/orders/batch-retrieve", read, json=body)
        found += orders
    return OrderPage(found, last=True, provider_now=now)


def _stamp(at: datetime, *, up: bool = False) -> str:
    """Return an instant in milliseconds, as Square writes them; an end is rounded up: nothing is cut off."""
    at = at.astimezone(UTC)
    rest = at.microsecond % _MILLISECOND_US
    whole = at - timedelta(microseconds=rest)
    if up and rest:
        whole += timedelta(milliseconds=1)
    return whole.strftime("%Y-%m-%dT%H:%M:%S.") + f"{whole.microsecond // _MILLISECOND_US:03d}Z"
