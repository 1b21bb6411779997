"""Nobody could explain a figure, or say where a sale got stuck, without its way through the services."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from suppli_contracts import codec
from suppli_contracts.events import ProductSaleRecorded
from suppli_contracts.topics import SALES_PRODUCTS
from suppli_demo.consumer import everything_on
from suppli_demo.shop import wait_for
from suppli_demo.system import System

from tests.e2e.collector import Collector, collecting
from tests.e2e.conftest import World, environment
from tests.e2e.test_changes import LATTE, order, two_items

SALES = 3


@pytest.fixture
def collector(system: System) -> Iterator[Collector]:
    """Keep every trace of the services that a sale passes; a page holds one order, so that a batch mixes
    pages.
    """
    with collecting() as found:
        traced = found.environment()
        one_each = {"SUPPLI_CONNECTOR_SQUARE_PAGE_SIZE": "1"}
        with environment(system, {"mapping": traced, "connector-square": traced | one_each}):
            yield found


def test_a_product_sale_leads_back_to_the_providers_page(
    make_world: Callable[..., World], collector: Collector
) -> None:
    world = make_world()
    connection = two_items(world, "2026-03-03")
    sold = [
        order(world.locations[0], number, f"2026-03-05T15:00:0{number}Z", (LATTE, "1", 450, 0))
        for number in range(1, 1 + SALES)
    ]
    world.system.control.put_orders(world.merchant, sold)
    run = world.sync(connection)
    world.settle(connection)
    said = asyncio.run(places_of(world.system, connection, {each["id"] for each in sold}))
    assert len(said) == SALES
    ways = [
        wait_for(lambda place=place: way_back(collector, place), f"the spans of {place}") for place in said
    ]

    pages = set()
    for place, way in zip(said, ways, strict=True):
        assert [(service, span.name) for service, span in way] == [
            ("mapping", "map sales"),
            ("connector-square", "publish page"),
            ("connector-square", "sync run"),
        ]
        assert {span.trace_id for _, span in way} == {bytes.fromhex(place.partition("-")[0])}, "one trace"
        mapped, page, synced = (span for _, span in way)
        assert run["run_id"] in {each.value.string_value for each in synced.attributes}
        batch = linked(collector, mapped, "consume batch")
        assert batch.trace_id != mapped.trace_id, "a batch has many causes, and so a trace of its own"
        assert page.span_id in {link.span_id for link in batch.links}
        pages.add(page.span_id)
    assert len(pages) == SALES, "each sale leads to its own page, whatever batch it came in"
    trace = said[0].partition("-")[0]
    fetched = [span for place, (_, span) in collector.by_id().items() if place.startswith(trace)]
    assert sum(span.name == "fetch page" for span in fetched) >= SALES


async def places_of(system: System, connection: str, orders: set[str]) -> list[str]:
    """Return `<trace>-<span>` of each product sale of these orders, as its message says."""
    found = []
    async for record in everything_on(system.runtime.kafka.bootstrap_servers, SALES_PRODUCTS):
        sale = codec.decode_as(ProductSaleRecorded, record.value)
        if str(sale.connection_id) == connection and sale.order_id in orders:
            _, trace, span, _ = dict(record.headers)["traceparent"].decode().split("-")
            found.append(f"{trace}-{span}")
    return found


def way_back(collector: Collector, place: str) -> list[tuple[str, Span]] | None:
    """Return the spans from a message's to the first of its trace; None while one is still on its way."""
    spans = collector.by_id()
    trace, found = place.partition("-")[0], []
    while place in spans:
        found.append(spans[place])
        parent = spans[place][1].parent_span_id.hex()
        if not parent:
            return found
        place = f"{trace}-{parent}"
    return None


def linked(collector: Collector, span: Span, name: str) -> Span:
    """Return the span of that name that `span` is linked with."""

    def found() -> Span | None:
        spans = collector.by_id()
        places = [f"{link.trace_id.hex()}-{link.span_id.hex()}" for link in span.links]
        return next((spans[place][1] for place in places if place in spans), None)

    other = wait_for(found, f"the span that {span.name} is linked with")
    assert other.name == name
    return other
