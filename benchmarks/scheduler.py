"""The scheduler: how fast it claims what is due, and what it costs when nothing is."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from suppli_demo.shop import wait_for
from suppli_demo.system import System

from benchmarks.measure import Results, median, spread
from benchmarks.meters import cpu_seconds, database_cpu_seconds

SCHEDULER, DATABASE = "sync-scheduler", "suppli_sync_scheduler"
DUE = 10_000
ROUNDS = 3
SCHEDULES = 100_000
IDLE_SECONDS = 20.0
_AHEAD = timedelta(seconds=2)  # due after they are there, and not so late that they would be spread out

_CONNECTIONS = """
    insert into connections (connection_id, tenant_id, provider, revision, state, changed_at, schedule,
        start_date, planned_at, sweep_at, said_due_at)
    select gen_random_uuid(), %(tenant)s, 'square', 1, 'connected', now(),
        '{"kind": "interval", "every_minutes": 1440}', '2026-01-01', %(at)s,
        %(at)s::timestamptz + interval '12 hours', %(at)s
    from generate_series(1, %(count)s)
"""
_TIMES = """
    insert into due (kind, id, connection_id, tenant_id, due_at)
    select kind, connection_id, connection_id, tenant_id, at from connections,
        lateral (values ('sync', planned_at), ('sweep', sweep_at)) as times (kind, at)
    where tenant_id = %(tenant)s
"""
_CLAIMED = """
    select count(*), extract(epoch from max(commanded_at) - %(at)s::timestamptz) from runs
    where tenant_id = %(tenant)s
"""


def measure(system: System, results: Results) -> None:
    """Let connections become due at once; then let very many wait for tomorrow."""
    for name, service in system.services.items():
        if name != SCHEDULER:
            service.stop()  # nobody knows these connections, and the scheduler alone is measured
    rates = [claims(system) for _ in range(ROUNDS)]
    results.add(
        "scheduler_claims_per_s",
        median(rates),
        f"{DUE:,} connections due at once, each with its run, next time and command in one transaction;"
        f" median of {ROUNDS}, {spread(rates, 0)}",
    )
    share, database = idle(system)
    results.add(
        "scheduler_idle_core",
        share + database,
        f"of a core over {IDLE_SECONDS:.0f} s with {SCHEDULES:,} schedules: the service {share:.2%},"
        f" PostgreSQL for it {database:.2%}",
    )


def claims(system: System) -> float:
    """Return how many due connections are claimed in a second."""
    tenant, at = uuid4(), datetime.now(UTC) + _AHEAD
    insert(system, tenant, at, DUE)
    with system.runtime.postgres.connect(DATABASE) as connection:

        def all_claimed() -> float | None:
            row = connection.execute(_CLAIMED, {"tenant": tenant, "at": at}).fetchone()
            return float(row[1]) if row is not None and row[0] == DUE else None

        took = wait_for(all_claimed, f"{DUE} claims", 120)

        def all_said() -> bool | None:
            row = connection.execute("select exists (select from outbox)").fetchone()
            return None if row is None or row[0] else True

        wait_for(all_said, "an empty outbox", 120)
    return DUE / took


def idle(system: System) -> tuple[float, float]:
    """Return the share of a core that the service takes while nothing is due, and PostgreSQL for it."""
    insert(system, uuid4(), datetime.now(UTC) + timedelta(hours=6), SCHEDULES)
    with system.runtime.postgres.connect(DATABASE) as connection:
        connection.execute("vacuum analyze")
    time.sleep(3)
    service, database = cpu_seconds(system)[SCHEDULER], database_cpu_seconds(system, DATABASE)
    time.sleep(IDLE_SECONDS)
    service = cpu_seconds(system)[SCHEDULER] - service
    database = database_cpu_seconds(system, DATABASE) - database
    return service / IDLE_SECONDS, database / IDLE_SECONDS


def insert(system: System, tenant: UUID, at: datetime, count: int) -> None:
    """Store connections that are due at `at`, as the service itself stores them."""
    values = {"tenant": tenant, "at": at, "count": count}
    with system.runtime.postgres.connect(DATABASE) as connection, connection.transaction():
        connection.execute(_CONNECTIONS, values)
        connection.execute(_TIMES, values)
