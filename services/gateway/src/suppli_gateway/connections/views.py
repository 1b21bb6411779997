"""Connections as the public API says them, with what other services have told of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.connections import ConnectionState
from suppli_contracts.events.days import DayWay
from suppli_contracts.internal import DayTotals

from suppli_gateway.connections.domain import Connection
from suppli_gateway.connections.schemas import (
    AccountView,
    ConnectionDetails,
    ConnectionErrorView,
    ConnectionView,
    LocationView,
    ScheduleView,
    StateName,
    WayView,
)
from suppli_gateway.outages import Outages
from suppli_gateway.runs.domain import RunCopy
from suppli_gateway.runs.repository import RunRepository, Status, StatusRepository
from suppli_gateway.runs.schemas import WaitsForName
from suppli_gateway.runs.views import run_view, waits_for

HISTORY = 20
_AWAY: dict[WaitsForName, str] = {
    "database": "Suppli's own database cannot be reached",
    "messaging": "Suppli's own messages cannot be delivered",
    "secrets": "Suppli's store of authorizations cannot be reached",
    "connector": "the part of Suppli that reads this provider is down",
    "scheduler": "the part of Suppli that starts syncs is down",
    "mapping": "the part of Suppli that maps sales to products is down",
    "unknown": "a part of Suppli is down",
}


class Facts:
    """What is known of several connections beside themselves, read at once."""

    def __init__(
        self,
        *,
        statuses: dict[Any, Status],
        unmapped: dict[Any, int],
        active: Sequence[RunCopy],
        tried: dict[Any, RunCopy],
        succeeded: dict[Any, RunCopy],
        outages: Outages,
    ) -> None:
        self.statuses, self.unmapped, self.tried, self.succeeded = statuses, unmapped, tried, succeeded
        self.outages = outages
        self.active: dict[Any, RunCopy] = {}
        for run in active:  # by id; one that works goes before one that waits
            known = self.active.get(run.connection_id)
            if known is None or (run.state == "running" and known.state != "running"):
                self.active[run.connection_id] = run


async def read_facts(
    transaction: AsyncConnection, connections: Sequence[Connection], outages: Outages
) -> Facts:
    """Return what is known of the connections."""
    ids = [connection.connection_id for connection in connections]
    runs, status = RunRepository(transaction), StatusRepository(transaction)
    return Facts(
        statuses=await status.statuses(ids),
        unmapped=await status.unmapped(ids),
        active=await runs.active(ids),
        succeeded=await runs.latest_success(ids),
        # After the successes: each of them was tried, also one that is recorded between the two.
        tried=await runs.latest_tried(ids),
        outages=outages,
    )


def current_error(connection: Connection, tried: RunCopy | None) -> ConnectionErrorView | None:
    """Return what is wrong now: a missing authorization before a failed run."""
    if connection.reauth_reason is not None:
        return ConnectionErrorView(
            error_class="auth",
            message=connection.reauth_reason,
            at=connection.reauth_at or connection.changed_at,
            reauth_required=True,
            works_until=connection.works_until,
        )
    if (
        connection.state is not ConnectionState.CONNECTED
        or tried is None
        or not tried.failed
        or tried.error is None
    ):
        return None
    return ConnectionErrorView(
        error_class=str(tried.error.get("error_class", "unknown")),
        message=str(tried.error.get("message", "")),
        at=tried.updated_at,
        run_id=tried.run_id,
    )


def shown_state(
    connection: Connection, active: RunCopy | None, error: ConnectionErrorView | None
) -> StateName:
    """Return the state as people see it: a run in progress before an error before what was decided."""
    if connection.state is ConnectionState.PENDING:
        return "pending"
    if connection.state is ConnectionState.DISCONNECTED:
        return "disconnected"
    if connection.state is ConnectionState.PAUSED:
        return "paused"
    if active is not None and active.in_progress:
        return "syncing"
    return "error" if error is not None or connection.state is ConnectionState.ERROR else "connected"


def held_up(connection: Connection, active: RunCopy | None, outages: Outages) -> WaitsForName | None:
    """Return which part of ours keeps the connection's sales from coming in: as its run says, or as seen
    from here.
    """
    if connection.state not in (ConnectionState.CONNECTED, ConnectionState.ERROR):
        return None
    told = None if active is None else waits_for(active)
    return told or outages.holding_up(connection.provider)


def sentence(
    connection: Connection,
    state: StateName,
    error: ConnectionErrorView | None,
    status: Status | None,
    away: WaitsForName | None,
    doubt: str | None = None,
) -> str:
    """Return the state in words; `doubt`: why a last sync that found nothing may have missed something."""
    if away is not None and state in ("syncing", "connected"):
        begun = "A sync is in progress" if state == "syncing" else "Connected"
        return f"{begun}, but sales come in later: {_AWAY[away]}. They come by themselves once it is back."
    if state == "error" and error is not None:
        advice = " Authorize again." if error.reauth_required else " It is tried again by itself."
        return f"{error.message.rstrip('.')}.{advice}"
    if state == "connected":
        if not connection.started:
            return "Connected. Confirm locations and start date to begin."
        due = status.next_due_at if status else None
        if doubt:
            return f"Connected, but the last sync found no sale, which is doubtful. {doubt}"
        return (
            f"Connected. Next sync on {due:%Y-%m-%d} at {due:%H:%M} UTC."
            if due
            else "Connected. Syncs when asked."
        )
    return {
        "pending": "Waiting for the authorization at the provider.",
        "syncing": "A sync is in progress.",
        "paused": "Paused. Nothing is synced until it is resumed.",
        "disconnected": "Disconnected.",
    }.get(state, "The last sync failed.")


def connection_fields(connection: Connection, facts: Facts) -> dict[str, Any]:
    """Return the members of a `ConnectionView`."""
    id_ = connection.connection_id
    status, active, tried = facts.statuses.get(id_), facts.active.get(id_), facts.tried.get(id_)
    error = current_error(connection, tried)
    state = shown_state(connection, active, error)
    away = held_up(connection, active, facts.outages)
    success = facts.succeeded.get(id_)
    live = connection.state not in (ConnectionState.DISCONNECTED, ConnectionState.PENDING)
    plain = (
        "provider", "environment", "revision", "start_date", "started_at", "first_day",
        "created_at", "changed_at", "disconnected_at",
    )  # fmt: skip
    return {
        **{name: getattr(connection, name) for name in plain},
        "id": id_,
        "state": state,
        "status": sentence(connection, state, error, status, away, _doubt(success)),
        "account": None
        if connection.account_id is None
        else AccountView(account_id=connection.account_id, name=connection.account_name),
        "schedule": ScheduleView(
            kind=connection.schedule.kind.value,
            daily_at=connection.schedule.daily_at,
            timezone=connection.schedule.timezone,
            every_minutes=connection.schedule.every_minutes,
            cron=connection.schedule.cron,
        ),
        "last_sync_at": success.finished_at if success else None,
        "next_sync_at": status.next_due_at if status and live else None,
        "error": error,
        "waits_for": away,
        "unmapped_items": facts.unmapped.get(id_, 0),
    }


def _doubt(success: RunCopy | None) -> str | None:
    found = success.nothing_found if success else None
    if found is None or found["outcome"] != "suspect":
        return None
    return str(found["reason"] or "")


async def connection_views(
    transaction: AsyncConnection, connections: Sequence[Connection], outages: Outages
) -> list[ConnectionView]:
    """Return connections for a list."""
    facts = await read_facts(transaction, connections, outages)
    return [ConnectionView(**connection_fields(connection, facts)) for connection in connections]


async def connection_details(
    transaction: AsyncConnection, connection: Connection, outages: Outages
) -> ConnectionDetails:
    """Return one connection with all that is known of it."""
    facts = await read_facts(transaction, [connection], outages)
    errors = await StatusRepository(transaction).errors(connection.connection_id, HISTORY)
    active, tried = facts.active.get(connection.connection_id), facts.tried.get(connection.connection_id)
    return ConnectionDetails(
        **connection_fields(connection, facts),
        locations=[LocationView.model_validate(_location(location)) for location in connection.locations],
        way=WayView(stands_for=connection.way.stands_for, only_compare=connection.way.only_compare),
        active_run=run_view(active) if active else None,
        last_run=run_view(tried) if tried else None,
        errors=[
            ConnectionErrorView(
                error_class=row["error_class"],
                message=row["message"],
                at=row["at"],
                reauth_required=row["error_class"] == "auth",
                run_id=row["run_id"],
            )
            for row in errors
        ],
    )


def _location(location: Any) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(location),
        "zones": [msgspec.structs.asdict(zone) for zone in location.zones],
    }


def day_fields(day: DayTotals, way: DayWay | None) -> dict[str, Any]:
    """Return the members of a `DayView`: the totals, and what is stated of the day by this way."""
    stated = {} if way is None else {name: getattr(way, name) for name in ("state", "use", "covered_until")}
    return {**msgspec.structs.asdict(day), **stated}
