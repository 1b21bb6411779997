"""The service as its users see it: a process, Kafka, its HTTP API, and a clock that is moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from suppli_contracts.events import RunSync, SyncRunChanged
from suppli_contracts.events.connections import ConnectionState, Schedule, ScheduleKind
from suppli_contracts.events.sync import ErrorClass, Republish, RunError, RunKind, RunState

HOURLY = Schedule(kind=ScheduleKind.INTERVAL, every_minutes=60)
QUICK = {"retry_base_seconds": 0.2, "retry_cap_seconds": 1}


def ask(replica: Any, world: Any, connection: UUID, **body: Any) -> Any:
    return replica.post(f"/connections/{connection}/runs", world.tenant, body)


@pytest.mark.parametrize("kind", [ScheduleKind.DAILY, ScheduleKind.CRON])
async def test_a_run_happens_by_itself_at_its_local_time(
    deployment: Any, world: Any, kind: ScheduleKind
) -> None:
    """Otherwise a shop's sales never arrive without somebody pressing a button."""
    deployment.start(daily_jitter_seconds=0)
    zone = ZoneInfo("America/New_York")
    wall = (datetime.now(zone) + timedelta(hours=5)).replace(second=0, microsecond=0)
    connection = uuid4()
    local = f"{wall:%H:%M}"
    daily = Schedule(kind=kind, timezone=zone.key, daily_at=local)
    by_cron = Schedule(kind=kind, timezone=zone.key, cron=f"{wall.minute} {wall.hour} * * *")
    await world.connect(connection, daily if kind is ScheduleKind.DAILY else by_cron)
    first = await world.next_due(connection)
    assert first.next_due_at == wall
    deployment.move_clock(wall.astimezone(UTC) - datetime.now(UTC) + timedelta(seconds=1))
    command = (await world.commands(connection, 1))[0]
    assert (command.kind, command.attempt, command.settings_revision) == (RunKind.SCHEDULED, 1, 1)
    second = await world.next_due(connection, 2)
    assert second.next_due_at.astimezone(zone).strftime("%H:%M") == local
    assert second.next_due_at.astimezone(zone).date() == wall.date() + timedelta(days=1)
    assert second.revision > first.revision
    said = world.heard(SyncRunChanged, connection)
    assert [(run.run_id, run.state, run.sequence) for run in said] == [(command.run_id, RunState.QUEUED, 0)]


async def test_manual_run_promotion_and_follow_up(deployment: Any, world: Any) -> None:
    """Otherwise "sync now" does nothing, or starts run upon run."""
    replica = deployment.start()
    connection = uuid4()
    await world.connect(connection)
    await world.known_to(replica, connection)

    first = ask(replica, world, connection)
    assert first.status_code == 201, first.text
    again = ask(replica, world, connection, kind="manual", settings_revision=1)
    assert (again.status_code, again.json()["promoted"]) == (200, True)
    assert again.json()["run_id"] == first.json()["run_id"]
    command = (await world.commands(connection, 2))[0]
    assert (str(command.run_id), command.kind) == (first.json()["run_id"], RunKind.MANUAL)

    await world.report(command, RunState.RUNNING)
    await world.state_of(replica, first.json()["run_id"], RunState.RUNNING)
    booked = ask(replica, world, connection)
    assert (booked.status_code, booked.json()["follow_up"]) == (201, True)
    assert ask(replica, world, connection).json()["run_id"] == booked.json()["run_id"]

    await world.report(command, RunState.SUCCEEDED)
    follow_up = (await world.commands(connection, 3))[2]
    assert str(follow_up.run_id) == booked.json()["run_id"]


async def test_failures_are_tried_again_by_class(deployment: Any, world: Any) -> None:
    """Otherwise a passing fault loses a day, and a refused token is tried over and over."""
    replica = deployment.start(**QUICK)
    connection = uuid4()
    await world.connect(connection, HOURLY)
    due = (await world.next_due(connection)).next_due_at
    ask(replica, world, connection)
    command = (await world.commands(connection, 1))[0]
    for attempt, error_class in ((2, ErrorClass.NETWORK), (3, ErrorClass.PROVIDER_UNAVAILABLE)):
        await world.report(command, RunState.FAILED, error=RunError(error_class=error_class, message="Away."))
        command = (await world.commands(connection, attempt))[-1]
        assert command.attempt == attempt
    retry = [said for said in world.heard(SyncRunChanged, connection) if said.next_attempt_at is not None]
    assert [(said.attempt, said.sequence, said.state) for said in retry] == [
        (2, 0, RunState.QUEUED),
        (3, 0, RunState.QUEUED),
    ]

    refused = RunError(error_class=ErrorClass.AUTH, message="The token was revoked.")
    await world.report(command, RunState.FAILED, error=refused)
    assert (await world.next_due(connection, 2)).next_due_at is None
    problem = ask(replica, world, connection)
    assert (problem.status_code, problem.json()["type"]) == (
        409,
        "https://suppli.dev/problems/reauth-required",
    )
    assert len(world.heard(RunSync, connection)) == 3

    await world.connect(connection, HOURLY, revision=2)
    resumed = (await world.commands(connection, 4))[3]
    assert (resumed.kind, resumed.attempt, resumed.settings_revision) == (RunKind.SCHEDULED, 1, 2)
    assert resumed.run_id != command.run_id
    assert (await world.next_due(connection, 4)).next_due_at == due


async def test_silent_run_gets_its_command_again(deployment: Any, world: Any) -> None:
    """Otherwise a connector that lost a run leaves the connection stuck for good."""
    replica = deployment.start(silent_after_seconds=600)
    connection = uuid4()
    await world.connect(connection)
    await world.known_to(replica, connection)
    ask(replica, world, connection)
    command = (await world.commands(connection, 1))[0]
    await world.report(command, RunState.RUNNING)
    await world.state_of(replica, command.run_id, RunState.RUNNING)
    deployment.move_clock(timedelta(seconds=601))
    again = (await world.commands(connection, 2))[1]
    assert again == command
    assert "suppli_scheduler_silent_runs_total 1.0" in replica.metrics()


async def test_cancel_and_pause(deployment: Any, world: Any) -> None:
    """Otherwise a person cannot stop what they started."""
    replica = deployment.start()
    connection = uuid4()
    await world.connect(connection, HOURLY)
    await world.known_to(replica, connection)
    run = ask(replica, world, connection).json()
    cancelled = replica.post(f"/runs/{run['run_id']}/cancel", world.tenant)
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert replica.post(f"/runs/{run['run_id']}/cancel", world.tenant).json()["state"] == "cancelled"
    assert str((await world.stops(connection, 1))[0].run_id) == run["run_id"]

    ask(replica, world, connection)
    command = (await world.commands(connection, 2))[1]
    await world.report(command, RunState.RUNNING)
    await world.state_of(replica, command.run_id, RunState.RUNNING)
    await world.connect(connection, HOURLY, revision=2, state=ConnectionState.PAUSED)
    assert (await world.stops(connection, 2))[1].run_id == command.run_id
    assert (await world.next_due(connection, 2)).next_due_at is None
    problem = ask(replica, world, connection)
    assert (problem.status_code, problem.json()["type"].rsplit("/", 1)[1]) == (409, "connection-paused")
    assert "Resume" in problem.json()["detail"]


async def test_precise_problems(deployment: Any, world: Any) -> None:
    """Otherwise a caller cannot tell its own mistake from ours."""
    replica = deployment.start()
    unknown = uuid4()
    fresh = ask(replica, world, unknown, settings_revision=1)
    assert (fresh.status_code, fresh.headers["retry-after"]) == (409, "1")
    assert fresh.json()["type"].endswith("/connection-not-known-yet")
    assert ask(replica, world, unknown).status_code == 404
    assert replica.get(f"/connections/{unknown}/schedule", world.tenant).status_code == 404
    assert replica.post(f"/runs/{unknown}/cancel", world.tenant).status_code == 404
    assert ask(replica, world, unknown, kind="sweep").status_code == 422
    empty = ask(replica, world, unknown, kind="republish", republish={})
    assert (empty.status_code, "neither a window nor orders" in empty.json()["detail"]) == (422, True)
    for lost in ({"kind": "republish"}, {"kind": "manual", "republish": {"order_ids": ["A"]}}):
        assert "$.republish" in ask(replica, world, unknown, **lost).json()["detail"]
    wrong = ask(replica, world, unknown, kind=7)
    assert (wrong.status_code, "$.kind" in wrong.json()["detail"]) == (422, True)


async def test_a_republish_reaches_the_connector_whole_and_again_after_a_failure(
    deployment: Any, world: Any
) -> None:
    """Otherwise support asks for lost orders, and an ordinary sync finds them unchanged."""
    replica = deployment.start(**QUICK)
    connection = uuid4()
    await world.connect(connection)
    await world.known_to(replica, connection)
    named = {"from_at": "2026-03-01T00:00:00Z", "order_ids": ["A", "B"]}
    asked = ask(replica, world, connection, kind="republish", settings_revision=1, republish=named)
    assert (asked.status_code, asked.json()["kind"]) == (201, "republish")
    (command,) = await world.commands(connection, 1)
    wanted = Republish(from_at=datetime(2026, 3, 1, tzinfo=UTC), order_ids=("A", "B"))
    assert (command.kind, command.republish) == (RunKind.REPUBLISH, wanted)
    lost = RunError(error_class=ErrorClass.NETWORK, message="No.")
    await world.report(command, RunState.FAILED, error=lost)
    again = (await world.commands(connection, 2))[-1]
    assert (again.attempt, again.republish) == (2, wanted)


async def test_bad_connection_is_set_aside_and_the_next_goes_through(deployment: Any, world: Any) -> None:
    """Otherwise one shop's wrong zone stops every other shop's schedule."""
    deployment.start()
    bad, good = uuid4(), uuid4()
    await world.connect(bad, Schedule(kind=ScheduleKind.DAILY, daily_at="03:00", timezone="Mars/Olympus"))
    await world.connect(good, HOURLY)
    await world.next_due(good)
    letter = await world.dead_letter("sync-scheduler.connections", bad)
    assert "Mars/Olympus" in letter


async def test_killed_before_its_word_was_published(deployment: Any, world: Any) -> None:
    """Otherwise a kill at the wrong moment leaves a run that no connector was told of."""
    with deployment.holding_back_messages():
        replica = deployment.start()
        asked, due = uuid4(), uuid4()
        await world.connect(asked)
        await world.connect(due, HOURLY)
        await world.known_to(replica, asked)
        await world.known_to(replica, due)
        run_id = ask(replica, world, asked).json()["run_id"]
        deployment.move_clock(timedelta(hours=1))
        await deployment.until_runs(2)
        replica.process.kill()
        assert world.heard(RunSync, asked) == world.heard(RunSync, due) == []
    deployment.start()
    assert str((await world.commands(asked, 1))[0].run_id) == run_id
    assert (await world.commands(due, 1))[0].kind == RunKind.SCHEDULED
    said = world.heard(SyncRunChanged, asked) + world.heard(SyncRunChanged, due)
    assert len({run.run_id for run in said}) == 2


async def test_two_processes_share_the_work(deployment: Any, world: Any) -> None:
    """Otherwise a second replica doubles every run."""
    first, _ = deployment.start("one"), deployment.start("two")
    connections = [uuid4() for _ in range(12)]
    for connection in connections:
        await world.connect(connection, HOURLY)
    for connection in connections:
        await world.known_to(first, connection)
    deployment.move_clock(timedelta(hours=1))
    for connection in connections:
        await world.commands(connection, 1)
        await world.next_due(connection, 2)
    assert [len(world.heard(RunSync, connection)) for connection in connections] == [1] * 12
