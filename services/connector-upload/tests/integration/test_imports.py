"""What an import does to a till, through the real process, database and Kafka."""

from __future__ import annotations

from datetime import date

import psycopg
import pytest
from suppli_connector_upload.manifest import TILL
from suppli_contracts.events.connections import ConnectionState
from suppli_contracts.events.sales import SaleRecorded
from suppli_contracts.events.sync import CoveredDays, RunState
from suppli_contracts.topics import SALES_RAW
from suppli_embedded.processes import ServiceProcess
from suppli_service_kit.urls import libpq_url

from .conftest import Deployment, Tenant, address, sales, until

MONDAY, TUESDAY = "2026-03-02", "2026-03-03"
FIRST = sales(
    ("A", MONDAY, "Latte", 1, "4.50"),
    ("A", MONDAY, "Bagel", 2, "7.00"),
    ("B", MONDAY, "Mocha", 1, "5.00"),
    ("C", TUESDAY, "Latte", 2, "9.00"),
)
AS_FIRST = {"A": 1150, "B": 500, "C": 900}


async def test_a_file_is_shown_before_it_is_imported_and_then_counts(till: Tenant) -> None:
    """A person must see what a file means before it changes their figures, and find them in it afterwards."""
    upload_id = await till.upload(FIRST, "../week 10.csv")
    shown = await till.ask("GET", f"/uploads/{upload_id}")
    assert (shown["file_name"], shown["size"]) == ("week 10.csv", len(FIRST))
    assert "preview" not in shown
    ready = await till.plan(upload_id, known=False)
    assert (
        ready["preview"]["totals"] | {"rows": 4, "orders": 3, "quantity": "6", "net": 2550}
        == (ready["preview"]["totals"])
    )
    assert [day["file"]["net"] for day in ready["days"]] == [1650, 900]
    assert [line["name"] for line in ready["preview"]["sales"][0]["lines"]]
    assert await till.nets() == {}, "a preview imports nothing"

    done, ended = await till.run(upload_id)
    assert done["state"] == "imported"
    assert done["counts"] == {"published": 3}
    assert await till.nets() == AS_FIRST
    covers = CoveredDays(location_id=TILL, from_date=date(2026, 3, 2), to_date=date(2026, 3, 3))
    assert ended.days == (covers,)
    assert ended.coverage is None
    assert (ended.counts.orders_published, ended.counts.lines_published) == (3, 4)
    assert next(iter((await till.standing()).values())).location_id == TILL


async def test_the_same_file_twice_adds_nothing(till: Tenant) -> None:
    """Whoever is not sure whether a file was uploaded uploads it again: no sale may count twice."""
    first = await till.ready(FIRST)
    await till.run(first)
    before = len(await till.said(SALES_RAW, SaleRecorded))
    again = await till.upload(FIRST)
    ready = await till.plan(again)
    assert ready["same_as"] == first
    assert [(day["file"]["net"], day["held"]["net"]) for day in ready["days"]] == [(1650, 1650), (900, 900)]
    done, _ = await till.run(again)
    assert done["counts"] == {"unchanged": 3}
    assert len(await till.said(SALES_RAW, SaleRecorded)) == before


async def test_a_corrected_export_changes_only_what_was_corrected(till: Tenant) -> None:
    """A re-export carries corrections: a sale that it no longer has was taken back at the till."""
    await till.run(await till.ready(FIRST))
    said = len(await till.said(SALES_RAW, SaleRecorded))
    corrected = sales(
        ("A", MONDAY, "Latte", 1, "4.50"),
        ("A", MONDAY, "Bagel", 1, "3.50"),
        ("D", MONDAY, "Tea", 1, "3.00"),
    )
    second = await till.ready(corrected)
    days = (await till.ask("GET", f"/uploads/{second}"))["days"]
    assert [(day["file"]["net"], day["held"]["net"]) for day in days] == [(1100, 1650)]
    done, _ = await till.run(second)
    assert done["counts"] == {"published": 2, "ended": 1}
    assert await till.nets() == {"A": 800, "D": 300, "C": 900}, "Tuesday is not in the file: it stays"
    assert len(await till.said(SALES_RAW, SaleRecorded)) == said + 3

    await till.run(second, "undo")
    assert await till.nets() == AS_FIRST


async def test_a_file_may_add_to_days_that_are_held(till: Tenant) -> None:
    """A second register's export of the same day must not end the first one's sales."""
    await till.run(await till.ready(FIRST))
    done, _ = await till.run(await till.ready(sales(("X", MONDAY, "Tea", 1, "3.00")), adding=True))
    assert done["counts"] == {"published": 1}
    assert await till.nets() == AS_FIRST | {"X": 300}


async def test_an_import_is_taken_back(till: Tenant) -> None:
    """A wrong file must leave no trace in the figures, whatever was imported before and after it."""
    first = await till.ready(FIRST)
    await till.run(first)
    wrong = await till.ready(sales(("A", MONDAY, "Latte", 9, "40.50"), ("E", MONDAY, "Tea", 1, "3.00")))
    await till.run(wrong)
    done, ended = await till.run(wrong, "undo")
    assert done["state"] == "undone"
    assert await till.nets() == AS_FIRST
    assert ended.days == (), "the days are still those of the first file"
    done, ended = await till.run(first, "undo")
    assert await till.nets() == {}
    covered = CoveredDays(
        location_id=TILL, from_date=date(2026, 3, 2), to_date=date(2026, 3, 3), withdrawn=True
    )
    assert ended.days == (covered,)
    refused = await till.call("POST", f"/uploads/{first}/undo")
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (409, "upload-not-undoable")
    await till.run(first)
    assert await till.nets() == AS_FIRST, "a file that was taken back may be imported again"


async def test_rows_that_are_wrong_are_listed_and_the_others_go_in(till: Tenant) -> None:
    """A typing mistake must neither hold a day's sales up, nor vanish, nor run as somebody's formula."""
    bad = FIRST + f"F,{TUESDAY} 12:00:00,Latte,=1+1,4.50\n".encode()
    upload_id = await till.ready(bad)
    done, _ = await till.run(upload_id)
    assert done["counts"] == {"published": 3, "row_errors": 1}
    assert await till.nets() == AS_FIRST
    answer = await till.call("GET", f"/uploads/{upload_id}/errors")
    header, row, *rest = answer.text.split("\r\n")
    assert (header, rest) == ("line,column,value,reason", [""])
    assert row.startswith("6,quantity,'=1+1,"), row


async def test_what_is_remembered_is_suggested(till: Tenant) -> None:
    """Who uploads each week answers once."""
    await till.run(await till.ready(FIRST))
    upload_id = await till.upload(sales(("Z", TUESDAY, "Tea", 1, "3.00")))
    shown = await till.ask("GET", f"/uploads/{upload_id}")
    assert {each["about"]: each["suggestion"] for each in shown["questions"]}["timezone"] == (
        "America/New_York"
    )


async def test_a_file_is_the_tenants_own(till: Tenant, other: Tenant) -> None:
    """Nobody else may see, import or undo a shop's file, or learn that it exists."""
    upload_id = await till.ready(FIRST)
    for method, path in (
        ("GET", ""),
        ("PUT", "/plan"),
        ("POST", "/import"),
        ("POST", "/undo"),
        ("GET", "/errors"),
    ):
        body = {"json": {"connection_id": str(other.connection)}} if method != "GET" else {}
        assert (await other.call(method, f"/uploads/{upload_id}{path}", **body)).status_code == 404
    assert (await other.ask("GET", "/uploads"))["uploads"] == []


async def rows_of(deployment: Deployment, till: Tenant, table: str) -> int:
    """Return how many rows of the tenant a table has."""
    with psycopg.connect(libpq_url(deployment.database.owner_url)) as owner:
        owner.execute(f"set app.tenants = '{{{till.tenant}}}'")
        query = f"select count(*) from {table} where tenant_id = %s"
        found = owner.execute(query, (till.tenant,)).fetchone()
        return int(found[0]) if found else 0


async def test_a_till_that_is_erased_leaves_nothing(deployment: Deployment, till: Tenant) -> None:
    """Who has their data erased must find it nowhere, the uploaded files least of all."""
    await till.run(await till.ready(FIRST))
    await till.connect(state=ConnectionState.DISCONNECTED, erase=True)

    async def gone() -> bool:
        tables = ("held_orders", "uploads", "upload_chunks", "upload_errors", "upload_times", "runs")
        return not any([await rows_of(deployment, till, table) for table in tables])

    await until(gone, "everything to be erased")


async def test_files_are_deleted_when_their_time_is_over_unless_an_undo_needs_them(
    deployment: Deployment, till: Tenant
) -> None:
    """A shop's files must not lie about for ever; but the one that an undo would go back to is needed."""
    first = await till.ready(FIRST)
    await till.run(first)
    await till.run(await till.ready(sales(("A", MONDAY, "Latte", 1, "4.50"))))
    await till.upload(sales(("Z", TUESDAY, "Tea", 1, "3.00")), "never imported.csv")
    with psycopg.connect(libpq_url(deployment.database.owner_url)) as owner:
        statement = "update upload_times set tidy_at = now() - interval '1 minute' where tenant_id = %s"
        owner.execute(statement, (till.tenant,))
    tidying = deployment.start("tidy")
    try:

        async def tidied() -> bool:
            return len((await till.ask("GET", "/uploads"))["uploads"]) == 2

        await until(tidied, "the file that nobody imported to go")

        async def second_gone() -> bool:
            return await rows_of(deployment, till, "upload_chunks") == 1

        await until(second_gone, "the newest file to go, which no later one needs")
        assert "undo_until" in await till.ask("GET", f"/uploads/{first}")
    finally:
        tidying.stop()


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"PK\x03\x04 no workbook", 201), (b"", 422), (b"x" * 2_000_001, 413)],
    ids=["broken", "empty", "too large"],
)
async def test_a_file_that_cannot_be_is_refused(
    deployment: Deployment, till: Tenant, content: bytes, code: int
) -> None:
    """A person must hear why, and nothing of a refused file may stay."""
    small = deployment.start("small", max_file_bytes=2_000_000)
    try:
        headers = {"Authorization": f"Bearer {till.token}", "Suppli-Tenant": str(till.tenant)}
        answer = await till.http.post(
            f"{address(small)}/internal/v1/uploads",
            headers=headers | {"Suppli-Actor": "ann", "Suppli-File-Name": "x.xlsx"},
            content=content,
        )
        assert answer.status_code == code
    finally:
        small.stop()
    if code == 201:
        refused = await till.seen(answer.json()["upload_id"], "refused")
        assert refused["problem"]["reason"]
    else:
        assert (await till.ask("GET", "/uploads"))["uploads"] == []
        with psycopg.connect(libpq_url(deployment.database.owner_url)) as owner:
            owner.execute(f"set app.tenants = '{{{till.tenant}}}'")
            assert owner.execute("select count(*) from upload_chunks").fetchone() == (0,)


MANY = 12_000


def many(days: int = 4) -> bytes:
    """Return a file whose import takes several pages."""
    rows = (
        (f"M{number}", f"2026-04-{1 + number % days:02}", f"Item {number % 50}", 1, "1.00")
        for number in range(MANY)
    )
    return sales(*rows)


async def test_a_killed_import_is_resumed_and_counts_once(
    deployment: Deployment, till: Tenant, process: ServiceProcess
) -> None:
    """A power cut in the middle must lose no sale and double none, and nobody must start it again."""
    upload_id = await till.ready(many())
    run_id = await till.begin(upload_id)

    async def under_way() -> bool:
        with psycopg.connect(libpq_url(deployment.database.owner_url), autocommit=True) as owner:
            owner.execute(f"set app.tenants = '{{{till.tenant}}}'")
            row = owner.execute(
                "select sales_done from uploads where upload_id = %s", (upload_id,)
            ).fetchone()
            return row is not None and 0 < row[0] < MANY

    await until(under_way, "some of the sales")
    process.kill()
    try:
        second = deployment.start("two")
        till.http.base_url = address(second)
        ended = await till.ended(run_id)
        assert ended.state is RunState.SUCCEEDED
        nets = await till.nets()
        assert (len(nets), sum(nets.values())) == (MANY, 100 * MANY)
        done = await till.ask("GET", f"/uploads/{upload_id}")
        assert done["counts"] == {"published": MANY}
        second.stop()
    finally:
        process.start()
        process.wait_ready()
    assert not list(deployment.work.iterdir()), "what the killed process left on the disk is tidied away"


async def test_a_cancelled_import_stops_and_can_be_taken_back(deployment: Deployment, till: Tenant) -> None:
    """Who sees that it is the wrong file must be able to stop it, and to be rid of what came in."""
    upload_id = await till.ready(many())
    run_id = await till.begin(upload_id)
    await till.seen(upload_id, "importing")
    await till.cancel(run_id)
    ended = await till.ended(run_id)
    assert ended.state is RunState.CANCELLED
    assert ended.days == ()
    stopped = await till.ask("GET", f"/uploads/{upload_id}")
    assert stopped["state"] == "cancelled"
    assert len(await till.nets()) < MANY
    await till.run(upload_id, "undo")
    assert await till.nets() == {}


async def test_what_a_cancelled_import_published_without_recording_it_is_taken_back(
    deployment: Deployment, till: Tenant
) -> None:
    """Between Kafka's word and the database's a run may be cancelled: what was published then counts, and an
    undo that does not know of it leaves it standing for ever.
    """
    first = await till.ready(FIRST)
    await till.run(first)
    second = await till.ready(sales(("A", MONDAY, "Latte", 1, "4.50"), ("N", MONDAY, "Tea", 1, "3.00")))
    await till.run(second)
    assert await till.nets() == {"A": 450, "N": 300, "C": 900}
    with psycopg.connect(libpq_url(deployment.database.owner_url)) as owner:  # as if cancelled before it knew
        owner.execute(f"set app.tenants = '{{{till.tenant}}}'")
        owner.execute("delete from held_orders where order_id = %s", (f"N@{MONDAY}",))
        owner.execute(
            "update held_orders set upload_id = %s, gone = false, content_hash = 'before', source_version = 1"
            " where order_id = %s",
            (first, f"B@{MONDAY}"),
        )
        owner.execute(
            "update uploads set state = 'importing', settled = false, ending = true, sales_done = 1"
            " where upload_id = %s",
            (second,),
        )
        owner.execute("update runs set state = 'cancelled' where run_id = %s", (till.runs[-1],))
    assert (await till.ask("GET", f"/uploads/{second}"))["state"] == "cancelled"
    await till.run(second, "undo")
    assert await till.nets() == AS_FIRST
