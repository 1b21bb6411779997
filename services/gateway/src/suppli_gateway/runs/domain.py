"""What a run's event changes in its read copy: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from suppli_contracts.events.sync import RunState, SyncRunChanged

_REASON_LENGTH, _LOCATIONS_SHOWN = 500, 20  # a live event must fit into one notification
ACTIVE = (RunState.QUEUED.value, RunState.RUNNING.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCopy:
    """A run as it was last told."""

    run_id: UUID
    tenant_id: UUID
    connection_id: UUID
    kind: str
    state: str
    attempt: int
    sequence: int
    updated_at: datetime
    requested_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    next_attempt_at: datetime | None = None
    progress: float | None = None
    counts: dict[str, int]
    error: dict[str, Any] | None = None
    waits_for: str | None = None
    republish: dict[str, Any] | None = None
    nothing_found: dict[str, Any] | None = None
    change: int = 0

    @property
    def active(self) -> bool:
        """Whether the run is queued or in progress."""
        return self.state in ACTIVE

    @property
    def waits_for_retry(self) -> bool:
        """Whether the run failed and will be tried again."""
        return self.state == RunState.QUEUED.value and self.next_attempt_at is not None

    @property
    def in_progress(self) -> bool:
        """Whether the run works or is about to."""
        return self.active and not self.waits_for_retry

    @property
    def failed(self) -> bool:
        """Whether the run's last try failed."""
        return self.state == RunState.FAILED.value or (self.waits_for_retry and self.error is not None)

    @property
    def duration_seconds(self) -> float | None:
        """How long the last try took, None while it has not ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(0.0, (self.finished_at - self.started_at).total_seconds())

    def values(self) -> dict[str, Any]:
        """Return the columns of the row, without `change`."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "change"}


def copies_of(events: Iterable[SyncRunChanged], known: Mapping[UUID, RunCopy]) -> list[RunCopy]:
    """Return the read copies that a batch changes, by run id: rows are always written in one order.

    Each event counts, in the order in which things happened: a retry keeps the reason that the failure
    before it told, also where both arrive together.
    """
    by_run: dict[UUID, list[SyncRunChanged]] = {}
    for event in events:
        by_run.setdefault(event.run_id, []).append(event)
    changed: list[RunCopy] = []
    for run_id in sorted(by_run):
        copy = known.get(run_id)
        for event in sorted(by_run[run_id], key=lambda event: (event.attempt, event.sequence)):
            copy = copy_of(event, copy) or copy
        if copy is not None and copy is not known.get(run_id):
            changed.append(copy)
    return changed


def copy_of(event: SyncRunChanged, known: RunCopy | None) -> RunCopy | None:
    """Return the read copy after the event; None where it tells nothing newer.

    An event may leave out what an earlier one said: instants stay, and a retry keeps the reason it is needed.
    """
    if known is not None and (event.attempt, event.sequence) <= (known.attempt, known.sequence):
        return None
    error = None if event.error is None else msgspec.to_builtins(event.error)
    if error is None and known is not None and event.state is RunState.QUEUED:
        error = known.error
    same_try = known is not None and known.attempt == event.attempt
    return RunCopy(
        run_id=event.run_id,
        tenant_id=event.tenant_id,
        connection_id=event.connection_id,
        kind=event.kind.value,
        state=event.state.value,
        attempt=event.attempt,
        sequence=event.sequence,
        updated_at=event.at,
        requested_at=event.requested_at or (known.requested_at if known else None),
        started_at=event.started_at or (known.started_at if known and same_try else None),
        finished_at=event.finished_at,
        next_attempt_at=event.next_attempt_at,
        progress=event.progress,
        counts=msgspec.structs.asdict(event.counts),
        error=error,
        waits_for=None if event.waits_for is None else event.waits_for.value,
        nothing_found=_nothing_found(event),
        republish=_republish(event) or (known.republish if known else None),
    )


def _nothing_found(event: SyncRunChanged) -> dict[str, Any] | None:
    """Return what it is worth that a run found no sale, with some of the locations in doubt."""
    said = event.nothing_found
    if said is None:
        return None
    return {
        "outcome": said.outcome.value,
        "reason": said.reason[:_REASON_LENGTH] if said.reason else None,
        "location_ids": list(said.location_ids[:_LOCATIONS_SHOWN]),
    }


def _republish(event: SyncRunChanged) -> dict[str, Any] | None:
    """Return what is shown of a republish: its window, and of the orders how many they are."""
    if event.republish is None:
        return None
    window = msgspec.to_builtins(event.republish)
    return {
        "from_at": window.get("from_at"),
        "to_at": window.get("to_at"),
        "orders": len(event.republish.order_ids),
    }
