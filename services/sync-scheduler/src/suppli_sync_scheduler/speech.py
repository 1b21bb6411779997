"""What the scheduler says, as Kafka messages."""

from __future__ import annotations

from datetime import datetime

from suppli_contracts.codec import encode
from suppli_contracts.events import CancelSync, Event, NextSyncScheduled, RunSync, SyncRunChanged
from suppli_contracts.topics import SYNC_EVENTS, sync_commands
from suppli_service_kit.ids import new_id
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.tracing import current_traceparent

from suppli_sync_scheduler.domain.connections import Connection
from suppli_sync_scheduler.domain.runs import Decision, Run

SERVICE = "sync-scheduler"
SOURCE = f"suppli/{SERVICE}"


def messages_of(decision: Decision, *, now: datetime) -> list[OutMessage]:
    """Return what a decision says: states first, and a stop before the command of what takes its place."""
    return [
        *(_message(SYNC_EVENTS, run_changed(run, now), now) for run in decision.say),
        *(_message(sync_commands(run.provider), cancel_sync(run, now), now) for run in decision.stop),
        *(_message(sync_commands(run.provider), run_sync(run), now) for run in decision.command),
    ]


def next_sync(connection: Connection, *, now: datetime) -> OutMessage:
    """Return the message that says when a connection is due next."""
    event = NextSyncScheduled(
        tenant_id=connection.tenant_id,
        connection_id=connection.connection_id,
        provider=connection.provider,
        revision=connection.said_revision,
        at=now,
        next_due_at=connection.said_due_at,
    )
    return _message(SYNC_EVENTS, event, now)


def run_sync(run: Run) -> RunSync:
    """Return the command to do a run."""
    return RunSync(
        tenant_id=run.tenant_id,
        connection_id=run.connection_id,
        provider=run.provider,
        run_id=run.run_id,
        attempt=run.attempt,
        kind=run.kind,
        settings_revision=run.settings_revision,
        requested_at=run.requested_at,
        republish=run.republish,
    )


def cancel_sync(run: Run, now: datetime) -> CancelSync:
    """Return the command to stop a run."""
    return CancelSync(
        tenant_id=run.tenant_id,
        connection_id=run.connection_id,
        provider=run.provider,
        run_id=run.run_id,
        requested_at=run.cancel_requested_at or now,
    )


def run_changed(run: Run, now: datetime) -> SyncRunChanged:
    """Return the event that says where a run stands."""
    return SyncRunChanged(
        tenant_id=run.tenant_id,
        connection_id=run.connection_id,
        provider=run.provider,
        run_id=run.run_id,
        attempt=run.attempt,
        sequence=run.sequence,
        kind=run.kind,
        state=run.state,
        at=now,
        requested_at=run.requested_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        error=run.error,
        next_attempt_at=run.next_attempt_at,
        republish=run.republish,
    )


def _message(topic: str, event: Event, now: datetime) -> OutMessage:
    key, value, headers = encode(
        event, event_id=str(new_id()), source=SOURCE, time=now, traceparent=current_traceparent()
    )
    return OutMessage(topic, key, value, headers)
