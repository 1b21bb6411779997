"""Every process of the system on the embedded runtime: started, stopped, killed and started again."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from suppli_embedded.files import free_ports, tail
from suppli_embedded.processes import ServiceProcess
from suppli_embedded.runtime import EmbeddedRuntime
from suppli_embedded.topics import create_topics
from suppli_sandbox.client import SandboxControl, SandboxProcess
from suppli_service_kit.logs import configure_logging
from suppli_service_kit.migrations import migrate

from suppli_demo.consumer import count_dead_letters
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
        replicas: processes of every service; the second of `mapping` is called `mapping-2`. Whoever runs
            more than one gives them one address by overriding `_address`.
        say: told what happens, one sentence at a time.
    """

    def __init__(
        self,
        folder: Path,
        *,
        cache: Path | None = None,
        extra: Mapping[str, Mapping[str, str]] | None = None,
        replicas: int = 1,
        say: Say = lambda _: None,
    ) -> None:
        self.folder = folder.absolute()
        self.runtime = EmbeddedRuntime(self.folder, cache_dir=cache)
        self.parts = {
            part.name if number == 1 else f"{part.name}-{number}": part
            for number in range(1, replicas + 1)
            for part in SERVICES
        }
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
        ports = iter(free_ports(2 * len(self.parts)))
        self._ports = {name: (next(ports), next(ports)) for name in self.parts}
        self._stack.callback(self.runtime.stop)
        self.runtime.open()
        self._before_servers()
        self.gateway_url = self._address("gateway", public=True)
        with ThreadPoolExecutor(2) as pool:
            beside = [pool.submit(self._migrate), pool.submit(self._start_sandbox)]
            self.runtime.start()
            for each in beside:
                each.result()
        self.timings["download"] = self.runtime.timings.get("download", 0.0)
        self._say("PostgreSQL, Kafka and OpenBao are up.")
        self.runtime.openbao.write_app("square", {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET})
        self.clock_file.write_text("0")
        environments = {name: self._environment(name) for name in self.parts}
        asyncio.run(create_topics(self.runtime.kafka.bootstrap_servers))
        self._say("Databases are migrated, topics exist.")
        for name, part in self.parts.items():
            self._add_service(name, part, environments[name])
        for service in self.services.values():
            service.start()
        for service in self.services.values():
            service.wait_ready(60)
        self._say("Every service is ready.")
        self.timings["start"] = time.monotonic() - began - self.timings["download"]

    @property
    def bootstrap_servers(self) -> str:
        """Where Kafka is."""
        return self.runtime.kafka.bootstrap_servers

    def token(self, *, subject: str, tenants: Sequence[UUID], role: str) -> str:
        """Return a signed-in person's token."""
        return self.issuer.token(subject=subject, tenants=tenants, role=role)

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
        return asyncio.run(count_dead_letters(self.runtime.kafka.bootstrap_servers))

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

    def _before_servers(self) -> None:
        """Called once ports are chosen and before anything is started, for whoever puts more in between."""

    def _address(self, service: str, *, public: bool = False) -> str:
        """Return where others reach `service`."""
        return f"http://127.0.0.1:{self._ports[service][0 if public else 1]}"

    def _environment(self, name: str) -> dict[str, str]:
        service, (public, internal) = self.parts[name].name, self._ports[name]
        environment = self.runtime.service_environment(
            service, public_port=public, internal_port=internal, instance_id=name
        )
        environment["SUPPLI_CLOCK_OFFSET_FILE"] = str(self.clock_file)
        environment |= self._own(service)
        return environment | dict(self._extra.get(service, {}))

    def _own(self, name: str) -> dict[str, str]:
        if name == "gateway":
            return {
                "SUPPLI_GATEWAY_CONNECTOR_URLS": json.dumps({"square": self._address("connector-square")}),
                "SUPPLI_GATEWAY_MAPPING_URL": self._address("mapping"),
                "SUPPLI_GATEWAY_SYNC_SCHEDULER_URL": self._address("sync-scheduler"),
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
        self.runtime.start_postgres()  # idempotent; what else is starting meanwhile does not matter here

        async def one_by_one() -> None:
            for part in SERVICES:
                database = self.runtime.postgres.create_service_database(part.name.replace("-", "_"))
                await migrate(part.migrations, database.owner_url)

        asyncio.run(one_by_one())

    def _add_service(self, name: str, part: Part, environment: Mapping[str, str]) -> None:
        self.services[name] = self.runtime.service_process(
            name,
            [sys.executable, "-m", part.package, "serve"],
            environment,
            internal_port=self._ports[name][1],
        )

    def log_tail(self, name: str) -> str:
        """Return the end of a service's log."""
        return tail(self.services[name].log_path)
