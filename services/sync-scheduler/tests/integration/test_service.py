"""The service as its users see it: a process, Kafka, its HTTP API, and a clock that is moved."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from suppli_contracts.events import SyncRunChanged
from suppli_contracts.events.connections import Schedule, ScheduleKind
from suppli_contracts.events.sync import RunKind, RunState

HOURLY = Schedule(kind=ScheduleKind.INTERVAL, every_minutes=60)


async def test_scheduled_run_happens_by_itself(deployment: Any, world: Any) -> None:
    """Otherwise a shop's sales never arrive without somebody pressing a button."""
    deployment.start()
    connection = uuid4()
    await world.connect(connection, HOURLY)
    first = await world.next_due(connection)
    assert first.next_due_at is not None
    deployment.move_clock(timedelta(hours=1))
    command = (await world.commands(connection, 1))[0]
    assert (command.kind, command.attempt, command.settings_revision) == (RunKind.SCHEDULED, 1, 1)
    second = await world.next_due(connection, 2)
    assert second.next_due_at == first.next_due_at + timedelta(hours=1)
    assert second.revision > first.revision
    said = world.heard(SyncRunChanged, connection)
    assert [(run.run_id, run.state, run.sequence) for run in said] == [(command.run_id, RunState.QUEUED, 0)]


async def test_manual_run_by_the_api(deployment: Any, world: Any) -> None:
    """Otherwise "sync now" does nothing."""
    replica = deployment.start()
    connection = uuid4()
    await world.connect(connection)
    await world.known_to(replica, connection)
    answer = replica.post(f"/connections/{connection}/runs", world.tenant, {"kind": "manual"})
    assert answer.status_code == 201, answer.text
    command = (await world.commands(connection, 1))[0]
    assert str(command.run_id) == answer.json()["run_id"]
    assert command.kind == RunKind.MANUAL
