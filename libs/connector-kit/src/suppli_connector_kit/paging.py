"""Walking a provider's pages: one query posted as JSON, the cursor of the next page within it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from suppli_connector_kit.client import ProviderClient
from suppli_connector_kit.domain.reading import OrderReader
from suppli_connector_kit.protocol import OrderPage, OrderRef, RawOrder, Session


class Answered(NamedTuple):
    """One page, `content` being what the reading made of it; `now` is the provider's clock."""

    content: Any
    last: bool
    now: datetime | None


async def posted_pages(
    client: ProviderClient,
    session: Session,
    path: str,
    query: Mapping[str, Any],
    read: Callable[[bytes], tuple[Any, str | None]],
) -> AsyncIterator[Answered]:
    """Yield the pages of a query; `read` returns a page's content and the next page's cursor, if any."""
    body = dict(query)
    while True:
        (content, cursor), now = await client.ask(session, "POST", path, read, json=body)
        yield Answered(content, cursor is None, now)
        if cursor is None:
            return
        body["cursor"] = cursor


async def order_pages(
    client: ProviderClient,
    session: Session,
    path: str,
    query: Mapping[str, Any],
    reader: OrderReader[RawOrder],
    *,
    floor_us: int,
) -> AsyncIterator[OrderPage[RawOrder]]:
    """Yield the pages of one walk, oldest modification first.

    Args:
        floor_us: from which modification on (microseconds) the walk goes.
    """

    def read(body: bytes) -> tuple[list[OrderRef[RawOrder]], str | None]:
        return reader.read(body, floor_us)

    async for orders, last, now in posted_pages(client, session, path, query, read):
        if orders:
            floor_us = orders[-1].modified_us
        if orders or last:  # a page may be empty and not the last
            yield OrderPage(orders, last=last, provider_now=now)
