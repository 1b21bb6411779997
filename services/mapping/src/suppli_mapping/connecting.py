"""What a connection's settings mean for the ledger: where its sales count, and on which days."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.connections import ConnectionChanged, ConnectionState, Way, ZonePeriod

from suppli_mapping.adapters import marks, queue, statements, ways
from suppli_mapping.adapters.queue import Job, JobKind
from suppli_mapping.adapters.sql import execute, fetch

_ZONES = dict[str, tuple[ZonePeriod, ...]]


class _Held(msgspec.Struct, frozen=True):
    """A connection as the ledger holds it; `whole`: it was written by a release that knows ways."""

    revision: int = -1
    ties: dict[str, str] = {}
    erased: bool = False
    whole: bool = False
    way: Way = Way()
    zones: _ZONES = {}
    start_date: date | None = None
    state: str | None = None


def place_job(tenant_id: UUID, connection_id: UUID, external_location: str) -> Job:
    """Return the job that says a location's lines again."""
    return Job(tenant_id, JobKind.PLACE, f"{connection_id}:{external_location}")


async def put_connection(connection: AsyncConnection, event: ConnectionChanged) -> None:
    """Keep a connection, ask for what has to be said again, and mark the days that it changes.

    The tenant's exclusive lock must be held.
    """
    held = await _held(connection, event)
    if event.revision < held.revision or (event.revision == held.revision and held.whole):
        return  # one that the release before wrote is not whole: its daily repetition completes it
    erased = event.erase and event.state is ConnectionState.DISCONNECTED
    # A tie that is taken back ends the import, not what was sold there: the last one goes on for that.
    given = {each.location_id: each.suppli_location_id for each in event.locations if each.suppli_location_id}
    ties = {} if erased else {**held.ties, **given}
    zones = {**held.zones, **{each.location_id: each.zones for each in event.locations if each.zones}}
    moved = [external for external, place in ties.items() if held.ties.get(external) != place]
    if event.way != held.way:  # every day is decided anew
        moved = list(ties)
    await execute(
        connection,
        """
        insert into connections (tenant_id, connection_id, revision, provider, first_day, erased, ties, state,
            start_date, zones, stands_for, only_compare)
        values (%(tenant)s, %(connection)s, %(revision)s, %(provider)s, %(first_day)s, %(erased)s, %(ties)s,
            %(state)s, %(start_date)s, %(zones)s, %(stands_for)s, %(only_compare)s)
        on conflict (tenant_id, connection_id) do update set revision = excluded.revision,
            provider = excluded.provider, first_day = excluded.first_day, erased = excluded.erased,
            ties = excluded.ties, state = excluded.state, start_date = excluded.start_date,
            zones = excluded.zones, stands_for = excluded.stands_for, only_compare = excluded.only_compare,
            switched = connections.switched - %(moved)s::text[]
        """,
        {
            "tenant": event.tenant_id,
            "connection": event.connection_id,
            "revision": event.revision,
            "provider": event.provider,
            "first_day": event.first_day,
            "erased": erased,
            "ties": msgspec.json.encode(ties).decode(),
            "state": event.state,
            "start_date": event.start_date,
            "zones": msgspec.json.encode(zones).decode(),
            "stands_for": event.way.stands_for,
            "only_compare": event.way.only_compare,
            "moved": moved,
        },
    )
    if erased and not held.erased:
        await queue.ask(connection, [Job(event.tenant_id, JobKind.ERASE, str(event.connection_id))])
    elif not erased:
        jobs = [place_job(event.tenant_id, event.connection_id, each) for each in moved]
        await queue.ask(connection, jobs)
    said = (ties, zones, event.way, event.start_date, event.state.value, erased)
    if said != (held.ties, held.zones, held.way, held.start_date, held.state, held.erased):
        await _mark(connection, event, {*held.ties.values(), *ties.values()})


async def _held(connection: AsyncConnection, event: ConnectionChanged) -> _Held:
    rows = await fetch(
        connection,
        """
        select revision, ties, erased, state is not null, stands_for, only_compare, zones, start_date, state
        from connections where tenant_id = %s and connection_id = %s
        """,
        (event.tenant_id, event.connection_id),
    )
    if not rows:
        return _Held()
    revision, ties, erased, whole, stands_for, only_compare, zones, start_date, state = rows[0]
    way = Way(stands_for=stands_for, only_compare=only_compare)
    return _Held(revision, ties, erased, whole, way, msgspec.convert(zones or {}, _ZONES), start_date, state)


async def _mark(connection: AsyncConnection, event: ConnectionChanged, places: set[str]) -> None:
    """Mark what is known of the connection, and have the tenant's recent days stated again."""
    known = await ways.known_dates(connection, event.tenant_id, event.connection_id)
    days = [(place, day) for place in sorted(places) for day in known]
    await marks.mark_days(connection, event.tenant_id, days)
    await statements.open_round(connection, [event.tenant_id], now=True)
