"""The local Clover through HTTP: what its documentation promises, and what a connector must survive."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from suppli_sandbox.clover.client import (
    ApiTokenSpec,
    CloverApplicationSpec,
    CloverControl,
    CloverEvent,
    CloverGenerateSpec,
    CloverMerchantSettings,
    CloverMerchantSpec,
    CloverProcess,
    CloverRefundSpec,
    CloverWebhookSpec,
    FaultSpec,
)

CALLBACK = "http://localhost:9999/callback"
MERCHANT = "CLOVERTEST001"
BASE = f"/v3/merchants/{MERCHANT}"
DAY = 86_400_000
NO_LIMITS = CloverApplicationSpec(
    redirect_urls=(CALLBACK,),
    token_limit=0,
    token_concurrent_limit=0,
    cross_token_limit=0,
    cross_token_concurrent_limit=0,
)


@pytest.fixture(scope="module")
def clover() -> Iterator[CloverProcess]:
    with CloverProcess(token="control", arguments=["--client-secret", "s3cret"]) as process:
        yield process


@pytest.fixture
def control(clover: CloverProcess) -> CloverControl:
    clover.control.reset()
    clover.control.configure_application(NO_LIMITS)
    clover.control.create_merchant(CloverMerchantSpec(id=MERCHANT, name="Café", timezone="America/Chicago"))
    return clover.control


@pytest.fixture
def web(clover: CloverProcess, control: CloverControl) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {control.issue_tokens(MERCHANT).access_token}"}
    with httpx.Client(base_url=clover.url, headers=headers, trust_env=False) as client:
        yield client


def now_ms(control: CloverControl) -> int:
    return int(datetime.fromisoformat(control.clock().now).timestamp() * 1000)


def order(order_id: str, modified: int, **more: Any) -> dict[str, Any]:
    return {"id": order_id, "createdTime": modified, "modifiedTime": modified, "total": 0, **more}


def lines(count: int) -> list[dict[str, Any]]:
    return [{"id": f"LINE{number:09}", "name": "Latte", "price": 450} for number in range(count)]


def listed(web: httpx.Client, **params: Any) -> list[str]:
    answer = web.get(f"{BASE}/orders", params=params)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["elements"]]


def test_a_walk_by_modification_sees_every_order_once(control: CloverControl, web: httpx.Client) -> None:
    control.generate_orders(MERCHANT, CloverGenerateSpec(count=730, seed=3))
    truth = [each["id"] for each in control.orders(MERCHANT)]
    seen: list[str] = []
    for offset in range(0, 1000, 100):
        page = listed(web, orderBy="modifiedTime ASC", limit=100, offset=offset)
        seen += page
        if len(page) < 100:
            break
    assert seen == truth
    assert len(set(seen)) == 730


def test_the_default_page_is_100_newest_first_and_a_larger_limit_is_clamped_or_refused(
    control: CloverControl, web: httpx.Client
) -> None:
    control.generate_orders(MERCHANT, CloverGenerateSpec(count=1200))
    answer = web.get(f"{BASE}/orders").json()
    assert len(answer["elements"]) == 100
    created = [each["createdTime"] for each in answer["elements"]]
    assert created == sorted(created, reverse=True)
    assert answer["href"].endswith("limit=100&offset=0")
    assert len(listed(web, limit=5000)) == 1000
    control.configure_merchant(MERCHANT, CloverMerchantSettings(over_limit="refuse"))
    assert web.get(f"{BASE}/orders", params={"limit": 5000}).status_code == 400


def test_a_long_time_window_silently_gives_its_most_recent_days(
    control: CloverControl, web: httpx.Client
) -> None:
    """Whoever asks for a year would believe to have had it."""
    now = now_ms(control)
    for days in (10, 80, 100, 200):
        control.put_order(MERCHANT, f"AGED{days:09}", order("", now - days * DAY))
    since = f"modifiedTime>={now - 300 * DAY}"
    assert listed(web, filter=since, orderBy="modifiedTime ASC") == ["AGED000000080", "AGED000000010"]
    until = [f"modifiedTime>={now - 300 * DAY}", f"modifiedTime<{now - 90 * DAY}"]
    assert listed(web, filter=until, orderBy="modifiedTime ASC") == ["AGED000000100"]
    assert set(listed(web)) == {"AGED000000010", "AGED000000080"}
    narrow = [f"modifiedTime>={now - 220 * DAY}", f"modifiedTime<={now - 190 * DAY}"]
    assert listed(web, filter=narrow) == ["AGED000000200"]
    assert listed(web, filter="id in ('AGED000000200','AGED000000100')", orderBy="modifiedTime ASC") == [
        "AGED000000200",
        "AGED000000100",
    ]


def test_nested_lists_come_when_asked_for_and_end_at_100(control: CloverControl, web: httpx.Client) -> None:
    """An order of 130 lines would be 30 short."""
    now = now_ms(control)
    many = order("", now, lineItems=lines(130), discounts=[{"id": "D", "name": "Staff", "amount": -100}])
    control.put_order(MERCHANT, "ORDERMANYLINE", many)
    plain = web.get(f"{BASE}/orders/ORDERMANYLINE").json()
    assert "lineItems" not in plain
    assert "discounts" not in plain
    whole = web.get(f"{BASE}/orders/ORDERMANYLINE", params={"expand": "lineItems,discounts"}).json()
    assert len(whole["lineItems"]["elements"]) == 100
    assert whole["discounts"]["elements"][0]["amount"] == -100
    seen = [
        each["id"]
        for offset in (0, 100)
        for each in web.get(
            f"{BASE}/orders/ORDERMANYLINE/line_items", params={"limit": 100, "offset": offset}
        ).json()["elements"]
    ]
    assert seen == [each["id"] for each in lines(130)]


def test_filters_are_anded_named_in_a_header_and_unknown_ones_refused(
    control: CloverControl, web: httpx.Client
) -> None:
    now = now_ms(control)
    control.put_order(MERCHANT, "ORDERTEST0001", order("", now, testMode=True, total=500))
    control.put_order(MERCHANT, "ORDERLIVE0001", order("", now, total=700))
    assert listed(web, filter=["testMode=false", "total>=600"]) == ["ORDERLIVE0001"]
    answer = web.get(f"{BASE}/orders", params={"filter": "total>1"})
    assert "modifiedTime" in answer.headers["x-clover-allowed-filter-fields"]
    assert web.get(f"{BASE}/orders", params={"filter": "customer=7"}).status_code == 400
    assert web.get(f"{BASE}/orders", params={"filter": "modifiedTime>=soon"}).status_code == 400


def test_a_deleted_order_is_found_by_its_deletion_alone(control: CloverControl, web: httpx.Client) -> None:
    now = now_ms(control)
    control.put_order(MERCHANT, "ORDERGONE0001", order("", now))
    control.delete_order(MERCHANT, "ORDERGONE0001")
    assert listed(web, filter=f"modifiedTime>={now - DAY}") == []
    assert listed(web, filter="id in ('ORDERGONE0001')") == []
    assert web.get(f"{BASE}/orders/ORDERGONE0001").status_code == 404
    assert listed(web, filter=f"deletedTime>={now - DAY}") == ["ORDERGONE0001"]


def test_money_of_the_published_example_adds_up(control: CloverControl) -> None:
    """4,800 for five lines, a percentage, three quarters of a pound and an order discount."""
    now = now_ms(control)
    control.put_order(
        MERCHANT,
        "ORDEREXAMPLE1",
        order(
            "",
            now,
            state="open",
            paymentState="OPEN",
            discounts=[{"id": "D1", "name": "Staff", "amount": -100}],
            lineItems=[
                {
                    "id": "LINEA",
                    "name": "Latte",
                    "price": 450,
                    "modifications": [{"id": "M", "name": "Oat milk", "amount": 50}],
                    "discounts": [{"id": "D2", "name": "10%", "percentage": 10}],
                },
                {"id": "LINEB", "name": "Latte", "price": 450},
                {"id": "LINEC", "name": "House beans", "price": 1600, "unitQty": 750, "unitName": "lb"},
                {"id": "LINED", "name": "Custom item", "price": 300},
                {"id": "LINEE", "name": "Gift card", "price": 2500, "isRevenue": False},
            ],
        ),
    )
    paid = control.pay_order(MERCHANT, "ORDEREXAMPLE1")
    assert (paid["total"], paid["payments"]["elements"][0]["amount"]) == (4800, 4800)
    back = control.refund_order(MERCHANT, "ORDEREXAMPLE1", CloverRefundSpec(lines=("LINEB",)))
    assert back["paymentState"] == "PARTIALLY_REFUNDED"
    assert back["refunds"]["elements"][0]["amount"] == 441, "450 less its share of the order's discount"
    removed = control.remove_line(MERCHANT, "ORDEREXAMPLE1", "LINED")
    assert removed["total"] == 4500
    assert removed["modifiedTime"] >= paid["modifiedTime"]


@pytest.mark.parametrize("path", ["/orders", "/items", ""])
def test_everything_wrong_with_a_token_is_the_same_401(
    control: CloverControl, web: httpx.Client, path: str
) -> None:
    """A connector can't tell a missing permission from an uninstalled app."""
    nobody = {"authorization": "Bearer nonsense"}
    assert web.get(BASE + path, headers=nobody).status_code == 401
    other = {"authorization": f"Bearer {control.issue_api_token(MERCHANT, ApiTokenSpec(permissions=()))}"}
    assert web.get(BASE + path, headers=other).status_code == 401
    good = {"authorization": f"Bearer {control.issue_api_token(MERCHANT)}"}
    assert web.get(BASE + path, headers=good).status_code == 200
    assert web.get("/v3/merchants/SOMEBODYELSE1" + path, headers=good).status_code == 401
    control.advance_clock(3600)
    assert web.get(BASE + path).status_code == 401, "a pair's access token ends"
    assert web.get(BASE + path, headers=good).status_code == 200, "a merchant API token does not"


def test_oauth_gives_a_pair_whose_refresh_token_is_spent_once(
    clover: CloverProcess, control: CloverControl
) -> None:
    query = {"client_id": "SUPPLIAPP0001", "redirect_uri": CALLBACK, "state": "s1", "auto": "allow"}
    with httpx.Client(base_url=clover.url, trust_env=False) as web:
        away = web.get("/oauth/v2/authorize", params={**query, "merchant": MERCHANT})
        back = parse_qs(urlsplit(away.headers["location"]).query)
        assert (back["merchant_id"], back["state"]) == ([MERCHANT], ["s1"])
        asked = {"client_id": "SUPPLIAPP0001", "client_secret": "s3cret", "code": back["code"][0]}
        pair = web.post("/oauth/v2/token", json=asked).json()
        assert pair.keys() == {
            "access_token",
            "access_token_expiration",
            "refresh_token",
            "refresh_token_expiration",
        }
        assert pair["refresh_token_expiration"] - pair["access_token_expiration"] == 365 * 86_400
        assert pair["access_token_expiration"] < 10_000_000_000, "seconds, unlike all other times"
        assert web.post("/oauth/v2/token", json=asked).status_code == 401, "a code is worth one pair"
        spend = {"client_id": "SUPPLIAPP0001", "refresh_token": pair["refresh_token"]}
        renewed = web.post("/oauth/v2/refresh", json=spend)
        assert renewed.json()["refresh_token"] != pair["refresh_token"]
        assert web.post("/oauth/v2/refresh", json=spend).status_code == 401
        denied = web.get("/oauth/v2/authorize", params={**query, "auto": "deny"})
        assert parse_qs(urlsplit(denied.headers["location"]).query)["error"] == ["access_denied"]


def test_limits_answer_429_with_their_header_and_a_wait_that_grows_when_not_kept(
    control: CloverControl, web: httpx.Client
) -> None:
    control.configure_application(CloverApplicationSpec(token_limit=3))
    for _ in range(3):
        assert web.get(BASE).status_code == 200
    first, second = web.get(BASE), web.get(BASE)
    assert (first.status_code, first.headers["x-ratelimit-tokenlimit"]) == (429, "3")
    assert int(second.headers["retry-after"]) > int(first.headers["retry-after"])
    assert control.rates().token_per_second == 3
    assert control.rates().refused == 2


def test_a_sixth_call_in_flight_is_refused(control: CloverControl, web: httpx.Client) -> None:
    control.configure_application(CloverApplicationSpec(token_concurrent_limit=5))
    slow = FaultSpec(kind="slow", operation="GetMerchant", times=5, delay_seconds=2)
    control.set_faults(MERCHANT, slow)
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(web.get, BASE) for _ in range(5)]
        while control.rates().token_in_flight < 5:
            assert not all(each.done() for each in waiting)
        refused = web.get(f"{BASE}/properties")
        assert refused.status_code == 429
        assert refused.headers["x-ratelimit-tokenconcurrentlimit"] == "5"
        assert {each.result().status_code for each in waiting} == {200}


def test_faults_change_the_world_between_pages(control: CloverControl, web: httpx.Client) -> None:
    """Offset paging shifts when orders change: a connector that trusts it loses some."""
    now = now_ms(control)
    for number in range(4):
        control.put_order(MERCHANT, f"ORDERMOVE{number:04}", order("", now - DAY + number * 1000))
    touch = FaultSpec(kind="touch_orders", operation="ListOrders", after=1, order_ids=("ORDERMOVE0000",))
    control.set_faults(MERCHANT, touch)
    pages = [listed(web, orderBy="modifiedTime ASC", limit=2, offset=offset) for offset in (0, 2)]
    assert pages == [["ORDERMOVE0000", "ORDERMOVE0001"], ["ORDERMOVE0003", "ORDERMOVE0000"]]
    control.set_faults(
        MERCHANT, FaultSpec(kind="html", status=200), FaultSpec(kind="truncated_json", after=1)
    )
    assert web.get(BASE).headers["content-type"].startswith("text/html")
    with pytest.raises(ValueError):
        web.get(BASE).json()


def test_webhooks_are_batched_unsigned_and_may_be_lost(control: CloverControl) -> None:
    got: list[tuple[str | None, dict[str, Any]]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.headers.get("X-Clover-Auth"), msgspec.json.decode(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        code = control.verify_webhook(url)["verification_code"]
        assert got.pop() == (None, {"verificationCode": code})
        events = tuple(CloverEvent(merchant_id=MERCHANT, object_id=f"O:ORDER{n}") for n in range(4))
        sent = control.deliver_webhooks(
            CloverWebhookSpec(url=url, auth_code="auth", events=events, batch=2, copies=2, drop=4)
        )
    finally:
        server.shutdown()
        server.server_close()
    assert [each["status"] for each in sent] == [200, 200, 200, -1]
    assert {auth for auth, _ in got} == {"auth"}
    assert [len(body["merchants"][MERCHANT]) for _, body in got] == [2, 2, 2]


def test_inventory_has_categories_when_asked_for_and_deleted_items_when_filtered(
    control: CloverControl, web: httpx.Client
) -> None:
    control.put_inventory(MERCHANT, "items", [])
    items = web.get(f"{BASE}/items", params={"expand": "categories", "limit": 1000}).json()["elements"]
    latte = next(each for each in items if each["name"] == "Latte")
    assert latte["categories"]["elements"][0]["name"] == "Coffee"
    assert "categories" not in web.get(f"{BASE}/items").json()["elements"][0]
    control.put_inventory(MERCHANT, "items", [{**latte, "deleted": True}])
    names = [each["name"] for each in web.get(f"{BASE}/items", params={"limit": 1000}).json()["elements"]]
    assert "Latte" not in names
    gone = web.get(f"{BASE}/items", params={"filter": "deleted=true"}).json()["elements"]
    assert [each["name"] for each in gone] == ["Latte"]
