"""One bad thing must not take the good beside it along, and whoever sent it must learn what was wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from suppli_contracts.topics import SALES_RAW
from suppli_demo.shop import Refused, wait_for

from tests.e2e.conftest import World, metric, sign_in
from tests.e2e.test_changes import LATTE, order, reaches, two_items


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Return status and kind of a problem."""
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
    return answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]


def test_an_unknown_provider_is_named(make_world: Callable[..., World]) -> None:
    with pytest.raises(Refused, match="abacus") as refused:
        make_world().shop.begin("abacus")
    assert refused.value.status == 422


def test_a_foreign_tenants_connection_is_not_there(make_world: Callable[..., World]) -> None:
    world = make_world()
    connection = world.shop.begin()["connection"]["id"]
    stranger = sign_in(world.system, uuid4())
    for method, path in (
        ("GET", f"/v1/connections/{connection}"),
        ("POST", f"/v1/connections/{connection}/sync"),
        ("POST", f"/v1/connections/{connection}/disconnect"),
        ("GET", f"/v1/connections/{connection}/runs"),
    ):
        with pytest.raises(Refused) as refused:
            stranger.call(method, path, **({"json": {}} if method == "POST" else {}))
        assert refused.value.status == 404, (method, path)
    assert list(stranger.pages("/v1/connections")) == []


def test_denied_consent_a_used_and_a_foreign_state_are_told_apart(make_world: Callable[..., World]) -> None:
    world = make_world()
    denied = world.shop.consent(world.shop.begin()["authorize_url"], world.merchant, allow=False)
    assert problem(denied)[1] == "consent-denied"

    begun = world.shop.begin()
    page = httpx.URL(begun["authorize_url"])
    back = httpx.get(page, params={**page.params, "auto": "allow", "merchant": world.merchant})
    callback = back.headers["location"]
    stranger = sign_in(world.system, uuid4())
    assert problem(stranger.client.get(callback))[1] == "state-foreign-session"
    assert world.shop.client.get(callback).status_code == 200
    assert problem(world.shop.client.get(callback))[1] == "state-used"


def test_a_wrong_time_zone_and_a_wrong_cut_off_say_which_location(make_world: Callable[..., World]) -> None:
    world = make_world()
    connection = str(world.shop.connect(world.merchant)["connection"]["id"])
    world.shop.put_location("shop-1", "Shop 1", "America/New_York")
    for field, value in (("timezone", "Mars/Olympus"), ("day_cutoff", "25:00")):
        tie: dict[str, Any] = {
            "location_id": world.locations[0],
            "chosen": True,
            "suppli_location_id": "shop-1",
            "timezone": "America/New_York",
            "day_cutoff": "04:00",
        }
        with pytest.raises(Refused, match=value) as refused:
            world.shop.call(
                "PATCH", f"/v1/connections/{connection}", json={"locations": [tie | {field: value}]}
            )
        assert refused.value.status == 422


def test_a_malformed_product_file_keeps_its_good_rows(make_world: Callable[..., World]) -> None:
    world = make_world()
    body = "product_id,name,sku,barcode,unit\np1,Latte,LAT,,each\n,Nameless,,,each\np3,Tea,TEA,,each\n"
    answer = world.shop.call(
        "POST", "/v1/products/import", content=body.encode(), headers={"content-type": "text/csv"}
    )
    assert [row["line"] for row in answer["errors"]] == [3]
    assert answer["errors"][0]["column"] == "product_id"
    assert {product["product_id"] for product in world.shop.pages("/v1/products")} == {"p1", "p3"}


def test_a_poisoned_kafka_message_goes_to_the_dead_letters_and_the_sale_beside_it_through(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    (location,) = world.locations
    connection = two_items(world, "2026-03-03")
    before, counted = world.system.dead_letters(), counted_dead_letters(world)

    async def poison() -> None:
        servers = world.system.runtime.kafka.bootstrap_servers
        async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
            for value in (b"not json", b'{"tenant_id": 1}', b""):
                await producer.send_and_wait(SALES_RAW, value, key=b"poison")

    asyncio.run(poison())
    world.system.control.put_orders(
        world.merchant, [order(location, 5, "2026-03-05T15:00:00Z", (LATTE, "1", 450, 0))]
    )
    assert world.sync(connection)["state"] == "succeeded"
    reaches(world, connection, {"latte": ("3", 1350), "muffin": ("1", 300)})
    wait_for(lambda: world.system.dead_letters() >= before + 3 or None, "three dead letters")
    assert world.system.dead_letters() == before + 3
    assert counted_dead_letters(world) == counted + 3, "an alert on it would ring"


def counted_dead_letters(world: World) -> float:
    """Return how many raw sales mapping says that it has set aside."""
    labels = {"topic": SALES_RAW, "group": "mapping.sales"}
    return metric(world.system, "mapping", "suppli_dead_letters_total", **labels) or 0


def test_an_order_that_breaks_the_schema_is_set_aside_and_the_rest_goes_on(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    (location,) = world.locations
    connection = two_items(world, "2026-03-03")
    broken = order(location, 5, "2026-03-05T15:00:00Z", (LATTE, "1", 450, 0))
    broken["line_items"][0]["quantity"] = "a dozen"
    good = order(location, 6, "2026-03-05T16:00:00Z", (LATTE, "1", 450, 0))
    world.system.control.put_orders(world.merchant, [broken, good])
    run = world.sync(connection)
    assert run["state"] == "succeeded"
    assert run["counts"]["orders_set_aside"] == 1
    reaches(world, connection, {"latte": ("3", 1350), "muffin": ("1", 300)})
    (aside,) = world.shop.call("GET", f"/v1/connections/{connection}/set-aside")["items"]
    assert aside["order_id"] == broken["id"]
    assert "quantity" in aside["field_path"]
    assert "dozen" not in str(aside), "the order's content is not repeated"
