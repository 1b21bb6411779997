"""Raw sales in every order and number, with everything that a till does."""

from collections import defaultdict
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from suppli_contracts.events import ExternalItemChanged
from suppli_contracts.events.mapping import MappingTarget
from suppli_contracts.events.sales import (
    Adjustment,
    AdjustmentKind,
    Cause,
    Disposition,
    LineKind,
    Modifier,
    OrderState,
    Restock,
    SaleTotals,
)
from suppli_mapping import recording
from suppli_service_kit.kafka.batches import BadMessage

from .conftest import DAY, NOON, Published, Shop, line, message, published


def sums(said: Published) -> dict[UUID, tuple[int, int, int]]:
    """Return per entry: the highest version, the sum of the net deltas, and the net that stands."""
    deltas: defaultdict[UUID, int] = defaultdict(int)
    latest: dict[UUID, tuple[int, int]] = {}
    for sale in said.sales:
        deltas[sale.entry_key] += sale.delta.net
        latest[sale.entry_key] = max(
            latest.get(sale.entry_key, (0, 0)), (sale.entry_version, sale.standing.net)
        )
    return {key: (latest[key][0], deltas[key], latest[key][1]) for key in latest}


async def mapped_shop(shop: Shop) -> None:
    """Connect, with the item `cola` mapped to `p-cola`."""
    await shop.connect()
    await shop.product("p-cola")
    await shop.sell(shop.sale("seed", line(net=0, disposition=Disposition.TEST)))
    await shop.map("id:cola", "p-cola")


async def test_a_bad_message_neither_loses_nor_doubles_the_rest_of_its_batch(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch is several transactions: what one took must stand, and be a repeat when it comes again."""
    monkeypatch.setattr(recording, "TRANSACTION_ORDERS", 4)
    await mapped_shop(shop)
    batch = [message(shop.sale(f"O{number}", line(net=10))) for number in range(12)]
    bad = msgspec.structs.replace(batch[6], value=b"{")
    with pytest.raises(BadMessage) as refused:
        await shop.parts.recorder.on_sales([*batch[:6], bad, *batch[7:]])
    assert refused.value.message is bad, "it alone is set aside"
    await shop.parts.recorder.on_sales([*batch[:6], *batch[7:]])
    assert len(await shop.standing()) == 11
    said = await published(shop, sales=11, mappings=1)
    assert {sale.entry_version for sale in said.sales} == {1}


async def test_repeats_and_late_versions_count_once(shop: Shop) -> None:
    """Kafka delivers at least once and a fenced-out connector may speak late: neither may move a sum."""
    await mapped_shop(shop)
    first = shop.sale("O1", line(net=100), version=1)
    second = shop.sale("O1", line(net=200, quantity="2"), version=2)
    tie = shop.sale("O1", line(net=300, quantity="3"), version=2, observed=2)
    for batch in ((second,), (first,), (second, first), (tie,), (second,), (tie, tie, first)):
        await shop.sell(*batch)
    assert await shop.standing() == {("O1", "1", "line", "p-cola"): ("3", "3", 300)}
    said = await published(shop, sales=2, mappings=1)
    assert list(sums(said).values()) == [(2, 300, 300)]
    assert len(set(said.event_ids)) == len(said.event_ids)
    assert [each.cause for each in sorted(said.sales, key=lambda each: each.entry_version)] == [
        Cause.SALE,
        Cause.EDIT,
    ]


async def test_a_sale_that_is_published_again_moves_nothing_and_reaches_who_lost_it(shop: Shop) -> None:
    """Giving one consumer its lost sales again would move everybody's sums, or not reach that consumer."""
    await mapped_shop(shop)
    await shop.sell(shop.sale("O1", line(net=100), content_hash="kept"))
    again = shop.sale("O1", line(net=100), content_hash="kept", observed=9)
    lost = shop.sale("O2", line(net=70), content_hash="lost", observed=9)
    await shop.sell(again, lost)
    await shop.sell(again, lost)
    assert await shop.standing() == {
        ("O1", "1", "line", "p-cola"): ("1", "1", 100),
        ("O2", "1", "line", "p-cola"): ("1", "1", 70),
    }
    said = await published(shop, sales=2, mappings=1)
    assert sorted(sums(said).values()) == [(1, 70, 70), (1, 100, 100)]


async def test_changed_voided_and_removed_lines(shop: Shop) -> None:
    """A line that disappears from its order, or is voided, must end at zero."""
    await mapped_shop(shop)
    await shop.sell(shop.sale("O1", line("1", net=100), line("2", net=50), line("3", net=25)))
    await shop.sell(
        shop.sale(
            "O1",
            line("1", net=100),
            line("2", net=50, disposition=Disposition.VOID_NOT_MADE),
            version=2,
        )
    )
    assert await shop.standing() == {("O1", "1", "line", "p-cola"): ("1", "1", 100)}
    said = await published(shop, sales=5, mappings=1)
    causes = {sale.line_id: sale.cause for sale in said.sales if sale.entry_version == 2}
    assert causes == {"2": Cause.VOID, "3": Cause.EDIT}


async def test_change_of_business_date_moves_the_entry(shop: Shop) -> None:
    """A sale that belongs to another day must leave the old one."""
    await mapped_shop(shop)
    await shop.sell(shop.sale("O1", line(net=100)))
    await shop.sell(shop.sale("O1", line(net=100, day=DAY - timedelta(days=1)), version=2))
    said = await published(shop, sales=3, mappings=1)
    assert sorted(sums(said).values()) == [(1, 100, 100), (2, 0, 0)]


async def test_consumed_follows_returns_waste_and_voids(shop: Shop) -> None:
    """Stock counts what left the shelf, which is not what was sold."""
    await mapped_shop(shop)
    back = Disposition.RETURNED
    await shop.sell(
        shop.sale(
            "O1",
            line("sold", quantity="5", net=500),
            line("restocked", quantity="-1", net=-100, disposition=back, restock=Restock.YES),
            line("thrown", quantity="-1", net=-100, disposition=back, restock=Restock.NO),
            line("unclear", quantity="-1", net=-100, disposition=back),
            line("money", quantity="0", net=-100, disposition=back, restock=Restock.YES),
            line("comped", quantity="1", net=0, disposition=Disposition.COMPED),
            line("void", quantity="1", net=100, disposition=Disposition.VOID_MADE),
            line("waste", quantity="2", net=0, disposition=Disposition.WASTE),
        )
    )
    expected = {
        "sold": ("5", "5", 500),
        "restocked": ("-1", "-1", -100),
        "thrown": ("-1", "0", -100),
        "unclear": ("-1", "0", -100),
        "money": ("0", "0", -100),
        "comped": ("1", "1", 0),
        "void": ("0", "1", 0),
        "waste": ("0", "2", 0),
    }
    assert {key[1]: value for key, value in (await shop.standing()).items()} == expected
    await shop.connect(restock_unknown=True)  # now a shop, not a restaurant: the past follows
    await shop.parts.restate_all()
    assert (await shop.standing())["O1", "unclear", "line", "p-cola"] == ("-1", "-1", -100)


async def test_modifiers_are_counted_beside_their_line(shop: Shop) -> None:
    """An extra shot leaves the shelf too, and an unmapped one never holds up the coffee."""
    await mapped_shop(shop)
    await shop.product("p-shot", unit="g")
    shots = (
        Modifier(modifier_id="m1", external_id="SHOT", name="Shot", quantity="4", gross=80),
        Modifier(modifier_id="m2", external_id="MILK", name="Oat milk", quantity="2"),
    )
    await shop.sell(shop.sale("O1", line(quantity="2", net=580, modifiers=shots)))
    assert await shop.standing() == {("O1", "1", "line", "p-cola"): ("2", "2", 580)}
    await shop.map("mod:SHOT", MappingTarget(product_id="p-shot", factor="9"))
    assert await shop.standing() == {
        ("O1", "1", "line", "p-cola"): ("2", "2", 580),
        ("O1", "1", "modifier:m1", "p-shot"): ("36", "36", 0),
    }
    assert (await shop.item("mod:MILK")).parked_lines == 1


async def test_deleted_order_ends_at_zero(shop: Shop) -> None:
    """An order merged away at the provider must not count beside the one it went into."""
    await mapped_shop(shop)
    await shop.sell(shop.sale("O1", line(net=100)))
    await shop.sell(shop.sale("O1", line(net=100), version=2, state=OrderState.DELETED))
    assert await shop.standing() == {}
    assert all(day.provider_net == day.sold_net == 0 for day in await shop.days())


async def test_days_prove_where_the_money_went(shop: Shop) -> None:
    """The owner compares a day with the provider's report, to the cent."""
    await mapped_shop(shop)
    tip = Adjustment(
        adjustment_id="t", kind=AdjustmentKind.TIP, amount=70, business_date=DAY, occurred_at=NOON
    )
    await shop.sell(
        shop.sale(
            "O1",
            line("sold", quantity="2", net=450, gross=500, discount=50, tax=40),
            line("parked", item="tea", net=300, tax=24),
            line("custom", kind=LineKind.CUSTOM_AMOUNT, item=None, net=120),
            line("void", quantity="3", net=0, disposition=Disposition.VOID_UNKNOWN),
            line("later", net=60, disposition=Disposition.NOT_YET),
            adjustments=(tip,),
            totals=SaleTotals(total=1_064, tax=64, tip=70),
        )
    )
    (day,) = [day for day in await shop.days() if day.provider_net]
    assert (day.sold_gross, day.sold_discount, day.sold_net, day.sold_quantity) == (500, 50, 450, "2")
    assert (day.parked_net, day.ignored_net, day.adjustments, day.tax) == (300, 120, 70, 64)
    assert day.void_quantity == "3"
    total = day.sold_net + day.parked_net + day.ignored_net + day.other_net + day.adjustments
    assert total == day.provider_net == 1_000


async def test_untied_location_waits_for_its_tie(shop: Shop) -> None:
    """Sales that arrive before the owner's word must not be lost, nor counted somewhere by guess."""
    await shop.product("p-cola")
    await shop.sell(shop.sale("O1", line(net=100)), shop.sale("O2", line(net=50), location="L2"))
    await shop.map("id:cola", "p-cola")
    assert await shop.standing() == {}
    assert sum(day.parked_net for day in await shop.days()) == 150
    await shop.connect(ties={"L1": "bar"})
    await shop.parts.restate_all()
    assert await shop.standing() == {("O1", "1", "line", "p-cola"): ("1", "1", 100)}
    await shop.connect(ties={"L1": "bar", "L2": "kiosk"})
    await shop.parts.restate_all()
    assert len(await shop.standing()) == 2


async def test_historical_is_before_the_first_day(shop: Shop) -> None:
    """Stock must not take last month's backfill for today's sales."""
    await mapped_shop(shop)
    await shop.connect(first_day=DAY)
    await shop.sell(shop.sale("O1", line()), shop.sale("O2", line(day=DAY - timedelta(days=1))))
    said = await published(shop, sales=2, mappings=1)
    assert {sale.order_id: sale.historical for sale in said.sales} == {"O1": False, "O2": True}


async def test_catalog_names_the_item(shop: Shop) -> None:
    """The owner maps names, not ids; an older catalog entry must not win over a newer one."""
    await shop.connect()
    await shop.sell(shop.sale("O1", line(name=None)))
    for revision, name in ((2, "Cola"), (1, "Old name")):
        event = ExternalItemChanged(
            tenant_id=shop.tenant_id,
            connection_id=shop.connection_id,
            provider="square",
            external_id="cola",
            revision=revision,
            name=name,
            sku="C1",
            category="Drinks",
        )
        await shop.parts.catalogs.on_external_items([message(event)])
    item = await shop.item("id:cola")
    assert (item.name, item.sku, item.category, item.lines) == ("Cola", "C1", "Drinks", 1)
