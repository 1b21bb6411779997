"""What people do with connections, and what stays possible while a neighbour is down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
from suppli_contracts.events import ConnectionChanged
from suppli_contracts.events.connections import ConnectionState, ScheduleKind
from suppli_contracts.events.sync import Republish

from .conftest import TIE, Deployment, Heard, Person, until


async def test_pause_and_resume_are_said_once_each(admin: Person, code: str, heard: Heard) -> None:
    """A pause that nobody hears of goes on syncing."""
    connection = await admin.started(code)
    path = f"/v1/connections/{connection}"
    revision = (await admin.ask("POST", f"{path}/pause"))["revision"]
    assert (await admin.ask("POST", f"{path}/pause"))["revision"] == revision, "nothing changed"
    await admin.refused(409, "connection-paused", "POST", f"{path}/sync")
    assert (await admin.ask("POST", f"{path}/resume"))["state"] == "connected"
    await until(lambda: heard.of(ConnectionChanged, connection_id=connection, revision=revision + 1))
    states = [event.state for event in heard.of(ConnectionChanged, connection_id=connection)]
    assert states[-2:] == [ConnectionState.PAUSED, ConnectionState.CONNECTED]


async def test_every_wrong_setting_is_named_and_none_is_taken(admin: Person, code: str) -> None:
    """A person corrects a form once, not field by field; half a change would count sales on wrong days."""
    connection = await admin.started(code)
    path = f"/v1/connections/{connection}"
    before = await admin.ask("GET", path)
    body = {
        "start_date": "2999-01-01",
        "schedule": {"kind": "daily", "daily_at": "24:00", "timezone": "Mars/Olympus"},
        "locations": [
            {"location_id": "L1", "suppli_location_id": "nowhere", "timezone": "EST5", "day_cutoff": "3:00"},
            {"location_id": "L7", "chosen": True},
            {"location_id": "L1", "chosen": False},
        ],
    }
    refused = await admin.refused(422, "invalid-request", "PATCH", path, json=body)
    found = {error["field"]: error["value"] for error in refused["errors"]}
    assert found == {
        "$.schedule.timezone": "Mars/Olympus",
        "$.schedule.daily_at": "24:00",
        "$.start_date": "2999-01-01",
        "$.locations[0].suppli_location_id": "nowhere",
        "$.locations[0].timezone": "EST5",
        "$.locations[0].day_cutoff": "3:00",
        "$.locations[1].location_id": "L7",
        "$.locations[2].location_id": "L1",
    }
    assert (await admin.ask("GET", path))["revision"] == before["revision"]
    await admin.refused(422, "invalid-request", "PATCH", path, json={"locations": [{**TIE, "chosn": True}]})


async def test_a_start_needs_ties_and_confirmed_zones(admin: Person, code: str, heard: Heard) -> None:
    """Sales of a location without a zone would land on wrong days, and the figures with them."""
    connection = (await admin.connect(code))["connection"]["id"]
    path = f"/v1/connections/{connection}"
    body = {"start_date": "2026-01-01", "schedule": {"kind": "interval", "every_minutes": 15}}
    await admin.refused(409, "not-started", "POST", f"{path}/sync")
    await admin.refused(409, "no-location-chosen", "POST", f"{path}/start", json=body)
    await admin.ask("PATCH", path, json={"locations": [{"location_id": "L1", "chosen": True}]})
    await admin.refused(409, "location-not-tied", "POST", f"{path}/start", json=body)
    await admin.ask("PUT", "/v1/locations/shop-1", json={"name": "Shop"})
    tied = {"location_id": "L1", "suppli_location_id": "shop-1"}
    await admin.ask("PATCH", path, json={"locations": [tied]})
    await admin.refused(409, "zone-not-confirmed", "POST", f"{path}/start", json=body)
    await admin.ask("PATCH", path, json={"locations": [TIE]})
    started = (await admin.ask("POST", f"{path}/start", 202, json=body))["connection"]
    again = (await admin.ask("POST", f"{path}/start", 202, json=body))["connection"]
    assert again["revision"] == started["revision"]
    later = {
        "location_id": "L1",
        "day_cutoff": "05:00",
        "timezone": "America/Chicago",
        "from_date": "2026-06-01",
    }
    zones = (await admin.ask("PATCH", path, json={"locations": [later]}))["locations"][0]["zones"]
    assert [(zone["day_cutoff"], zone["from_date"]) for zone in zones] == [
        ("03:00", None),
        ("05:00", "2026-06-01"),
    ]
    loose = {"location_id": "L1", "suppli_location_id": None}
    await admin.refused(422, "invalid-request", "PATCH", path, json={"locations": [loose]})
    revision = started["revision"]
    await until(lambda: heard.of(ConnectionChanged, connection_id=connection, revision=revision))
    (said,) = heard.of(ConnectionChanged, connection_id=connection, revision=revision)
    assert (said.schedule.kind, said.schedule.every_minutes) == (ScheduleKind.INTERVAL, 15)
    often = {"schedule": {"kind": "cron", "cron": "*/2 * * * *", "timezone": "America/New_York"}}
    refused = await admin.refused(422, "invalid-request", "PATCH", path, json=often)
    (error,) = refused["errors"]
    assert (error["field"], error["value"]) == ("$.schedule.cron", "*/2 * * * *")
    assert "2 minutes apart; at least 5" in error["message"]
    weekdays = {**often["schedule"], "cron": "30 4 * * MON-FRI"}
    changed = await admin.ask("PATCH", path, json={"schedule": weekdays})
    assert changed["schedule"].items() >= weekdays.items()
    await until(lambda: heard.of(ConnectionChanged, connection_id=connection, revision=changed["revision"]))
    (said,) = heard.of(ConnectionChanged, connection_id=connection, revision=changed["revision"])
    assert (said.schedule.kind, said.schedule.cron) == (ScheduleKind.CRON, "30 4 * * MON-FRI")


async def test_a_way_names_a_connection_of_the_same_tenant_and_is_said(
    sign_in: Callable[..., Person], deployment: Deployment, heard: Heard
) -> None:
    """Named at a stranger's connection, or unsaid, a till's files count beside its connection, twice."""
    codes = [f"code-{uuid4().hex}" for _ in range(3)]
    for each in codes:
        deployment.neighbours.account(each, f"M{uuid4().hex}")
    admin, stranger = sign_in(uuid4()), sign_in(uuid4())
    till, files, foreign = (
        await admin.started(codes[0]), await admin.started(codes[1]), await stranger.started(codes[2])
    )  # fmt: skip
    path = f"/v1/connections/{files}"
    for wrong in (foreign, files, str(uuid4())):
        refused = await admin.refused(
            422, "invalid-request", "PATCH", path, json={"way": {"stands_for": wrong}}
        )
        assert [error["field"] for error in refused["errors"]] == ["$.way.stands_for"]
    way = {"stands_for": till, "only_compare": True}
    changed = await admin.ask("PATCH", path, json={"way": way})
    assert changed["way"] == way
    assert (await admin.ask("GET", path))["way"] == way
    await until(lambda: heard.of(ConnectionChanged, connection_id=files, revision=changed["revision"]))
    (said,) = heard.of(ConnectionChanged, connection_id=files, revision=changed["revision"])
    assert (str(said.way.stands_for), said.way.only_compare) == (till, True)
    alone = {"stands_for": None, "only_compare": False}
    assert (await admin.ask("PATCH", path, json={"way": {}}))["way"] == alone


async def test_while_neighbours_are_down_what_is_ours_still_answers(
    admin: Person, code: str, deployment: Deployment
) -> None:
    """An outage of one part must not make the whole system look dead."""
    connection = await admin.started(code)
    path = f"/v1/connections/{connection}"
    deployment.neighbours.down |= {"/runs", "/items", "/preview", "/revoke"}
    for method, asked in (("POST", f"{path}/sync"), ("GET", "/v1/items"), ("GET", f"{path}/preview")):
        answer = await admin.http.request(method, asked)
        assert answer.status_code == 503, asked
        assert int(answer.headers["retry-after"]) > 0
    for asked in ("/v1/connections", path, f"{path}/runs", f"{path}/coverage", "/v1/products"):
        await admin.ask("GET", asked)
    # Disconnecting works at once; the authorization is revoked as soon as it can be.
    assert (await admin.ask("POST", f"{path}/disconnect"))["state"] == "disconnected"
    refused = len(deployment.neighbours.calls(f"{connection}/revoke"))
    assert refused == 1
    deployment.neighbours.down.clear()
    deployment.move_clock(timedelta(seconds=30))
    await until(lambda: len(deployment.neighbours.calls(f"{connection}/revoke")) > refused, "the revocation")


async def test_a_scheduler_that_has_not_heard_yet_is_asked_again(
    admin: Person, code: str, deployment: Deployment
) -> None:
    """Starting right after connecting must not fail because one message is still on its way."""
    connection = await admin.started(code)
    deployment.neighbours.refuse_runs += ["connection-not-known-yet"] * 2
    await admin.ask("POST", f"/v1/connections/{connection}/sync", 202)
    deployment.neighbours.refuse_runs += ["reauth-required"]
    await admin.refused(409, "reauth-required", "POST", f"/v1/connections/{connection}/sync")


async def test_a_post_with_the_same_key_is_done_once(
    admin: Person, code: str, deployment: Deployment
) -> None:
    """A phone that sends again on a bad line must not start two connections or two runs."""
    connection = await admin.started(code)
    headers = {"Idempotency-Key": str(uuid4())}
    path = f"/v1/connections/{connection}/sync"
    before = len(deployment.neighbours.calls(f"{connection}/runs"))
    first = await admin.http.post(path, headers=headers)
    second = await admin.http.post(path, headers=headers)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert len(deployment.neighbours.calls(f"{connection}/runs")) == before + 1
    await admin.refused(422, "idempotency-key-reused", "POST", path, headers=headers, json={"other": 1})
    await admin.refused(400, "idempotency-key-invalid", "POST", path, headers={"Idempotency-Key": "x" * 201})

    headers = {"Idempotency-Key": str(uuid4())}
    body = {"provider": "square", "environment": "sandbox"}
    answers = await asyncio.gather(
        *(admin.http.post("/v1/connections", headers=headers, json=body) for _ in range(6))
    )
    ids = {answer.json()["connection"]["id"] for answer in answers if answer.status_code == 201}
    assert len(ids) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    again = await admin.http.post("/v1/connections", headers=headers, json=body)
    assert (
        again.json()["authorize_url"]
        == next(a for a in answers if a.status_code == 201).json()["authorize_url"]
    )
    # A failed request may be tried again with its key.
    deployment.neighbours.down.add("/manifest")
    headers = {"Idempotency-Key": str(uuid4())}
    assert (await admin.http.post("/v1/connections", headers=headers, json=body)).status_code == 503
    deployment.neighbours.down.clear()
    assert (await admin.http.post("/v1/connections", headers=headers, json=body)).status_code == 201


async def test_a_republish_reaches_the_scheduler_whole(
    admin: Person, code: str, deployment: Deployment
) -> None:
    """A consumer that lost a day gets that day again, and not only what has changed."""
    path = f"/v1/connections/{(await admin.connect(code))['connection']['id']}"
    ids = {"order_ids": ["A", "B", "A"]}
    await admin.refused(409, "not-started", "POST", f"{path}/republish", json=ids)
    code = f"{code}-started"
    deployment.neighbours.account(code, f"M{code}")
    path = f"/v1/connections/{await admin.started(code)}"
    wanted = {"from_at": "2026-03-01T00:00:00-05:00", "to_at": "2026-03-02T00:00:00-05:00", **ids}
    run = await admin.ask("POST", f"{path}/republish", 202, json=wanted)
    assert run["kind"] == "republish"
    asked = deployment.neighbours.calls("/runs")[-1].body
    assert asked["kind"] == "republish"
    said = msgspec.convert(asked["republish"], Republish)
    begin = datetime(2026, 3, 1, 5, tzinfo=UTC)
    assert said == Republish(from_at=begin, to_at=begin + timedelta(days=1), order_ids=("A", "B"))
    for body, field in (({}, "$"), ({"to_at": "2026-03-02T00:00:00Z"}, "$.from_at")):
        refused = await admin.refused(422, "invalid-request", "POST", f"{path}/republish", json=body)
        assert [error["field"] for error in refused["errors"]] == [field]
        assert refused["detail"].startswith(f"{field}: ")


async def test_bad_requests_are_named(admin: Person) -> None:
    """Whoever builds on the API learns from the answer what to mend."""
    refused = await admin.refused(
        422, "unknown-provider", "POST", "/v1/connections", json={"provider": "abacus"}
    )
    assert refused["providers"] == ["square"]
    body = {"provider": "square", "environment": "moon"}
    await admin.refused(422, "unknown-environment", "POST", "/v1/connections", json=body)
    await admin.refused(400, "cursor-invalid", "GET", "/v1/connections?cursor=abc")
    await admin.refused(422, "invalid-request", "GET", "/v1/connections?limit=201")
    await admin.refused(404, "not-found", "GET", "/v1/nothing")
    await admin.refused(405, "method-not-allowed", "DELETE", "/v1/connections")
    huge = await admin.http.post("/v1/connections", content=b" " * 1_000_001)
    assert huge.status_code == 413
    answer = await admin.http.get("/v1/connections", headers={"X-Request-Id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "traceparent" in answer.headers


async def test_lists_go_on_where_they_ended(admin: Person) -> None:
    """A tenant with many connections must see each once."""
    begun = [(await admin.begin())["connection"]["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = await admin.ask("GET", "/v1/connections", params=params)
        seen += [each["id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == begun
