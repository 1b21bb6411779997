"""One service as one process: its parts, their start, and a stop within ten seconds, nothing half done."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from functools import cached_property

from fastapi import FastAPI

from suppli_service_kit import metrics
from suppli_service_kit.clock import Clock, clock_from
from suppli_service_kit.database import Database, open_database
from suppli_service_kit.direct import DirectPublisher
from suppli_service_kit.health import Health
from suppli_service_kit.http_server import OWN_TRACES_ONLY, HttpServer
from suppli_service_kit.kafka.consumer import Consumers
from suppli_service_kit.kafka.dead_letters import ReplayReport, replay
from suppli_service_kit.kafka.producer import Producer
from suppli_service_kit.logs import configure_logging, get_logger
from suppli_service_kit.main import main as main
from suppli_service_kit.outbox import OutboxRelay
from suppli_service_kit.problems import install_problems
from suppli_service_kit.settings import ServiceSettings
from suppli_service_kit.tracing import configure_tracing
from suppli_service_kit.vault import Vault
from suppli_service_kit.waiting import wait_or_stop

log = get_logger(__name__)

Task = Callable[[asyncio.Event], Awaitable[None]]
Hook = Callable[[], Awaitable[None]]

TASKS_SECONDS = 6.0  # how long tasks, consumers and requests may finish after the stop
CLOSE_SECONDS = 1.0
HARD_STOP_SECONDS = 9.5  # a process that still lives then is ended: what is not committed comes again


class Service:
    """The parts of a process, wired by the service's `app.py`; nothing is connected before `run`.

    `database`, `vault` and the relay are made, checked by `/readyz` and closed only where they are asked for.

    Attributes:
        clock: the time, moved in development where the settings say so.
        health: add the service's own checks here.
        producer: publishes and awaits; shared by everything in the process.
        consumers: subscribe here.
        internal_app: `/internal/v1`, health and metrics.
        stopping: set when the process is to stop.
    """

    def __init__(self, name: str, settings: ServiceSettings, *, clock: Clock | None = None) -> None:
        """Prepare a service.

        Args:
            name: e.g. `mapping`; in logs, traces and as Kafka client.
            settings: of the service.
            clock: by default as the settings say.
        """
        self.name = name
        self.settings = settings
        self.clock = clock or clock_from(settings)
        self.health = Health()
        self.stopping = asyncio.Event()
        self.producer = Producer(settings.kafka, client_id=name)
        self.consumers = Consumers(
            settings.kafka, service=name, instance_id=settings.instance_id, producer=self.producer
        )
        self.internal_app = FastAPI(
            title=f"suppli {name} (internal)", docs_url=None, redoc_url=None, telemetry=OWN_TRACES_ONLY
        )
        install_problems(self.internal_app)
        self.internal_app.include_router(self.health.router())
        self.public_app: FastAPI | None = None
        self.relay: OutboxRelay | None = None
        self.ports: dict[str, int] = {}
        self._tasks: list[tuple[str, Task]] = []
        self._starters: list[Hook] = []
        self._closers: list[Hook] = []
        self._failed = False

    @cached_property
    def database(self) -> Database:
        """The service's database, with the application's role; raises `MissingSetting`."""
        database = open_database(self.settings)
        self._closers.append(database.close)

        async def check() -> None:
            await database.ping()

        self.health.register("database", check, critical=True)
        return database

    @cached_property
    def vault(self) -> Vault:
        """The service's access to its secrets."""
        vault = Vault(self.settings.vault)
        self._starters.append(vault.start)
        self._closers.append(vault.stop)

        async def check() -> None:
            await vault.ping()

        self.health.register("vault", check)
        return vault

    def serve_public(self, app: FastAPI) -> None:
        """Serve `app` on the public port; errors become problems."""
        install_problems(app)
        self.public_app = app

    def publish_directly(self, relay_database: Database) -> DirectPublisher:
        """Publish from memory after the commit, with the outbox's relay as the safety net.

        Args:
            relay_database: with the relay's role; the service's schema has `schema.outbox_holding`.

        Raises:
            MissingSetting: the relay's URL is not set.
        """
        direct = DirectPublisher(relay_database, self.producer)
        self.relay_outbox(may_be_held=True)
        self.add_task("direct publishing", direct.run)
        return direct

    def relay_outbox(self, *, may_be_held: bool = False) -> OutboxRelay:
        """Publish this database's outbox from here (one process of several at a time); raises
        `MissingSetting`.
        """
        if self.relay is None:
            relay = OutboxRelay(self.settings.relay_dsn(), self.producer, may_be_held=may_be_held)
            self.relay = relay
            self.add_task("outbox relay", relay.run)

            async def check() -> str | None:
                return f"{relay.backoff.failures} rounds failed in a row" if relay.backoff.failures else None

            self.health.register("outbox", check)
        return self.relay

    def add_task(self, name: str, run: Task) -> None:
        """Run a loop beside the rest. It ends when its `stop` is set; ending before, or raising, ends the
        process.
        """
        self._tasks.append((name, run))

    def on_start(self, hook: Hook) -> None:
        """Call `hook` before tasks and consumers start; what it raises ends the process."""
        self._starters.append(hook)

    def on_close(self, hook: Hook) -> None:
        """Call `hook` when everything has stopped, last added first."""
        self._closers.append(hook)

    def stop(self) -> None:
        """Ask the process to stop; `run` returns within ten seconds."""
        self.health.stopping = True
        self.stopping.set()

    async def run(self) -> int:
        """Run until `stop`; return the process's exit code, 0 after an orderly stop that was asked for."""
        servers = self._listen()
        try:
            self._register_consumers()
            for hook in self._starters:
                await hook()
            await self.producer.start()
            log.info("service_started", **{f"{name}_port": port for name, port in self.ports.items()})
            await self._run_tasks(servers)
        finally:
            self.stop()
            await self._close()
            log.info("service_stopped", failed=self._failed)
        return 1 if self._failed else 0

    async def replay(self, group: str, topic: str | None = None) -> dict[str, ReplayReport]:
        """Feed dead letters of `group` (of one topic, or all it reads) to its handler; see
        `dead_letters.replay`.

        Raises:
            LookupError: this service has no such group or it does not read that topic.
        """
        found = next((each for each in self.consumers.subscriptions if each.group == group), None)
        if found is None or (topic is not None and topic not in found.topics):
            known = ", ".join(each.group for each in self.consumers.subscriptions) or "none"
            raise LookupError(f"no group {group} reading {topic or 'anything'} here; groups: {known}")
        try:
            for hook in self._starters:
                await hook()
            topics = found.topics if topic is None else (topic,)
            return {each: await replay(self.settings.kafka, each, group, found.handler) for each in topics}
        finally:
            await self._close()

    def _listen(self) -> list[HttpServer]:
        settings = self.settings
        servers = [HttpServer(self.internal_app, settings.host, settings.internal_port, trusted=True)]
        self.ports["internal"] = servers[0].port
        if self.public_app is not None:
            servers.append(HttpServer(self.public_app, settings.host, settings.public_port, trusted=False))
            self.ports["public"] = servers[1].port
        return servers

    def _register_consumers(self) -> None:
        async def broker() -> None:
            await self.producer.ping()

        self.health.register("kafka", broker)
        if not self.consumers.subscriptions:
            return

        async def reading() -> str | None:
            return "; ".join(self.consumers.problems()) or None

        async def moving() -> str | None:
            stalled = self.consumers.stalled()
            return f"no progress: {', '.join(stalled)}" if stalled else None

        self.health.register("consumers", reading)
        self.health.register_liveness("consumers", moving)
        self.add_task("consumers", self.consumers.run)

    async def _run_tasks(self, servers: list[HttpServer]) -> None:
        async def serving(server: HttpServer) -> None:
            await server.run_until_exit()

        running = [
            asyncio.create_task(self._watched(name, run(self.stopping)), name=name)
            for name, run in [*self._tasks, ("loop watch", _watch_loop), ("health watch", self.health.watch)]
        ]
        running += [
            asyncio.create_task(self._watched("http", serving(server)), name="http") for server in servers
        ]
        await self.stopping.wait()
        for server in servers:
            server.should_exit = True
        _, late = await asyncio.wait(running, timeout=TASKS_SECONDS)
        for task in late:
            log.warning("task_cancelled_at_stop", task=task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CLOSE_SECONDS / 2)

    async def _watched(self, name: str, work: Awaitable[None]) -> None:
        """Run a task; when it ends before it was asked to, end the process: half a service is worse than
        none.
        """
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("task_failed", task=name)
            self._failed = True
        if not self.stopping.is_set():
            log.error("task_ended_unexpectedly", task=name)
            self._failed = True
        self.stop()

    async def _close(self) -> None:
        await self.producer.stop()
        for hook in reversed(self._closers):
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await hook()
            except Exception as error:  # the rest is still to be closed
                log.warning("close_failed", error=type(error).__name__)


async def _watch_loop(stop: asyncio.Event) -> None:
    """Measure how late the loop turns: something that blocks it shows here."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    while not await wait_or_stop(stop, 1.0):
        now = loop.time()
        metrics.LOOP_LAG.set(max(0.0, now - before - 1.0))
        before = now


async def serve(service: Service) -> int:
    """Run a service as this process: logs, traces and signals included; return the exit code."""
    configure_logging(service.name, service.settings.log_level)
    provider = configure_tracing(service.name, service.settings.telemetry)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_by_signal, service)
    try:
        return await service.run()
    finally:
        await asyncio.to_thread(provider.force_flush, 500)


def _stop_by_signal(service: Service) -> None:
    if not service.stopping.is_set():
        timer = threading.Timer(HARD_STOP_SECONDS, os._exit, [1])
        timer.daemon = True
        timer.start()
    service.stop()
