"""Runs as the public API says them."""

from __future__ import annotations

from typing import Any, get_args

from suppli_contracts.internal import Run

from suppli_gateway.events.live import LiveEvent
from suppli_gateway.runs.domain import RunCopy
from suppli_gateway.runs.schemas import (
    RequestedRun,
    RunCountsView,
    RunErrorView,
    RunKindName,
    RunStateName,
    RunView,
    WaitsForName,
)

_KINDS, _STATES = frozenset(get_args(RunKindName)), frozenset(get_args(RunStateName))
_PARTS: dict[str, WaitsForName] = {name: name for name in get_args(WaitsForName)}
# A live event must fit into one notification.
_LIVE_MESSAGE = 500


def run_view(run: RunCopy) -> RunView:
    """Return a run for the API."""
    error = run.error
    return RunView.model_validate(
        {
            **{name: getattr(run, name) for name in RunView.model_fields if name not in ("counts", "error")},
            "kind": run.kind if run.kind in _KINDS else "unknown",
            "state": run.state if run.state in _STATES else "unknown",
            "counts": RunCountsView.model_validate(run.counts),
            "error": None if error is None else error_view(error),
            "waits_for": waits_for(run),
        }
    )


def waits_for(run: RunCopy) -> WaitsForName | None:
    """Return what a run in progress waits for; what a later release calls otherwise is unknown."""
    if run.waits_for is None or not run.in_progress:
        return None
    return _PARTS.get(run.waits_for, "unknown")


def error_view(error: dict[str, Any]) -> RunErrorView:
    """Return why a run failed for the API."""
    return RunErrorView(
        error_class=str(error.get("error_class", "unknown")), message=str(error.get("message", ""))
    )


def requested_run(run: Run) -> RequestedRun:
    """Return the scheduler's answer for the API."""
    return RequestedRun(
        run_id=run.run_id,
        connection_id=run.connection_id,
        kind=run.kind.value,
        state=run.state.value,
        attempt=run.attempt,
        requested_at=run.requested_at,
        follow_up=run.follow_up,
        promoted=run.promoted,
    )


def live_run(run: RunCopy, change: int) -> LiveEvent:
    """Return the live event of a run's change."""
    data = run_view(run).model_dump(mode="json")
    if data["error"] is not None:
        data["error"]["message"] = data["error"]["message"][:_LIVE_MESSAGE]
    return LiveEvent(run.tenant_id, run.connection_id, "run", data, str(change))
