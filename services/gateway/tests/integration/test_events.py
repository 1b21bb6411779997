"""What other services tell reaches the pages: runs, errors, due times, lost authorizations, live progress."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from aiokafka import AIOKafkaConsumer
from suppli_contracts.events import (
    ConnectionChanged,
    ItemUnmapped,
    MappingChanged,
    NextSyncScheduled,
    ReauthRequired,
    SyncRunChanged,
)
from suppli_contracts.events.connections import ConnectionState
from suppli_contracts.events.days import DayFigures, DayMoney, DayState, DayWay, SalesDayStated
from suppli_contracts.events.mapping import MappingState
from suppli_contracts.events.sync import (
    Coverage,
    Emptiness,
    ErrorClass,
    NothingFound,
    RunCounts,
    RunError,
    RunKind,
    RunState,
    WaitsFor,
)
from suppli_contracts.topics import MAPPING_EVENTS, SALES_DAYS, SYNC_EVENTS
from suppli_embedded.runtime import Servers

from .conftest import Deployment, Heard, Person, until

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Runner:
    """Says what becomes of one run."""

    def __init__(self, heard: Heard, tenant: UUID, connection: str) -> None:
        self._heard, self.tenant, self.connection = heard, tenant, UUID(connection)
        self.run_id = uuid4()

    def event(self, state: RunState, sequence: int, *, attempt: int = 1, **fields: Any) -> SyncRunChanged:
        return SyncRunChanged(
            tenant_id=self.tenant,
            connection_id=self.connection,
            provider="square",
            run_id=self.run_id,
            attempt=attempt,
            sequence=sequence,
            kind=RunKind.MANUAL,
            state=state,
            at=AT + timedelta(seconds=100 * attempt + sequence),
            **fields,
        )

    async def say(self, state: RunState, sequence: int, **fields: Any) -> None:
        await self._heard.say(SYNC_EVENTS, self.event(state, sequence, **fields))


@asynccontextmanager
async def stream(
    url: str, token: str, path: str = "/v1/events", **headers: str
) -> AsyncIterator[asyncio.Queue[Any]]:
    """Follow a stream: a queue of (event, data, id), None at its end."""
    queue: asyncio.Queue[Any] = asyncio.Queue()

    async def read(opened: asyncio.Event) -> None:
        async with (
            httpx.AsyncClient(timeout=30) as http,
            http.stream("GET", url + path, headers={"Authorization": f"Bearer {token}", **headers}) as answer,
        ):
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            fields: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line.startswith(": connected"):
                    opened.set()
                elif not line and "data" in fields:
                    await queue.put((fields.get("event"), json.loads(fields["data"]), fields.get("id")))
                    fields = {}
                elif ": " in line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    fields[name] = value
        await queue.put(None)

    opened = asyncio.Event()
    reading = asyncio.create_task(read(opened))
    try:
        async with asyncio.timeout(20):
            await opened.wait()
        yield queue
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def following(queue: asyncio.Queue[Any]) -> Any:
    async with asyncio.timeout(20):
        return await queue.get()


async def test_runs_errors_coverage_and_due_times_are_shown(
    admin: Person, tenant: UUID, code: str, heard: Heard
) -> None:
    """The owner looks here to know whether yesterday's sales are in."""
    connection = await admin.started(code)
    path = f"/v1/connections/{connection}"
    run = Runner(heard, tenant, connection)
    await run.say(RunState.QUEUED, 0, requested_at=AT)
    await run.say(RunState.RUNNING, 3, started_at=AT, progress=0.5, counts=RunCounts(orders_read=7))
    await run.say(RunState.RUNNING, 2, progress=0.2)  # late: a lower sequence

    async def begun() -> Any:  # it is `syncing` as soon as the run is queued
        active = (await admin.ask("GET", path))["active_run"]
        return active if active and active["state"] == "running" else None

    shown = await until(begun, "the run in progress")
    assert await _is(admin, path, "syncing")
    assert (shown["progress"], shown["counts"]["orders_read"], shown["requested_at"]) == (
        0.5,
        7,
        "2026-03-01T12:00:00Z",
    )
    error = RunError(error_class=ErrorClass.NETWORK, message="The provider did not answer.")
    await run.say(RunState.FAILED, 4, error=error, finished_at=AT + timedelta(seconds=9))
    await run.say(RunState.QUEUED, 0, attempt=2, next_attempt_at=AT + timedelta(minutes=1))
    await until(lambda: _is(admin, path, "error"), "the failure")
    details = await admin.ask("GET", path)
    assert details["error"]["error_class"] == "network"
    assert details["error"]["reauth_required"] is False
    covered = Coverage(location_id="L1", stream="orders", from_at=AT, to_at=AT + timedelta(hours=1))
    await run.say(
        RunState.SUCCEEDED,
        9,
        attempt=2,
        started_at=AT,
        finished_at=AT + timedelta(seconds=4),
        coverage=(covered,),
    )
    due = NextSyncScheduled(
        tenant_id=tenant,
        connection_id=UUID(connection),
        provider="square",
        revision=2,
        at=AT,
        next_due_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
    )
    await heard.say(SYNC_EVENTS, due)
    await until(lambda: _is(admin, path, "connected"), "the success")
    await until(lambda: _has(admin, path, "next_sync_at", "2026-03-02T09:00:00Z"), "the due time")
    details = await admin.ask("GET", path)
    assert [each["error_class"] for each in details["errors"]] == ["network"], "the history keeps it"
    assert details["last_run"]["duration_seconds"] == 4.0
    coverage = await admin.ask("GET", f"{path}/coverage")
    assert [interval["location_id"] for interval in coverage["intervals"]] == ["L1"]
    (listed,) = (await admin.ask("GET", f"{path}/runs"))["items"]
    assert (listed["run_id"], listed["state"], listed["attempt"]) == (str(run.run_id), "succeeded", 2)


async def test_what_holds_a_sync_up_is_said_and_forgotten(
    admin: Person, tenant: UUID, code: str, heard: Heard, deployment: Deployment
) -> None:
    """An owner who sees a sync in progress, and nothing coming in, would call us instead of waiting."""
    connection = await admin.started(code)
    path = f"/v1/connections/{connection}"
    run = Runner(heard, tenant, connection)
    await run.say(RunState.RUNNING, 1, started_at=AT)
    await until(lambda: _is(admin, path, "syncing"))
    assert (await admin.ask("GET", path))["waits_for"] is None
    await run.say(RunState.RUNNING, 2, started_at=AT, waits_for=WaitsFor.SECRETS)
    await until(lambda: _has(admin, path, "waits_for", "secrets"))
    shown = await admin.ask("GET", path)
    assert (shown["state"], shown["active_run"]["waits_for"]) == ("syncing", "secrets")
    assert "authorizations cannot be reached" in shown["status"]
    await run.say(RunState.RUNNING, 3, started_at=AT, progress=0.5)
    await until(lambda: _has(admin, path, "waits_for", None))
    await run.say(RunState.SUCCEEDED, 4, started_at=AT, finished_at=AT)
    await until(lambda: _is(admin, path, "connected"))

    deployment.neighbours.down.add("/readyz")
    await until(lambda: _has(admin, path, "waits_for", "connector"), "a connector that is not ready")
    assert "reads this provider is down" in (await admin.ask("GET", path))["status"]
    (listed,) = (await admin.ask("GET", "/v1/connections"))["items"]
    assert listed["waits_for"] == "connector"
    async with httpx.AsyncClient() as http:
        ready = await http.get(f"http://127.0.0.1:{deployment.processes[0].internal_port}/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["checks"]["connector-square"] == "not ready (503)"
    deployment.neighbours.down.clear()
    await until(lambda: _has(admin, path, "waits_for", None), "its return")


async def _is(person: Person, path: str, state: str) -> bool:
    return await _has(person, path, "state", state)


async def _has(person: Person, path: str, field: str, value: object) -> bool:
    return bool((await person.ask("GET", path))[field] == value)


async def test_a_lost_authorization_asks_for_a_person_and_a_new_one_clears_it(
    admin: Person, tenant: UUID, code: str, heard: Heard
) -> None:
    """Otherwise nothing is synced and nobody knows why, or the alarm stays after it was mended."""
    connection = await admin.started(code)
    path = f"/v1/connections/{connection}"
    lost = ReauthRequired(
        tenant_id=tenant,
        connection_id=UUID(connection),
        provider="square",
        reason="The authorization was withdrawn.",
        at=datetime.now(UTC),
    )
    await heard.say(SYNC_EVENTS, lost)
    await until(lambda: _is(admin, path, "error"))
    details = await admin.ask("GET", path)
    assert details["error"]["reauth_required"] is True
    await admin.refused(409, "reauth-required", "POST", f"{path}/sync")
    begun = await admin.ask("POST", f"{path}/reauthorize")
    assert (await admin.come_back(begun["authorize_url"], code=code)).status_code == 200
    await heard.say(SYNC_EVENTS, lost)  # delivered again, late
    marker = NextSyncScheduled(
        tenant_id=tenant,
        connection_id=UUID(connection),
        provider="square",
        revision=1,
        at=AT,
        next_due_at=datetime(2026, 4, 1, tzinfo=UTC),
    )
    await heard.say(SYNC_EVENTS, marker)
    await until(lambda: _has(admin, path, "next_sync_at", "2026-04-01T00:00:00Z"))
    assert (await admin.ask("GET", path))["state"] == "connected"
    await until(lambda: len(heard.of(ConnectionChanged, connection_id=connection)) == 6)
    states = [event.state for event in heard.of(ConnectionChanged, connection_id=connection)]
    assert states[-2:] == [ConnectionState.ERROR, ConnectionState.CONNECTED]


async def test_items_that_wait_are_counted(admin: Person, tenant: UUID, code: str, heard: Heard) -> None:
    """The count is what tells an owner that sales lie parked."""
    connection = await admin.started(code)
    path = f"/v1/connections/{connection}"
    items = [uuid4() for _ in range(3)]

    async def decide(item: UUID, revision: int, state: MappingState) -> None:
        event = MappingChanged(
            tenant_id=tenant,
            connection_id=UUID(connection),
            item_id=item,
            item_key="sku:1",
            revision=revision,
            state=state,
            at=AT,
        )
        await heard.say(MAPPING_EVENTS, event)

    for item in items:
        event = ItemUnmapped(
            tenant_id=tenant, connection_id=UUID(connection), item_id=item, item_key="sku:1", at=AT
        )
        await heard.say(MAPPING_EVENTS, event)
    await until(lambda: _has(admin, path, "unmapped_items", 3))
    await decide(items[0], 1, MappingState.MAPPED)
    await decide(items[1], 1, MappingState.IGNORED)
    await until(lambda: _has(admin, path, "unmapped_items", 1))
    await decide(items[0], 2, MappingState.UNMAPPED)
    await until(lambda: _has(admin, path, "unmapped_items", 2))


async def test_a_poisoned_message_is_set_aside_and_the_rest_goes_on(
    admin: Person, tenant: UUID, code: str, heard: Heard, embedded: Servers
) -> None:
    """One broken message must not freeze every tenant's progress."""
    connection = await admin.started(code)
    key = connection.encode()
    await heard.say_raw(SYNC_EVENTS, key, b"{", {"ce_type": "suppli.SyncRunChanged.v1"})
    run = Runner(heard, tenant, connection)
    await run.say(RunState.RUNNING, 1)
    await until(lambda: _is(admin, f"/v1/connections/{connection}", "syncing"))
    consumer = AIOKafkaConsumer(
        f"{SYNC_EVENTS}.gateway.sync-events.dlq",
        bootstrap_servers=embedded.kafka.bootstrap_servers,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            while (await consumer.getone()).key != key:
                pass
    finally:
        await consumer.stop()


async def test_two_replicas_show_the_same_run_live_and_to_its_tenant_alone(
    admin: Person,
    tenant: UUID,
    code: str,
    heard: Heard,
    deployment: Deployment,
    sign_in: Callable[..., Person],
) -> None:
    """Whichever replica a page happens to reach, progress is seen; and never a stranger's."""
    second = deployment.start("two")
    connection = await admin.started(code)
    first, token = str(admin.http.base_url), deployment.token(tenant, "viewer")
    stranger = deployment.token(uuid4(), "viewer")
    run = Runner(heard, tenant, connection)
    async with (
        stream(first, token) as one,
        stream(second, token, f"/v1/connections/{connection}/events") as two,
        stream(second, stranger) as foreign,
    ):
        await run.say(RunState.RUNNING, 1, progress=0.25)
        told = [await following(queue) for queue in (one, two)]
        assert told[0] == told[1]
        event, data, last_id = told[0]
        assert (event, data["run_id"], data["progress"]) == ("run", str(run.run_id), 0.25)
        await admin.ask("POST", f"/v1/connections/{connection}/pause")
        event, data, _ = await following(one)
        assert (event, data["state"]) == ("connection", "paused")
        assert foreign.empty()
    # Missed while away: what changed since comes first.
    await run.say(RunState.SUCCEEDED, 2)
    await until(lambda: _has(admin, f"/v1/runs/{run.run_id}", "state", "succeeded"))
    async with stream(second, token, **{"Last-Event-ID": last_id}) as again:
        event, data, _ = await following(again)
        assert (event, data["state"]) == ("run", "succeeded")
    # A replica that stops ends its streams and leaves none hanging.
    async with stream(second, token) as last:
        await asyncio.to_thread(deployment.processes[-1].stop)
        assert await following(last) is None
    assert deployment.processes[-1].returncode == 0


async def test_a_stream_ends_with_its_token(tenant: UUID, gateway_url: str, deployment: Deployment) -> None:
    """Somebody who was signed out must not go on watching."""
    async with stream(gateway_url, deployment.token(tenant, "viewer", ttl_s=2)) as queue:
        assert await following(queue) is None


async def test_a_sync_that_found_nothing_says_what_that_is_worth(
    admin: Person, tenant: UUID, code: str, heard: Heard
) -> None:
    """A till that was off would look like a green day without sales."""
    connection = await admin.started(code)
    path = f"/v1/connections/{connection}"
    doubt = NothingFound(outcome=Emptiness.SUSPECT, reason="Sales were expected.", location_ids=("L1",))
    await Runner(heard, tenant, connection).say(
        RunState.SUCCEEDED, 4, finished_at=AT, counts=RunCounts(pages=1), nothing_found=doubt
    )

    async def doubted() -> Any:
        shown = await admin.ask("GET", path)
        return shown if "doubtful. Sales were expected." in shown["status"] else None

    shown = await until(doubted, "the doubt")
    assert shown["last_run"]["nothing_found"] == {
        "outcome": "suspect",
        "reason": "Sales were expected.",
        "location_ids": ["L1"],
    }
    verified = NothingFound(outcome=Emptiness.EMPTY_VERIFIED)
    await Runner(heard, tenant, connection).say(
        RunState.SUCCEEDED, 4, finished_at=AT, counts=RunCounts(pages=1), nothing_found=verified
    )
    await until(lambda: _is(admin, path, "connected"), "the state")


async def test_what_is_known_of_a_day_is_shown_by_its_newest_word(
    admin: Person, tenant: UUID, code: str, heard: Heard, sign_in: Callable[..., Person]
) -> None:
    """An owner cannot tell a day without sales from a day that nobody read; a stranger sees neither."""
    connection = await admin.started(code)
    path = "/v1/locations/shop-1/days?from=2026-03-01&to=2026-03-02"

    def stated(revision: int, state: DayState, day: date = date(2026, 3, 1), **more: Any) -> SalesDayStated:
        money = DayMoney(currency="USD", entries=DayFigures(number=2, net=200), provider_net=200)
        way = DayWay(
            connection_id=UUID(connection),
            provider="square",
            external_location_id="L1",
            state=state,
            orders=2,
            money=(money,),
        )
        return SalesDayStated(
            tenant_id=tenant,
            location_id="shop-1",
            business_date=day,
            revision=revision,
            at=AT,
            state=state,
            ways=(way,),
            **more,
        )

    await heard.say(SALES_DAYS, stated(1, DayState.MISSING, date(2026, 3, 2)))
    await heard.say(SALES_DAYS, stated(2, DayState.COMPLETE))
    await heard.say(SALES_DAYS, stated(1, DayState.PARTIAL))  # late: a lower revision

    async def days(count: int) -> Any:
        items = (await admin.ask("GET", path))["items"]
        return (items or True) if len(items) == count else None

    first, second = await until(lambda: days(2), "both days")
    assert (first["state"], second["state"]) == ("complete", "missing")
    assert first["ways"][0]["money"][0]["entries"] == {"number": 2, "net": 200}
    await sign_in(uuid4()).refused(404, "location-not-found", "GET", path)
    await heard.say(SALES_DAYS, stated(2, DayState.MISSING, date(2026, 3, 2), deleted=True))
    await until(lambda: days(1), "the day that is gone")
    await heard.say_raw(SALES_DAYS, f"{tenant}:shop-1:2026-03-01".encode(), None, {})
    await until(lambda: days(0), "the day whose key has ended")
