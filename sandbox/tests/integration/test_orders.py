"""Reading orders through HTTP, by hand and by the official SDK."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from square import Square
from square.core.api_error import ApiError
from suppli_sandbox.client import (
    FaultSpec,
    GenerateSpec,
    LocationSpec,
    MerchantSettings,
    MerchantSpec,
    SandboxControl,
    SandboxProcess,
    SandboxRefusedError,
    TokenSpec,
)

WINDOW = {"start_at": "2020-01-01T00:00:00Z"}
QUERY: dict[str, Any] = {
    "filter": {"date_time_filter": {"updated_at": WINDOW}},
    "sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"},
}


@pytest.fixture
def square(sandbox: SandboxProcess, control: SandboxControl) -> Square:
    return Square(token=control.issue_tokens("M1").access_token, base_url=sandbox.url)


@pytest.fixture
def bearer(control: SandboxControl) -> dict[str, str]:
    return {"authorization": f"Bearer {control.issue_tokens('M1').access_token}"}


def search(web: httpx.Client, bearer: dict[str, str], **body: Any) -> httpx.Response:
    return web.post("/v2/orders/search", json={"location_ids": ["L1"], **body}, headers=bearer)


def walk(web: httpx.Client, bearer: dict[str, str], **body: Any) -> Iterator[list[dict[str, Any]]]:
    cursor = None
    while True:
        answer = search(web, bearer, **body, **({"cursor": cursor} if cursor else {})).json()
        yield answer.get("orders", [])
        cursor = answer.get("cursor")
        if cursor is None:
            return


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["errors"][0]
    return answer.status_code, error["code"], error.get("field")


def test_the_sdk_pages_through_every_order_once(control: SandboxControl, square: Square) -> None:
    """What the SDK cannot read, no client of Square could."""
    control.generate_orders("M1", GenerateSpec(count=2500))
    seen: list[str] = []
    cursor = None
    while True:
        page = square.orders.search(
            location_ids=["L1", "L2"], limit=400, query=QUERY, **({"cursor": cursor} if cursor else {})
        )
        seen += [order.id or "" for order in page.orders or []]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [order["id"] for order in control.orders("M1")]
    assert len(set(seen)) == 2500


def test_the_sdk_reads_catalog_payments_and_locations(control: SandboxControl, square: Square) -> None:
    """The other readings of a connector must fit the SDK's models too."""
    control.generate_orders("M1", GenerateSpec(count=300))
    assert [place.name for place in square.locations.list().locations or []] == ["Annex", "Main"]
    kinds = [obj.type for obj in square.catalog.list(types="ITEM,CATEGORY,MODIFIER_LIST,MEASUREMENT_UNIT")]
    assert kinds.count("ITEM") == 16
    payments = list(square.payments.list(location_id="L1"))
    assert payments
    assert payments[0].order_id in {order["id"] for order in control.orders("M1")}
    assert all(r.status == "COMPLETED" for r in square.refunds.list())
    order_id = control.orders("M1")[0]["id"]
    assert square.orders.get(order_id=order_id).order.id == order_id  # type: ignore[union-attr]
    found = square.orders.batch_get(order_ids=[order_id, "nobody"]).orders or []
    assert [order.id for order in found] == [order_id]
    with pytest.raises(ApiError, match="NOT_FOUND"):
        square.orders.get(order_id="nobody")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"location_ids": [f"L{n}" for n in range(11)]}, (400, "ARRAY_LENGTH_TOO_LONG", "location_ids")),
        ({"location_ids": ["ELSEWHERE"]}, (403, "FORBIDDEN", "location_ids")),
        ({"location_ids": []}, (400, "MISSING_REQUIRED_PARAMETER", "location_ids")),
        ({"limit": 1001}, (400, "VALUE_TOO_HIGH", "limit")),
        ({"limit": 0}, (400, "VALUE_TOO_LOW", "limit")),
        ({"limit": "10"}, (400, "EXPECTED_INTEGER", "limit")),
        ({"query": {"filter": QUERY["filter"]}}, (400, "BAD_REQUEST", "query.sort.sort_field")),
        (
            {"query": {"sort": {"sort_field": "CLOSED_AT"}}},
            (400, "BAD_REQUEST", "query.filter.state_filter"),
        ),
        (
            {"query": {"filter": {"date_time_filter": {"updated_at": {"start_at": "yesterday"}}}}},
            (400, "INVALID_TIME", "query.filter.date_time_filter.updated_at.start_at"),
        ),
        (
            {"query": {"filter": {"date_time_filter": {"updated_at": WINDOW, "closed_at": WINDOW}}}},
            (400, "CONFLICTING_PARAMETERS", "query.filter.date_time_filter"),
        ),
        ({"query": {"filter": {"state": "OPEN"}}}, (400, "UNKNOWN_BODY_PARAMETER", "query.filter.state")),
        ({"cursor": "abc"}, (400, "INVALID_CURSOR", "cursor")),
    ],
)
def test_wrong_searches_are_refused_as_square_does(
    web: httpx.Client, bearer: dict[str, str], body: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    """A sandbox that forgives lets a query pass that Square refuses."""
    assert refusal(search(web, bearer, **body)) == expected


def test_window_edges_are_inclusive_and_ties_are_all_given(
    control: SandboxControl, web: httpx.Client, bearer: dict[str, str]
) -> None:
    """An order exactly on the edge, or many on one instant, must not fall between two windows."""
    at = "2026-03-01T10:00:00.000001Z"
    control.put_orders("M1", [{"id": f"O{n}", "updated_at": at} for n in range(5)])
    control.put_order("M1", "later", {"updated_at": "2026-03-01T10:00:00.000002Z"})
    window = {"updated_at": {"start_at": at, "end_at": at}}
    query = {**QUERY, "filter": {"date_time_filter": window}}
    pages = list(walk(web, bearer, query=query, limit=2))
    assert [[order["id"] for order in page] for page in pages] == [["O0", "O1"], ["O2", "O3"], ["O4"]]
    down = {"filter": {"date_time_filter": window}, "sort": {"sort_field": "UPDATED_AT"}}
    assert [o["id"] for page in walk(web, bearer, query=down, limit=3) for o in page] == [
        "O4", "O3", "O2", "O1", "O0",
    ]  # fmt: skip


def test_cursors_are_bound_to_their_query_and_expire(
    control: SandboxControl, web: httpx.Client, bearer: dict[str, str]
) -> None:
    """A client that keeps a cursor over a restart must learn here that it does not hold."""
    control.put_orders("M1", [{"id": f"O{n}"} for n in range(3)])
    cursor = search(web, bearer, query=QUERY, limit=1).json()["cursor"]
    assert refusal(search(web, bearer, limit=1, cursor=cursor))[1] == "INVALID_CURSOR"
    assert search(web, bearer, query=QUERY, limit=1, cursor=cursor).status_code == 200
    control.advance_clock(301)
    assert refusal(search(web, bearer, query=QUERY, limit=1, cursor=cursor))[1] == "INVALID_CURSOR"


def test_orders_touched_between_pages_shift_offset_pages(
    control: SandboxControl, web: httpx.Client, bearer: dict[str, str]
) -> None:
    """The sheet's worst reading of paging: an order moves while pages are read, and one is skipped."""
    control.set_clock(datetime(2026, 3, 1, 12, tzinfo=UTC), frozen=True)
    stamps = [f"2026-03-01T10:00:0{n}Z" for n in range(6)]
    control.put_orders("M1", [{"id": f"O{n}", "updated_at": at} for n, at in enumerate(stamps)])
    control.configure_merchant("M1", MerchantSettings(cursor_mode="offset"))
    control.set_faults(
        "M1", FaultSpec(kind="touch_orders", operation="SearchOrders", after=1, order_ids=("O0",))
    )
    window = {"start_at": stamps[0], "end_at": "2026-03-01T11:00:00Z"}
    query = {**QUERY, "filter": {"date_time_filter": {"updated_at": window}}}
    seen = [order["id"] for page in walk(web, bearer, query=query, limit=2) for order in page]
    assert seen == ["O0", "O1", "O3", "O4", "O5"]


def test_versions_are_echoed_and_checked(web: httpx.Client, bearer: dict[str, str]) -> None:
    """A client that pins a version must see which one answered."""
    answer = web.get("/v2/locations", headers={**bearer, "square-version": "2025-08-20"})
    assert answer.headers["square-version"] == "2025-08-20"
    bad = web.get("/v2/locations", headers={**bearer, "square-version": "2025-8-20"})
    assert refusal(bad)[:2] == (400, "INVALID_SQUARE_VERSION_FORMAT")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (FaultSpec(kind="rate_limit", retry_after="7"), 429, "RATE_LIMITED"),
        (FaultSpec(kind="server_error", status=502), 502, "BAD_GATEWAY"),
        (FaultSpec(kind="token_expired"), 401, "ACCESS_TOKEN_EXPIRED"),
        (FaultSpec(kind="token_revoked"), 401, "ACCESS_TOKEN_REVOKED"),
        (FaultSpec(kind="scope_removed", scopes=("ORDERS_READ",)), 403, "INSUFFICIENT_SCOPES"),
    ],
)
def test_faults_that_answer(
    control: SandboxControl,
    web: httpx.Client,
    bearer: dict[str, str],
    fault: FaultSpec,
    status: int,
    code: str,
) -> None:
    """Each way Square fails must be there to be met on purpose."""
    control.set_faults("M1", fault)
    answer = search(web, bearer)
    assert refusal(answer)[:2] == (status, code)
    assert answer.headers.get("retry-after") == fault.retry_after
    assert [state.struck for state in control.faults("M1")] == [1]


def test_faults_that_break_the_answer(
    control: SandboxControl, web: httpx.Client, bearer: dict[str, str]
) -> None:
    """Broken transports and bodies are what networks really do."""
    control.put_orders("M1", [{"id": "O1"}])
    control.set_faults("M1", FaultSpec(kind="truncated_json"), FaultSpec(kind="html", status=502, after=1))
    with pytest.raises(ValueError, match=r"."):
        search(web, bearer).json()
    page = search(web, bearer)
    assert (page.status_code, page.headers["content-type"]) == (502, "text/html")
    control.set_faults("M1", FaultSpec(kind="reset", operation="SearchOrders", times=2))
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            search(web, bearer)
    assert search(web, bearer).status_code == 200
    counts = {(row["operation"], row["status"]): row["count"] for row in control.calls("M1")}
    assert counts["SearchOrders", 0] == 2


def test_a_late_order_appears_between_pages(
    control: SandboxControl, web: httpx.Client, bearer: dict[str, str]
) -> None:
    """Offline tills report days later: created long ago, updated now."""
    late = {"id": "LATE", "created_at": "2026-01-01T00:00:00Z"}
    control.put_orders("M1", [{"id": "O1"}])
    control.set_faults("M1", FaultSpec(kind="late_orders", after=1, orders=(late,)))
    assert [order["id"] for order in search(web, bearer, query=QUERY).json()["orders"]] == ["O1"]
    assert [order["id"] for order in search(web, bearer, query=QUERY).json()["orders"]] == ["O1", "LATE"]


def test_catalog_deletions_and_increments(
    control: SandboxControl, web: httpx.Client, bearer: dict[str, str]
) -> None:
    """An incremental reader lives on the exclusive begin_time and on deletions that stay visible."""
    control.set_clock(datetime(2026, 3, 1, tzinfo=UTC), frozen=True)
    item = {
        "type": "ITEM",
        "id": "I1",
        "item_data": {
            "name": "Tea",
            "variations": [
                {"type": "ITEM_VARIATION", "id": "V1", "item_variation_data": {"name": "S", "item_id": "I1"}}
            ],
        },
    }
    control.put_catalog("M1", [item])
    body = {"object_types": ["ITEM"], "include_deleted_objects": True}
    first = web.post("/v2/catalog/search", json=body, headers=bearer).json()
    assert [obj["id"] for obj in first["objects"]] == ["I1"]
    increment = {**body, "begin_time": first["latest_time"]}
    assert "objects" not in web.post("/v2/catalog/search", json=increment, headers=bearer).json()
    control.advance_clock(5)
    control.delete_catalog_object("M1", "I1")
    changed = web.post("/v2/catalog/search", json=increment, headers=bearer).json()
    assert [(obj["id"], obj["is_deleted"]) for obj in changed["objects"]] == [("I1", True)]
    assert web.get("/v2/catalog/object/V1", headers=bearer).status_code == 404
    again = {"object_ids": ["V1"], "include_deleted_objects": True}
    found = web.post("/v2/catalog/batch-retrieve", json=again, headers=bearer).json()
    assert found["objects"][0]["is_deleted"] is True


def test_another_merchants_token_sees_nothing(
    control: SandboxControl, web: httpx.Client, bearer: dict[str, str]
) -> None:
    """Merchants must be as separate here as they are at Square."""
    control.put_orders("M1", [{"id": "O1"}])
    control.create_merchant(MerchantSpec(id="M2", name="Other", locations=(LocationSpec(id="X1", name="X"),)))
    other = {"authorization": f"Bearer {control.issue_tokens('M2', TokenSpec()).access_token}"}
    assert web.get("/v2/orders/O1", headers=other).status_code == 404
    assert refusal(search(web, other))[1] == "FORBIDDEN"


def test_a_wrong_file_is_refused_whole(control: SandboxControl, tmp_path: Path) -> None:
    """Half of a file loaded would leave totals that match nothing."""
    path = tmp_path / "sales.csv"
    path.write_text("Date,Time\n")
    with pytest.raises(SandboxRefusedError, match="column\\(s\\) missing"):
        control.load_csv("M1", str(path))
    with pytest.raises(SandboxRefusedError, match="No such file"):
        control.load_csv("M1", str(tmp_path / "nowhere.csv"))
    assert control.orders("M1") == []
