"""Products and locations come in by file and by hand, and go out to everybody, again each day."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from suppli_contracts.events import ConnectionChanged, LocationChanged, ProductChanged

from .conftest import Deployment, Heard, Person, until

CSV = (
    "\ufeffname,product_id,unit,sku,barcode\n"
    "Latte,p1,each,LAT,\n"
    ",p2,each,,\n"
    "Beans,p3,KG!,,\n"
    "Tea,p4,,,4006381333931\n"
)


async def test_good_rows_go_in_and_bad_ones_are_named(admin: Person, tenant: UUID, heard: Heard) -> None:
    """One typing error in a file of thousands must not keep the rest out, nor go unseen."""
    headers = {"Content-Type": "text/csv; charset=utf-8"}
    report = await admin.ask("POST", "/v1/products/import", content=CSV.encode(), headers=headers)
    assert (report["imported"], report["unchanged"], report["rejected"]) == (2, 0, 2)
    assert [(error["line"], error["column"], error["value"]) for error in report["errors"]] == [
        (3, "name", ""),
        (4, "unit", "KG!"),
    ]
    await until(lambda: len(heard.of(ProductChanged, tenant_id=tenant)) == 2)
    again = await admin.ask("POST", "/v1/products/import", content=CSV.encode(), headers=headers)
    assert (again["imported"], again["unchanged"]) == (0, 2)
    renamed = {"products": [{"product_id": "p1", "name": "Caffe latte"}]}
    assert (await admin.ask("POST", "/v1/products/import", json=renamed))["imported"] == 1
    await until(lambda: len(heard.of(ProductChanged, tenant_id=tenant)) == 3)
    assert [event.revision for event in heard.of(ProductChanged, tenant_id=tenant, product_id="p1")] == [1, 2]
    listed = (await admin.ask("GET", "/v1/products?search=LATTE"))["items"]
    assert [product["name"] for product in listed] == ["Caffe latte"]


async def test_a_file_that_cannot_be_read_says_where(admin: Person) -> None:
    """Whoever uploads a spreadsheet by mistake learns what is expected."""
    for content, kind, status, slug in (
        (b"id,title\n1,Latte\n", "text/csv", 422, "file-unreadable"),
        (b"product_id,name\np1,\xff\n", "text/csv", 422, "file-unreadable"),
        (b'product_id,name\np1,"open\n', "text/csv", 422, "file-unreadable"),
        (b"{", "application/json", 422, "file-unreadable"),
        (b'{"products": 3}', "application/json", 422, "file-unreadable"),
        (b"PK", "application/zip", 415, "unsupported-media-type"),
    ):
        headers = {"Content-Type": kind}
        await admin.refused(status, slug, "POST", "/v1/products/import", content=content, headers=headers)


async def test_a_location_is_said_when_it_changes_and_only_then(
    admin: Person, tenant: UUID, heard: Heard
) -> None:
    """Whether returns go back on the shelf reaches the ledger from here."""
    body = {"name": "Pike", "timezone": "America/Los_Angeles", "restock_unknown": True}
    assert (await admin.ask("PUT", "/v1/locations/pike", json=body))["revision"] == 1
    assert (await admin.ask("PUT", "/v1/locations/pike", json=body))["revision"] == 1
    changed = await admin.ask("PUT", "/v1/locations/pike", json={**body, "restock_unknown": False})
    assert changed["revision"] == 2
    await until(lambda: len(heard.of(LocationChanged, tenant_id=tenant)) == 2)
    assert [event.restock_unknown for event in heard.of(LocationChanged, tenant_id=tenant)] == [True, False]
    bad = {**body, "timezone": "Pacific"}
    refused = await admin.refused(422, "invalid-request", "PUT", "/v1/locations/pike", json=bad)
    assert refused["errors"][0]["field"] == "$.timezone"


async def test_current_values_are_said_again_daily_and_removed_ones_end(
    admin: Person, tenant: UUID, code: str, heard: Heard, deployment: Deployment
) -> None:
    """A consumer that joins late finds every value within a day; what was erased leaves the topic."""
    connection = await admin.started(code)
    erased = (await admin.begin())["connection"]["id"]
    await admin.ask("POST", f"/v1/connections/{erased}/disconnect", json={"erase": True})
    await until(lambda: len(heard.of(ConnectionChanged, connection_id=connection)) == 4)
    deployment.move_clock(timedelta(hours=25))
    await until(lambda: len(heard.of(ConnectionChanged, connection_id=connection)) == 5, "the statement")
    last = heard.of(ConnectionChanged, connection_id=connection)
    assert last[-1].revision == last[-2].revision
    await until(lambda: len(heard.of(LocationChanged, tenant_id=tenant)) == 2)
    assert erased not in heard.tombstones
    deployment.move_clock(timedelta(days=31))
    await until(lambda: erased in heard.tombstones, "the tombstone")
    assert connection not in heard.tombstones
