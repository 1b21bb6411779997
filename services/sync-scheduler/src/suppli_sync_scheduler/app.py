"""The one place where the service's parts are made and wired."""

from __future__ import annotations

from suppli_contracts.topics import CONNECTIONS, SYNC_EVENTS, group
from suppli_service_kit.database import database_at
from suppli_service_kit.internal_api import InternalToken
from suppli_service_kit.service import Service

from suppli_sync_scheduler.api import routes
from suppli_sync_scheduler.claimer import Claimer
from suppli_sync_scheduler.handlers import Handlers
from suppli_sync_scheduler.scheduler import Scheduler
from suppli_sync_scheduler.settings import Settings
from suppli_sync_scheduler.speech import SERVICE

IDLE_MS = 50  # nobody waits for what the scheduler reads, and it reads nothing most of the time


def create_app(settings: Settings | None = None) -> Service:
    """Return the service, not yet started.

    Args:
        settings: by default those of the environment.

    Raises:
        MissingSetting: a database URL is not set.
    """
    settings = settings or Settings()
    service = Service(SERVICE, settings)
    policy = settings.policy()
    scheduler = Scheduler(policy, service.clock)
    handlers = Handlers(service.database, scheduler, settings.provider_names())
    service.consumers.subscribe(
        CONNECTIONS,
        group=group(SERVICE, "connections"),
        handler=handlers.on_connections,
        batch_timeout_ms=IDLE_MS,
    )
    service.consumers.subscribe(
        SYNC_EVENTS,
        group=group(SERVICE, "sync-events"),
        handler=handlers.on_sync_events,
        batch_timeout_ms=IDLE_MS,
    )
    queue = database_at(settings.relay_dsn(), pool=1, name=f"{SERVICE} due queue")
    service.on_close(queue.close)
    claimer = Claimer(
        queue,
        service.database,
        scheduler,
        clock=service.clock,
        policy=policy,
        poll_seconds=settings.poll_seconds,
    )

    async def due_queue() -> str | None:
        return f"{claimer.backoff.failures} looks failed in a row" if claimer.backoff.failures else None

    service.health.register("due queue", due_queue)
    service.add_task("due times", claimer.run)
    service.internal_app.include_router(
        routes(service.database, scheduler, InternalToken(service.vault, SERVICE))
    )
    service.relay_outbox()
    return service
