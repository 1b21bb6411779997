"""What becomes of runs, as messages for the outbox."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from suppli_contracts.codec import encode, stable_id
from suppli_contracts.events.sync import (
    Coverage,
    CoveredDays,
    NothingFound,
    ReauthRequired,
    RunCounts,
    RunError,
    RunState,
    RunSync,
    SyncRunChanged,
    WaitsFor,
)
from suppli_contracts.topics import SYNC_EVENTS
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.tracing import current_traceparent

from suppli_connector_kit.engine.says import source


def run_message(
    command: RunSync,
    *,
    state: RunState,
    sequence: int,
    at: datetime,
    counts: RunCounts,
    started_at: datetime | None = None,
    finished_at: datetime | None = None,
    progress: float | None = None,
    error: RunError | None = None,
    coverage: tuple[Coverage, ...] | None = None,
    days: tuple[CoveredDays, ...] = (),
    waits_for: WaitsFor | None = None,
    nothing_found: NothingFound | None = None,
) -> OutMessage:
    """Say where a run stands."""
    event = SyncRunChanged(
        tenant_id=command.tenant_id,
        connection_id=command.connection_id,
        provider=command.provider,
        run_id=command.run_id,
        attempt=command.attempt,
        sequence=sequence,
        kind=command.kind,
        state=state,
        at=at,
        requested_at=command.requested_at,
        started_at=started_at,
        finished_at=finished_at,
        progress=progress,
        counts=counts,
        error=error,
        coverage=coverage,
        days=days,
        waits_for=waits_for,
        nothing_found=nothing_found,
    )
    event_id = stable_id("run", command.run_id, command.attempt, sequence)
    key, value, headers = encode(
        event,
        event_id=str(event_id),
        source=source(command.provider),
        time=at,
        traceparent=current_traceparent(),
    )
    return OutMessage(SYNC_EVENTS, key, value, headers)


def reauth_message(
    *,
    tenant_id: UUID,
    connection_id: UUID,
    provider: str,
    reason: str,
    at: datetime,
    works_until: datetime | None,
    cause: str,
) -> OutMessage:
    """Say that a person must authorize again; the same `cause` is the same event."""
    event = ReauthRequired(
        tenant_id=tenant_id,
        connection_id=connection_id,
        provider=provider,
        reason=reason,
        at=at,
        works_until=works_until,
    )
    event_id = stable_id("reauth", connection_id, cause)
    key, value, headers = encode(event, event_id=str(event_id), source=source(provider), time=at)
    return OutMessage(SYNC_EVENTS, key, value, headers)
