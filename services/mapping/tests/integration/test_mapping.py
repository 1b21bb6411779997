"""Decisions about items, and what becomes of the sales before and after them."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from suppli_contracts.events.connections import ConnectionState
from suppli_contracts.events.mapping import MappingState, MappingTarget
from suppli_mapping.adapters.queue import due
from suppli_mapping.adapters.sql import fetch
from suppli_mapping.deciding import Changed, NoSuchItem, NotValid
from suppli_mapping.restating import Restater
from suppli_service_kit.clock import SystemClock

from .conftest import DAY, Shop, line, published, until


async def seeded(shop: Shop, *, orders: int = 1) -> None:
    await shop.connect()
    for product in ("p-cola", "p-pepsi"):
        await shop.product(product)
    await shop.sell(*[shop.sale(f"O{number:03}", line(net=100)) for number in range(orders)])


async def net_by_product(shop: Shop) -> dict[str, int]:
    found: dict[str, int] = {}
    for (_, _, _, product), (_, _, net) in (await shop.standing()).items():
        found[product] = found.get(product, 0) + net
    return found


async def test_remapping_from_a_date_leaves_the_days_before(shop: Shop) -> None:
    """A recipe that changed in May must not rewrite April."""
    await seeded(shop)
    await shop.sell(
        *[shop.sale(f"D{day}", line(net=10, day=DAY + timedelta(days=day))) for day in range(1, 4)]
    )
    await shop.map("id:cola", "p-cola")
    await shop.map("id:cola", "p-pepsi", from_date=DAY + timedelta(days=2))
    assert await net_by_product(shop) == {"p-cola": 110, "p-pepsi": 20}
    said = await published(shop, sales=4 + 4, unmapped=1, mappings=2)
    assert sum(sale.delta.net for sale in said.sales) == 130


async def test_ignoring_takes_back_and_unmapping_parks(shop: Shop) -> None:
    """An ignored item counts for nothing, visibly; a mapping taken back makes its sales wait again."""
    await seeded(shop)
    await shop.map("id:cola", "p-cola")
    await shop.ignore("id:cola")
    assert await shop.standing() == {}
    assert [day.ignored_net for day in await shop.days()] == [100]
    await shop.map("id:cola", state=MappingState.UNMAPPED)
    assert [day.parked_net for day in await shop.days()] == [100]
    await shop.map("id:cola", "p-cola")
    said = await published(shop, sales=3, unmapped=1, mappings=4)
    assert sorted(sale.entry_version for sale in said.sales) == [1, 2, 3]


async def test_splits_and_units(shop: Shop) -> None:
    """A combo's money is divided to the cent, and pounds become kilograms."""
    await seeded(shop)
    await shop.product("p-cheese", unit="kg")
    await shop.sell(
        shop.sale("C", line(item="combo", quantity="2", net=101)),
        shop.sale("W", line(item="cheese", quantity="0.75", unit="lb", net=900)),
    )
    await shop.map("id:combo", "p-cola", "p-pepsi", MappingTarget(product_id="p-cheese", factor="1/3"))
    await shop.map("id:cheese", "p-cheese")
    assert await shop.standing() == {
        ("C", "1", "split:0", "p-cola"): ("2", "2", 34),
        ("C", "1", "split:1", "p-pepsi"): ("2", "2", 34),
        ("C", "1", "split:2", "p-cheese"): ("0.666667", "0.666667", 33),
        ("W", "1", "line", "p-cheese"): ("0.340194", "0.340194", 900),
    }


async def test_deleted_product_parks_and_merged_product_moves(shop: Shop) -> None:
    """Sales must not go on for a product that no longer is, and must follow one that was merged."""
    await seeded(shop)
    await shop.map("id:cola", "p-cola")
    await shop.product("p-cola", revision=2, deleted=True)
    await shop.parts.restate_all()
    assert await shop.standing() == {}
    assert (await shop.item("id:cola")).state is MappingState.UNMAPPED
    await shop.product("p-cola", revision=3, replaced_by="p-pepsi", deleted=True)
    await shop.parts.restate_all()
    assert await net_by_product(shop) == {"p-pepsi": 100}
    item = await shop.item("id:cola")
    assert (item.state, item.targets[0].product_id) == (MappingState.MAPPED, "p-pepsi")
    await shop.product("p-pepsi", revision=2, unit="kg")  # the unit is part of the key
    await shop.parts.restate_all()
    said = await published(shop, sales=5, unmapped=1, mappings=4)
    assert {sale.unit for sale in said.sales} == {"each", "kg"}
    assert sum(sale.delta.net for sale in said.sales) == 100


async def test_refusals(shop: Shop, other_shop: Shop) -> None:
    """A wrong decision must be refused as a whole, with its reason, and nobody overwrites somebody else's."""
    await seeded(shop)
    with pytest.raises(NotValid, match=r"targets\[0\].product_id"):
        await shop.decide("id:cola", "nowhere")
    with pytest.raises(NotValid, match="from_date"):
        await shop.decide("id:cola", "p-cola", from_date=DAY.replace(year=1999))
    await shop.decide("id:cola", "p-cola", expected_revision=0)
    with pytest.raises(Changed) as caught:
        await shop.decide("id:cola", "p-pepsi", expected_revision=0)
    assert caught.value.revision == 1
    with pytest.raises(NoSuchItem):
        await shop.decide("id:unknown", "p-cola")
    other_shop.connection_id = shop.connection_id  # a foreign item id is one that does not exist
    with pytest.raises(NoSuchItem):
        await other_shop.decide("id:cola", state=MappingState.IGNORED)


async def test_tenants_are_separate(shop: Shop, other_shop: Shop) -> None:
    """Even with equal connection, order and item ids nothing of one tenant reaches the other."""
    other_shop.connection_id = shop.connection_id
    await seeded(shop)
    await seeded(other_shop)
    both = [shop.sale("X", line(net=7)), other_shop.sale("X", line(net=9))]
    await shop.sell(*both)
    await shop.map("id:cola", "p-cola")
    assert await net_by_product(shop) == {"p-cola": 107}
    assert await other_shop.standing() == {}
    assert (await other_shop.item("id:cola")).parked_lines == 2
    async with shop.parts.database.transaction() as connection:
        for table in ("orders", "ledger_lines", "entries", "items", "mappings", "products", "connections"):
            assert (await connection.exec_driver_sql(f"select 1 from {table} limit 1")).all() == [], table


async def test_killed_restatement_goes_on_where_it_was(shop: Shop) -> None:
    """A process killed in the middle of a release must not leave half of it parked, nor say it twice."""
    await seeded(shop, orders=40)
    await shop.decide("id:cola", "p-cola")
    small = Restater(
        shop.parts.database,
        shop.parts.relay_database,
        SystemClock(),
        shop.parts.direct,
        chunk_lines=7,
        outbox_limit=10**9,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(small.run(stop))

    async def begun() -> bool:
        return len(await shop.standing()) > 0

    await until(begun, what="the first chunk")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await shop.parts.restate_all()
    assert await net_by_product(shop) == {"p-cola": 4_000}
    assert (await shop.item("id:cola")).parked_lines == 0
    async with shop.parts.relay_database.transaction() as connection:
        assert [job for job in await due(connection) if job.tenant_id == shop.tenant_id] == []
    said = await published(shop, sales=40, unmapped=1, mappings=1)
    assert {sale.entry_version for sale in said.sales} == {1}


async def test_mapping_while_sales_flow_leaves_nothing_parked(shop: Shop) -> None:
    """A sale that arrives in the very moment of mapping must not stay parked beside the mapping."""
    await seeded(shop)
    done = False

    async def selling(lane: int) -> int:
        count = 0
        while not done or count < 5:
            await shop.sell(*[shop.sale(f"L{lane}-{count}-{number}", line(net=1)) for number in range(20)])
            count += 1
        return count * 20

    lanes = [asyncio.create_task(selling(lane)) for lane in range(2)]
    for product in ("p-cola", "p-pepsi", "p-cola", "p-pepsi"):
        await shop.decide("id:cola", product)
        await shop.parts.restate_all()
    done = True
    total = sum(await asyncio.gather(*lanes))
    await shop.parts.restate_all()
    assert (await shop.item("id:cola")).parked_lines == 0
    assert [(day.sold_net, day.parked_net) for day in await shop.days()] == [(total + 100, 0)]
    async with shop.parts.database.transaction([shop.tenant_id]) as connection:
        rows = await fetch(connection, "select product_id, sum(net) from entries group by 1 order by 1")
        assert [tuple(row) for row in rows] == [("p-cola", 0), ("p-pepsi", total + 100)]


async def test_restatement_yields_to_a_full_outbox(shop: Shop) -> None:
    """Somebody's history must not stand before another tenant's sale."""
    await seeded(shop, orders=3)
    await shop.decide("id:cola", "p-cola")
    polite = Restater(
        shop.parts.database, shop.parts.relay_database, SystemClock(), shop.parts.direct, outbox_limit=-1
    )
    assert await polite.round() == 0
    assert await shop.standing() == {}
    assert await shop.parts.restater.round() >= 1


async def test_erased_connection_leaves_only_its_marker(shop: Shop) -> None:
    """Who disconnects and erases must find nothing of it left, and nothing may come back late."""
    await seeded(shop, orders=3)
    await shop.map("id:cola", "p-cola")
    await shop.connect(state=ConnectionState.DISCONNECTED, erase=True)
    await shop.parts.restate_all()
    await shop.sell(shop.sale("late", line()))
    async with shop.parts.database.transaction([shop.tenant_id]) as connection:
        for table in ("orders", "order_days", "ledger_lines", "entries", "items", "mappings"):
            assert (await connection.exec_driver_sql(f"select 1 from {table} limit 1")).all() == [], table
        rows = await fetch(connection, "select erased, ties from connections")
        assert [tuple(row) for row in rows] == [(True, {})]
    await published(shop, sales=3, unmapped=1, mappings=1)  # no reversals
    await shop.connect()  # the same account again
    await shop.sell(shop.sale("new", line(net=5), run_id=uuid4()))
    assert (await shop.item("id:cola")).parked_lines == 1
