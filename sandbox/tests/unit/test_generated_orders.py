"""Generated orders must add up as Square's do: what is measured against them is worth nothing otherwise."""

from collections import Counter
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter
from square.types.catalog_object import CatalogObject
from square.types.order import Order
from suppli_sandbox.models import GenerateSpec, LocationSpec, MerchantSpec, RefundSpec
from suppli_sandbox.square import changes
from suppli_sandbox.square.generate import generate
from suppli_sandbox.square.world import ControlError, Merchant, World

Json = dict[str, Any]


def shop(country: str = "US", currency: str = "USD") -> tuple[World, Merchant]:
    world = World()
    places = (LocationSpec(id="L1", name="One"), LocationSpec(id="L2", name="Two"))
    spec = MerchantSpec(id="M1", name="Shop", locations=places, country=country, currency=currency)
    return world, world.create_merchant(spec)


def amount(order: Json, name: str) -> int:
    return int(order.get(name, {"amount": 0})["amount"])


def unknown_fields(model: object, path: str = "") -> list[str]:
    if isinstance(model, list):
        return [name for i, entry in enumerate(model) for name in unknown_fields(entry, f"{path}[{i}]")]
    if not isinstance(model, BaseModel):
        return []
    found = [f"{path}.{name}" for name in (model.model_extra or {})]
    for name in type(model).model_fields:
        found += unknown_fields(getattr(model, name), f"{path}.{name}")
    return found


@pytest.mark.parametrize(("country", "currency"), [("US", "USD"), ("GB", "GBP"), ("JP", "JPY")])
def test_every_order_adds_up(country: str, currency: str) -> None:
    """A sum that does not hold would be taken for a fault of the connector."""
    world, merchant = shop(country, currency)
    generate(world, merchant, GenerateSpec(count=1500))
    for order in (stored.decoded() for stored in merchant.orders):
        lines = order.get("line_items", [])
        extra = sum(amount(order, f"total_{kind}_money") for kind in ("tip", "service_charge"))
        rounding = amount(order.get("rounding_adjustment", {}), "amount_money")
        assert (
            amount(order, "total_money") == sum(amount(li, "total_money") for li in lines) + extra + rounding
        )
        for kind in ("tax", "discount"):
            name = f"total_{kind}_money"
            assert amount(order, name) == sum(amount(line, name) for line in lines)
        included = {t["uid"] for t in order.get("taxes", []) if t["type"] == "INCLUSIVE"}
        for line in lines:
            inside = bool(included) and country not in ("US", "JP")
            tax = 0 if inside else amount(line, "total_tax_money")
            net = amount(line, "gross_sales_money") - amount(line, "total_discount_money")
            assert amount(line, "total_money") == net + tax
        for part in order.get("returns", []):
            back = sum(amount(line, "total_money") for line in part["return_line_items"])
            assert amount(order["return_amounts"], "total_money") == back


def test_the_kinds_a_till_makes_are_all_there() -> None:
    """A connector tried on plain sales alone meets its first exchange in production."""
    world, merchant = shop()
    generate(world, merchant, GenerateSpec(count=3000))
    orders = [stored.decoded() for stored in merchant.orders]
    states = Counter(order["state"] for order in orders)
    assert set(states) == {"OPEN", "COMPLETED", "CANCELED", "DRAFT"}
    returns = [order for order in orders if "returns" in order]
    assert any("line_items" in order for order in returns)
    assert any("source_order_id" not in order["returns"][0] for order in returns)
    lines = [line for order in orders for line in order.get("line_items", [])]
    assert {line["item_type"] for line in lines} == {"ITEM", "CUSTOM_AMOUNT", "GIFT_CARD"}
    assert any("quantity_unit" in line and "." in line["quantity"] for line in lines)
    assert any(amount(line, "total_discount_money") == amount(line, "gross_sales_money") for line in lines)
    assert any(order["state"] == "OPEN" and amount(order, "net_amount_due_money") == 0 for order in orders)
    assert {"version" in order for order in orders} == {True, False}
    stamps = Counter(order["updated_at"] for order in orders)
    assert stamps.most_common(1)[0][1] > 1
    assert {len(stamp) for stamp in stamps} >= {20, 24, 27}  # whole seconds, milli- and microseconds


def test_linked_returns_point_at_an_earlier_sale_and_its_lines() -> None:
    """A return that points nowhere would hide a connector that loses the link."""
    world, merchant = shop()
    generate(world, merchant, GenerateSpec(count=4000))
    linked = 0
    for order in (stored.decoded() for stored in merchant.orders):
        for part in order.get("returns", []):
            if "source_order_id" not in part:
                continue
            source = merchant.order(part["source_order_id"]).decoded()
            uids = {line["uid"] for line in source["line_items"]}
            named = {
                ln["source_line_item_uid"] for ln in part["return_line_items"] if "source_line_item_uid" in ln
            }
            assert named <= uids
            linked += 1
    assert linked > 50


def test_orders_and_catalog_have_no_field_that_the_official_sdk_does_not_know() -> None:
    """A field of our invention would be read here and be missing at the real Square."""
    world, merchant = shop()
    generate(world, merchant, GenerateSpec(count=800))
    for order in (stored.decoded() for stored in merchant.orders):
        assert unknown_fields(Order.model_validate(order)) == []
    reader: TypeAdapter[Any] = TypeAdapter(CatalogObject)
    for obj in merchant.catalog:
        assert unknown_fields(reader.validate_python(obj)) == []


def test_the_same_seed_makes_the_same_orders() -> None:
    """A failing run that cannot be repeated cannot be explained."""
    spec = GenerateSpec(count=300, seed=7, start_at="2026-01-01T00:00:00Z", end_at="2026-01-31T00:00:00Z")
    made = []
    for _ in range(2):
        world, merchant = shop()
        generate(world, merchant, spec)
        made.append([(s.id, s.updated_us, s.state) for s in merchant.orders])
    assert made[0] == made[1]


def test_a_refund_of_part_of_a_line_takes_its_share_of_the_money() -> None:
    """Returning one of three must not give back the price of three."""
    world, merchant = shop()
    sale = world.put_order(
        merchant,
        {
            "id": "O1",
            "line_items": [
                {
                    "uid": "a",
                    "name": "Tea",
                    "quantity": "3",
                    "item_type": "ITEM",
                    "base_price_money": {"amount": 100, "currency": "USD"},
                    "gross_sales_money": {"amount": 300, "currency": "USD"},
                    "total_tax_money": {"amount": 24, "currency": "USD"},
                    "total_money": {"amount": 324, "currency": "USD"},
                }
            ],
            "total_money": {"amount": 324, "currency": "USD"},
        },
    )
    back = changes.refund(world, merchant, sale["id"], RefundSpec(lines={"a": "1"}))
    line = back["returns"][0]["return_line_items"][0]
    assert (line["quantity"], amount(line, "gross_return_money"), amount(line, "total_money")) == (
        "1",
        100,
        108,
    )
    assert back["returns"][0]["source_order_id"] == "O1"
    assert amount(back["net_amounts"], "total_money") == -108
    with pytest.raises(ControlError, match="cannot return 4"):
        changes.refund(world, merchant, sale["id"], RefundSpec(lines={"a": "4"}))


def test_orders_encoded_beforehand_are_the_same() -> None:
    """A benchmark that reads other orders than everybody else would measure something else."""
    rendered, kept = shop()[1], shop()[1]
    generate(
        World(),
        rendered,
        GenerateSpec(count=500, seed=3, start_at="2026-03-02T00:00:00Z", end_at="2026-03-03T00:00:00Z"),
    )
    generate(
        World(),
        kept,
        GenerateSpec(
            count=500, seed=3, start_at="2026-03-02T00:00:00Z", end_at="2026-03-03T00:00:00Z", encoded=True
        ),
    )
    assert [order.encoded() for order in kept.orders] == [order.encoded() for order in rendered.orders]
    assert all(order.raw is not None for order in kept.orders)
