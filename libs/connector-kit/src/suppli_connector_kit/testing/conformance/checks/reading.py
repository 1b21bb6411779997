"""Everything is read, wherever pages, locations and repeats fall."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from random import Random

from suppli_connector_kit.domain.coverage import Span, cut
from suppli_connector_kit.testing.conformance.harness import Ability, Facts, ProviderHarness
from suppli_connector_kit.testing.conformance.registry import Body, check
from suppli_connector_kit.testing.conformance.world import World, world
from suppli_connector_kit.testing.memory import MemoryPorts


async def read_whole(made: World) -> None:
    """Import what the provider has, and hold it to the provider's own word."""
    await made.imported()
    made.assert_true()


def _paging(count: Callable[[Facts], int]) -> Body:
    async def body(harness: ProviderHarness) -> None:
        """A shop would miss the sales beyond some page, for good."""
        async with world(harness) as made:
            number = count(harness.facts)
            harness.put(made.orders(number, spread=timedelta(seconds=1)))
            await read_whole(made)
            assert len(made.published()) == number

    return body


for _name, _count in (
    ("no order", lambda facts: 0),
    ("one order", lambda facts: 1),
    ("a page less one", lambda facts: facts.page_size - 1),
    ("a page", lambda facts: facts.page_size),
    ("a page and one", lambda facts: facts.page_size + 1),
    ("three pages", lambda facts: 3 * facts.page_size),
    ("ten times what the provider returns by default", lambda facts: 10 * facts.default_cap),
):
    check(f"{_name} is read", slow=_name.startswith("ten"))(_paging(_count))


def _locations(count: int) -> Body:
    async def body(harness: ProviderHarness) -> None:
        """Shops beyond some number of locations would be missing, or sales stand at the wrong one."""
        async with world(harness, locations=count) as made:
            harness.put(made.orders(4 * count))
            await read_whole(made)
            places = {order.order_id: order.location for order in harness.truth()}
            said = {key: sale.location_id for key, sale in made.ports.standing().items()}
            assert said == places, "sales at another location"
            covered = {key for key, spans in made.ports.covered.items() if spans[-1][1] == made.horizon()}
            assert covered == set(made.locations), "locations that are not covered up to now"

    return body


check("the sales of one location are the provider's")(_locations(1))
for _number in (11, 25):
    check(f"the sales of {_number} locations are the provider's", Ability.LOCATIONS)(_locations(_number))


@check("reading again says nothing twice")
async def reading_again(harness: ProviderHarness) -> None:
    """Every sync would send all sales once more."""
    async with world(harness) as made:
        harness.put(made.orders(2 * harness.facts.page_size + 1))
        await read_whole(made)
        said = len(made.ports.said)
        made.ports.covered.clear()
        await made.imported()
        assert len(made.ports.said) == said, f"{len(made.ports.said) - said} events were said again"


@check("two readers come to the same events")
async def same_events(harness: ProviderHarness) -> None:
    """A sale read again after a loss of our books would have another id, and count twice."""
    async with world(harness) as made:
        harness.put(made.orders(2 * harness.facts.page_size + 1))
        await read_whole(made)
        other = MemoryPorts()
        ended = await made.run(ports=other, connector=made.process())
        assert ended.error is None
        first = {(event_id, sale.content_hash) for event_id, sale in made.ports.said}
        assert {(event_id, sale.content_hash) for event_id, sale in other.said} == first


@check("times read in any sequence come to the same sales")
async def permuted(harness: ProviderHarness) -> None:
    """A gap that is filled later would leave other sales than reading straight through."""
    async with world(harness) as made:
        harness.put(made.some_pages())
        await read_whole(made)
        pieces = _pieces(made)
        for seed in (1, 2):
            permuted = list(pieces)
            Random(seed).shuffle(permuted)  # noqa: S311 - repeatable, not secret
            other = MemoryPorts()
            for piece in permuted:
                whole = (pieces[0][0], pieces[-1][1])
                other.covered = {each: cut((whole,), piece) for each in made.locations}
                ended = await made.run(ports=other)
                assert ended.error is None
            made.assert_true(other)
            ids = {event_id for event_id, _ in made.ports.said}
            assert {event_id for event_id, _ in other.said} == ids


def _pieces(made: World) -> list[Span]:
    (whole,) = made.ports.covered[made.locations[0]]
    oldest = min(sale.source_version for _, sale in made.ports.said)
    step = (whole[1] - oldest) // 4
    edges = [whole[0], *(oldest + number * step for number in range(1, 4)), whole[1]]
    return list(pairwise(edges))
