"""The one place where the service's parts are made and wired."""

from __future__ import annotations

import os
import socket
from datetime import timedelta

import sqlalchemy as sa
from suppli_connector_kit.adapters.connections import ConnectionBook
from suppli_connector_kit.adapters.lag import KafkaQueue
from suppli_connector_kit.adapters.queue import RunQueue
from suppli_connector_kit.handlers import on_commands, on_connections
from suppli_connector_kit.service import MIGRATIONS as KIT_MIGRATIONS
from suppli_connector_kit.workers import Runner, Workers
from suppli_contracts.events.connections import ConnectionChanged
from suppli_contracts.topics import CONNECTIONS, SALES_RAW, connector_service, group, registry, sync_commands
from suppli_service_kit.database import Database, database_at
from suppli_service_kit.internal_api import InternalToken
from suppli_service_kit.service import Service

from suppli_connector_upload.adapters.files import FileStore
from suppli_connector_upload.adapters.uploads import UploadBook
from suppli_connector_upload.apart.reader import Reader
from suppli_connector_upload.api import routes
from suppli_connector_upload.importing.run import World, import_runs
from suppli_connector_upload.looking import Looker
from suppli_connector_upload.manifest import PROVIDER
from suppli_connector_upload.service import Uploads
from suppli_connector_upload.settings import Settings
from suppli_connector_upload.tidying import Tidier

MIGRATIONS = f"{KIT_MIGRATIONS} suppli_connector_upload"
"""The kit's tables, and this service's own beside them."""

NAME = connector_service(PROVIDER)
_QUEUE_POOL = 2


def create_app(settings: Settings | None = None) -> Service:
    """Return the service, not yet started.

    Args:
        settings: by default those of the environment.

    Raises:
        MissingSetting: a setting is missing, or cannot work.
    """
    settings = settings or Settings()
    service = Service(NAME, settings)
    clock, database = service.clock, service.database
    queue_database = database_at(settings.relay_dsn(), pool=_QUEUE_POOL, name=f"{NAME} queue")
    service.on_close(queue_database.close)

    files = FileStore(database)
    reader = Reader(files, folder=settings.work_folder, memory_mb=settings.reader_memory_mb)
    reader.tidy()
    book = UploadBook(database, clock=clock, keep=timedelta(days=settings.keep_days))
    looker = Looker(book, reader, at_once=settings.readers)
    service.on_close(looker.close)
    uploads = Uploads(database, book, files, looker, most=settings.max_file_bytes)

    backlog = KafkaQueue(settings.kafka, registry((PROVIDER,))[SALES_RAW])
    service.on_close(backlog.close)
    times = settings.lease_times()
    holder = settings.instance_id or f"{socket.gethostname()}-{os.getpid()}"
    queue = RunQueue(database, queue_database, holder=holder, times=times, clock=clock)
    world = World(database, reader, service.producer, backlog, clock, settings.limits())
    workers = Workers(queue, Runner(import_runs(world), clock=clock, times=times), count=settings.workers)

    connections = ConnectionBook(database, provider=PROVIDER, clock=clock)
    service.internal_app.include_router(routes(uploads, connections, InternalToken(service.vault, NAME)))
    settled = on_connections(connections, _Eraser(database))
    service.consumers.subscribe(CONNECTIONS, group=group(NAME, "connections"), handler=settled)
    commanded = on_commands(connections, workers.wake)
    service.consumers.subscribe(sync_commands(PROVIDER), group=group(NAME, "commands"), handler=commanded)

    service.relay_outbox()
    service.add_task("workers", workers.run)
    service.add_task("tidying", Tidier(book, files, queue_database, clock=clock).run)
    return service


_OF_CONNECTION = "select upload_id from uploads where connection_id = :connection"
_ERASE = (
    "delete from held_orders where connection_id = :connection",
    f"delete from upload_chunks where upload_id in ({_OF_CONNECTION})",
    f"delete from upload_errors where upload_id in ({_OF_CONNECTION})",
    f"delete from upload_times where upload_id in ({_OF_CONNECTION})",
    "delete from uploads where connection_id = :connection",
)


class _Eraser:
    """Forgets the files of a till that is erased; the kit forgets the rest."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, event: ConnectionChanged) -> None:
        if not event.erase:
            return
        async with self._database.transaction([event.tenant_id]) as connection:
            for statement in _ERASE:
                await connection.execute(sa.text(statement), {"connection": event.connection_id})
