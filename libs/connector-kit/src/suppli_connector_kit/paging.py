"""Walking a provider's pages: by a cursor within a query posted as JSON, or by instants without one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from suppli_connector_kit.client import ProviderClient
from suppli_connector_kit.domain.reading import OrderReader
from suppli_connector_kit.errors import ProviderUnavailable
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


async def offset_pages(
    ask: Callable[[int], Awaitable[Any]], limit: int, elements: Callable[[Any], list[Any]]
) -> AsyncIterator[Any]:
    """Yield the pages of a list that is paged by offset and does not change meanwhile.

    Args:
        ask: for the page that skips so many.
        limit: elements a page; one with fewer is the last.
        elements: of a page.
    """
    offset = 0
    while True:
        page = await ask(offset)
        yield page
        offset += len(elements(page))
        if len(elements(page)) < limit:
            return


async def with_others(
    pages: AsyncIterator[OrderPage[Any]], others: list[OrderRef[Any]], end_us: int
) -> AsyncIterator[OrderPage[Any]]:
    """Yield the pages of a walk with orders of another list in their places, e.g. those that were deleted.

    Args:
        others: ascending by modification; taken over.
        end_us: the end of the walk (microseconds): what lies beyond belongs to the last page.
    """
    async for page in pages:
        upto = end_us if page.last or not page.orders else page.orders[-1].modified_us
        now = [order for order in others if order.modified_us <= upto] if page.orders or page.last else []
        others = others[len(now) :]
        if now:
            orders = sorted([*page.orders, *now], key=lambda order: order.modified_us)
            page = OrderPage(orders, last=page.last, provider_now=page.provider_now)
        yield page


class Listed(NamedTuple):
    """One answer of a list: its orders ascending by modification, and the provider's clock."""

    orders: list[OrderRef[Any]]
    now: datetime | None


Lister = Callable[[int, int, int], Awaitable[Listed]]
"""Asks for orders modified from one instant to another (microseconds, both inclusive), skipping so many."""

_PASSES = 6


def slices(start_us: int, end_us: int, most_us: int) -> Iterator[tuple[int, int]]:
    """Yield a window in parts of at most `most_us`, oldest first, both ends inclusive."""
    while end_us - start_us > most_us:
        yield start_us, start_us + most_us
        start_us += most_us
    yield start_us, end_us


async def instant_pages(
    ask: Lister, start_us: int, end_us: int, *, limit: int, most_us: int, step_us: int
) -> AsyncIterator[OrderPage[Any]]:
    """Walk a list that can only be paged by offset, so that changes underneath shift nothing.

    An order that changes while a list is paged moves to its end, and everything behind its place comes one
    earlier: an offset would skip one. So each question starts at the last instant seen, inclusive, without
    an offset; only the orders of one instant that fill a page are paged by it, until two passes agree.

    Args:
        limit: orders a page; a page with fewer is the last of its question.
        most_us: the longest window that the provider answers whole.
        step_us: the provider's smallest step between two instants.

    Raises:
        ProviderUnavailable: the orders of one instant kept changing.
    """
    parts = list(slices(start_us, end_us, most_us))
    for number, (start, end) in enumerate(parts, 1):
        while start <= end:
            orders, now = await ask(start, end, 0)
            full = len(orders) >= limit
            yield OrderPage(orders, last=not full and number == len(parts), provider_now=now)
            if not full:
                break
            if orders[-1].modified_us > start:
                start = orders[-1].modified_us
                continue
            async for page in _one_instant(ask, start, limit):
                yield page
            start += step_us
        else:
            if number == len(parts):
                yield OrderPage([], last=True)


async def _one_instant(ask: Lister, at_us: int, limit: int) -> AsyncIterator[OrderPage[Any]]:
    before: list[str] | None = None
    for _ in range(_PASSES):
        seen: list[str] = []
        while True:
            orders, now = await ask(at_us, at_us, len(seen))
            seen += [order.order_id for order in orders]
            yield OrderPage(orders, last=False, provider_now=now)
            if len(orders) < limit:
                break
        if seen == before:
            return
        before = seen
    raise ProviderUnavailable("the orders of one instant keep changing while they are listed")
