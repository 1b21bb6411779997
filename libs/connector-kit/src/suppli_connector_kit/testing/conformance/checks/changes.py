"""What happens to an order later."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from suppli_contracts.events.sync import RunKind

from suppli_connector_kit.testing.conformance.checks.reading import read_whole
from suppli_connector_kit.testing.conformance.harness import (
    Ability,
    Fault,
    ProviderHarness,
    ShopLine,
    Strike,
)
from suppli_connector_kit.testing.conformance.registry import check
from suppli_connector_kit.testing.conformance.world import NOW, World, world

OTHER = (ShopLine("ITEMCAKE00001", 2, 650),)
LATER = NOW + timedelta(hours=1)


async def _an_hour_later(made: World) -> None:
    made.harness.set_clock(LATER)
    made.clock.advance(timedelta(hours=1))


@check("a change after the sale is said")
async def updated(harness: ProviderHarness) -> None:
    """A sale corrected at the till would keep its first content."""
    async with world(harness) as made:
        orders = made.orders(2 * harness.facts.page_size)
        harness.put(orders)
        await read_whole(made)
        await _an_hour_later(made)
        harness.put([replace(orders[3], modified_at=LATER - timedelta(minutes=20), lines=OTHER)])
        await read_whole(made)
        assert made.published()[orders[3].order_id] == frozenset(
            (line.item, orders[3].sold_at.date(), line.quantity, line.quantity * line.price) for line in OTHER
        )


@check("orders that change while pages are read are not lost")
async def changed_underneath(harness: ProviderHarness) -> None:
    """A busy shop would lose sales at every sync: pages shift when something in them moves."""
    async with world(harness) as made:
        page = harness.facts.page_size
        orders = made.orders(6 * page, spread=timedelta(seconds=1))
        harness.put(orders)
        early = tuple(order.order_id for order in orders[:3])
        late = tuple(order.order_id for order in orders[-page : -page // 2])
        harness.strike(
            Fault(Strike.TOUCH, after=2, order_ids=early), Fault(Strike.TOUCH, after=4, order_ids=late)
        )
        await made.imported()
        harness.strike()
        await _an_hour_later(made)
        await read_whole(made)


@check("content that changed while its last modification did not is said", Ability.SILENT_CHANGES)
async def silent(harness: ProviderHarness) -> None:
    """A correction that moves no stamp would never arrive."""
    async with world(harness) as made:
        orders = made.orders(5)
        harness.put(orders)
        await read_whole(made)
        harness.put([replace(orders[2], lines=OTHER)])
        await made.imported(RunKind.SWEEP)
        made.assert_true()


@check("a deleted order ends at zero")
async def deleted(harness: ProviderHarness) -> None:
    """A sale that was deleted at the till would count for ever."""
    async with world(harness) as made:
        orders = made.orders(harness.facts.page_size + 3)
        harness.put(orders)
        await read_whole(made)
        await _an_hour_later(made)
        harness.delete(orders[4].order_id)
        await made.imported(RunKind.SWEEP)
        assert orders[4].order_id not in made.published(), "it still counts"
        made.assert_true()


@check("an order merged into another counts there alone")
async def merged(harness: ProviderHarness) -> None:
    """The lines of a table that was joined with another would count twice."""
    async with world(harness) as made:
        kept, gone = (replace(order, lines=OTHER) for order in made.orders(2))
        harness.put([kept, gone])
        await read_whole(made)
        await _an_hour_later(made)
        harness.delete(gone.order_id)
        whole = replace(kept, lines=(*kept.lines, *gone.lines), modified_at=LATER - timedelta(minutes=5))
        harness.put([whole])
        await made.imported(RunKind.SWEEP)
        made.assert_true()
        sold = [item[2] for content in made.published().values() for item in content]
        assert sold == [4], f"{sum(sold)} were sold, not 4"


@check("an emptied order ends at zero")
async def emptied(harness: ProviderHarness) -> None:
    """A sale whose every line was taken off would keep counting."""
    async with world(harness) as made:
        orders = made.orders(5)
        harness.put(orders)
        await read_whole(made)
        await _an_hour_later(made)
        harness.put([replace(orders[1], lines=(), modified_at=LATER - timedelta(minutes=5))])
        await read_whole(made)
        assert orders[1].order_id not in made.published(), "it still counts"


@check("what the provider learns late, within its lateness, is found")
async def late(harness: ProviderHarness) -> None:
    """Sales of a till that was offline for days would never arrive."""
    async with world(harness) as made:
        harness.put(made.orders(5))
        await read_whole(made)
        hours = harness.facts.lateness_hours
        harness.put([made.order(77, age=timedelta(hours=hours) - timedelta(minutes=30))])
        await made.imported(RunKind.SWEEP)
        made.assert_true()
