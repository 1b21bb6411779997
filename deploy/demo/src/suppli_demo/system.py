"""Every process of the system on the embedded runtime: started, stopped, killed and started again."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from suppli_embedded.files import free_ports, tail
from suppli_embedded.processes import ServiceProcess
from suppli_embedded.runtime import EmbeddedRuntime
from suppli_embedded.topics import create_topics
from suppli_sandbox.client import SandboxControl, SandboxProcess
from suppli_service_kit.logs import configure_logging
from suppli_service_kit.migrations import migrate

from suppli_demo.issuer import IssuerProcess

Say = Callable[[str], None]

CLIENT_ID = "sandbox-sq0idb-suppli"
CLIENT_SECRET = "sandbox-sq0csb-secret"  # noqa: S105 - the sandbox's own default, worth nothing elsewhere


@dataclass(frozen=True, slots=True)
class Part:
    """A service: its name, the package that `python -m` runs, and the one that holds its migrations."""

    name: str
    package: str
    migrations: str


SERVICES = (
    Part("gateway", "suppli_gateway", "suppli_gateway"),
    Part("sync-scheduler", "suppli_sync_scheduler", "suppli_sync_scheduler"),
    Part("mapping", "suppli_mapping", "suppli_mapping"),
    Part("connector-square", "suppli_connector_square", "suppli_connector_kit"),
)


class System:
    """The servers, the sandbox, an identity provider and every service, each as its own process.

    Args:
        folder: all state; the jars' cache is found beside or given by `SUPPLI_CACHE`.
        extra: more environment variables per service name, e.g. shorter delays for tests.
        say: told what happens, one sentence at a time.
    """

    def __init__(
        self,
        folder: Path,
        *,
        cache: Path | None = None,
        extra: Mapping[str, Mapping[str, str]] | None = None,
        say: Say = lambda _: None,
    ) -> None:
        self.folder = folder.absolute()
        self.runtime = EmbeddedRuntime(self.folder, cache_dir=cache)
        self.services: dict[str, ServiceProcess] = {}
        self.timings: dict[str, float] = {}
        self.clock_file = self.folder / "clock-offset"
        self._extra = extra or {}
        self._say = say
        self._stack = ExitStack()

    # --- life ---------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(self) -> None:
        """Start everything and return when every service is ready."""
        began = time.monotonic()
        self._ports = {part.name: tuple(free_ports(2)) for part in SERVICES}
        self.gateway_url = f"http://127.0.0.1:{self._ports['gateway'][0]}"
        with ThreadPoolExecutor(2) as pool:
            sandbox = pool.submit(self._start_sandbox)
            self._stack.callback(self.runtime.stop)
            self.runtime.start()
            sandbox.result()
        self.timings["download"] = self.runtime.timings.get("download", 0.0)
        self._say("PostgreSQL, Kafka and OpenBao are up.")
        self.runtime.openbao.write_app("square", {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET})
        self.clock_file.write_text("0")
        environments = {part.name: self._environment(part.name) for part in SERVICES}
        with ThreadPoolExecutor(2) as pool:
            topics = pool.submit(asyncio.run, create_topics(self.runtime.kafka.bootstrap_servers))
            pool.submit(self._migrate).result()
            topics.result()
        self._say("Databases are migrated, topics exist.")
        for part in SERVICES:
            self._add_service(part, environments[part.name])
        for service in self.services.values():
            service.start()
        for service in self.services.values():
            service.wait_ready(60)
        self._say("Every service is ready.")
        self.timings["start"] = time.monotonic() - began - self.timings["download"]

    def kill(self, name: str) -> None:
        """End a service as a power cut would (SIGKILL)."""
        self.services[name].kill()

    def restart(self, name: str) -> None:
        """Start a service that was killed or stopped, on the same ports, and wait until it is ready."""
        self.services[name].start()
        self.services[name].wait_ready(60)

    def move_clock(self, seconds: float) -> None:
        """Move every service's and the sandbox's clock forward by `seconds` in all."""
        before = float(self.clock_file.read_text())
        self.clock_file.write_text(str(seconds))
        self.control.advance_clock(seconds - before)

    def dead_letters(self) -> int:
        """Return how many messages are on any dead-letter topic."""
        return asyncio.run(_count_dead_letters(self.runtime.kafka.bootstrap_servers))

    # --- parts --------------------------------------------------------------------------------

    def _start_sandbox(self) -> None:
        self.sandbox = self._stack.enter_context(
            SandboxProcess(
                token="demo",  # noqa: S106 - guards a stand-in on the loopback address
                arguments=["--redirect-url", f"{self.gateway_url}/v1/oauth/callback"],
            )
        )
        self.control: SandboxControl = self.sandbox.control
        self.issuer = self._stack.enter_context(IssuerProcess())

    def _environment(self, name: str) -> dict[str, str]:
        public, internal = self._ports[name]
        environment = self.runtime.service_environment(name, public_port=public, internal_port=internal)
        environment["SUPPLI_CLOCK_OFFSET_FILE"] = str(self.clock_file)
        environment |= self._own(name)
        return environment | dict(self._extra.get(name, {}))

    def _own(self, name: str) -> dict[str, str]:
        def internal(service: str) -> str:
            return f"http://127.0.0.1:{self._ports[service][1]}"

        if name == "gateway":
            return {
                "SUPPLI_GATEWAY_CONNECTOR_URLS": json.dumps({"square": internal("connector-square")}),
                "SUPPLI_GATEWAY_MAPPING_URL": internal("mapping"),
                "SUPPLI_GATEWAY_SYNC_SCHEDULER_URL": internal("sync-scheduler"),
                "SUPPLI_GATEWAY_PUBLIC_URL": self.gateway_url,
                "SUPPLI_GATEWAY_ISSUER": self.issuer.url,
                "SUPPLI_GATEWAY_JWKS_URL": f"{self.issuer.url}/jwks",
            }
        if name == "connector-square":
            return {"SUPPLI_CONNECTOR_SQUARE_BASE_URL": self.sandbox.url}
        return {}

    def _migrate(self) -> None:
        """Bring every database to its newest schema, as each service's own `migrate` step would."""
        configure_logging("demo", "WARNING")

        async def one_by_one() -> None:
            for part in SERVICES:
                database = self.runtime.postgres.create_service_database(part.name.replace("-", "_"))
                await migrate(part.migrations, database.owner_url)

        asyncio.run(one_by_one())

    def _add_service(self, part: Part, environment: Mapping[str, str]) -> None:
        self.services[part.name] = self.runtime.service_process(
            part.name,
            [sys.executable, "-m", part.package, "serve"],
            environment,
            internal_port=self._ports[part.name][1],
        )

    def log_tail(self, name: str) -> str:
        """Return the end of a service's log."""
        return tail(self.services[name].log_path)


async def _count_dead_letters(bootstrap_servers: str) -> int:
    from aiokafka import AIOKafkaConsumer, TopicPartition

    async with AIOKafkaConsumer(bootstrap_servers=bootstrap_servers) as consumer:
        names = [name for name in await consumer.topics() if name.endswith(".dlq")]
        partitions = [
            TopicPartition(name, number)
            for name in names
            for number in consumer.partitions_for_topic(name) or ()
        ]
        ends = await consumer.end_offsets(partitions)
        return sum(ends.values())
