"""The thin walk: a sale in, a product sale out; an unknown item waits, is mapped, and its sales follow."""

from suppli_contracts.events.sales import Cause

from .conftest import Shop, line, published


async def test_sale_of_mapped_item_becomes_product_sale(shop: Shop) -> None:
    """Otherwise stock never learns of a sale."""
    await shop.connect()
    await shop.product("p-cola", unit="each")
    await shop.sell(shop.sale("O0", line()))
    await shop.map("id:cola", "p-cola")
    await shop.sell(shop.sale("O1", line("1", quantity="2", net=500)))
    said = await published(shop, sales=2, unmapped=1, mappings=1)
    sale = next(each for each in said.sales if each.order_id == "O1")
    assert (sale.product_id, sale.location_id, sale.entry_version, sale.cause) == (
        "p-cola",
        "bar",
        1,
        Cause.SALE,
    )
    assert sale.standing == sale.delta
    assert (sale.standing.quantity, sale.standing.consumed, sale.standing.net) == ("2", "2", 500)
    assert sale.run_id == shop.run_id


async def test_parked_sale_is_released_by_mapping(shop: Shop) -> None:
    """Otherwise sales before the mapping are lost to stock and forecasts."""
    await shop.connect()
    await shop.product("p-cola")
    await shop.sell(shop.sale("O1", line("1", quantity="3", net=750)))
    assert await shop.standing() == {}
    assert (await shop.item("id:cola")).parked_lines == 1
    await shop.map("id:cola", "p-cola")
    assert await shop.standing() == {("O1", "1", "line", "p-cola"): ("3", "3", 750)}
    assert (await shop.item("id:cola")).parked_lines == 0
    said = await published(shop, sales=1, unmapped=1, mappings=1)
    assert (said.sales[0].cause, said.sales[0].mapping_revision) == (Cause.MAPPING, 1)
    assert said.unmapped[0].item_key == "id:cola"
