"""Every process of the system on the embedded runtime: started, stopped, killed and started again."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

from suppli_contracts.topics import connector_service, installed_connectors
from suppli_embedded.environment import prefix
from suppli_embedded.files import free_ports, tail
from suppli_embedded.processes import ServiceProcess
from suppli_embedded.runtime import EmbeddedRuntime
from suppli_embedded.topics import create_topics
from suppli_sandbox.client import SandboxControl, SandboxProcess
from suppli_sandbox.clover.client import CloverControl, CloverProcess
from suppli_sandbox.control_client import ProviderProcess
from suppli_sandbox.providers import local_providers
from suppli_service_kit.logs import configure_logging
from suppli_service_kit.migrations import migrate

from suppli_demo.consumer import count_dead_letters
from suppli_demo.issuer import IssuerProcess

Say = Callable[[str], None]
P = TypeVar("P", bound=ProviderProcess[Any])


@dataclass(frozen=True, slots=True)
class Part:
    """A service: its name, the package that `python -m` runs, those that hold its migrations, and for a
    connector its provider.
    """

    name: str
    package: str
    migrations: str
    provider: str | None = None


def connector_parts() -> tuple[Part, ...]:
    """Return the connectors that are installed here."""
    return tuple(
        Part(connector_service(provider), package, _migrations(package), provider)
        for provider, package in installed_connectors().items()
    )


def _migrations(package: str) -> str:
    """Return the packages whose tables a connector has: the kit's, and its own where it has some."""
    own = importlib.util.find_spec(f"{package}.migrations") is not None
    return f"suppli_connector_kit {package}" if own else "suppli_connector_kit"


CONNECTORS = connector_parts()
SERVICES = (
    Part("gateway", "suppli_gateway", "suppli_gateway"),
    Part("sync-scheduler", "suppli_sync_scheduler", "suppli_sync_scheduler"),
    Part("mapping", "suppli_mapping", "suppli_mapping"),
    *CONNECTORS,
)


class System:
    """The servers, a sandbox for each provider, an identity provider and every service, each a process.

    Args:
        folder: all state; the jars' cache is found beside or given by `SUPPLI_CACHE`.
        extra: more environment variables per service name, e.g. shorter delays for tests.
        replicas: processes of every service; the second of `mapping` is called `mapping-2`. Whoever runs
            more than one gives them one address by overriding `_address`.
        providers: whose connectors and sandboxes run; by default all.
        say: told what happens, one sentence at a time.
    """

    def __init__(
        self,
        folder: Path,
        *,
        cache: Path | None = None,
        extra: Mapping[str, Mapping[str, str]] | None = None,
        replicas: int = 1,
        providers: Collection[str] | None = None,
        say: Say = lambda _: None,
    ) -> None:
        self.folder = folder.absolute()
        self.runtime = EmbeddedRuntime(self.folder, cache_dir=cache)
        self.parts = {
            part.name if number == 1 else f"{part.name}-{number}": part
            for number in range(1, replicas + 1)
            for part in SERVICES
            if part.provider is None or providers is None or part.provider in providers
        }
        self.services: dict[str, ServiceProcess] = {}
        self.sandboxes: dict[str, ProviderProcess[Any]] = {}
        self.applications: dict[str, dict[str, str]] = {}
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
            beside = [pool.submit(self._migrate), pool.submit(self._start_sandboxes)]
            self.runtime.start()
            for each in beside:
                each.result()
        self.timings["download"] = self.runtime.timings.get("download", 0.0)
        self._say("PostgreSQL, Kafka and OpenBao are up.")
        for provider in self.sandboxes:
            self.runtime.openbao.write_app(provider, self.applications[provider])
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

    def sandbox_of(self, kind: type[P]) -> P:
        """Return the running sandbox of a kind, e.g. `CloverProcess`."""
        found = self.sandboxes[kind.provider]
        if not isinstance(found, kind):
            raise TypeError(f"the sandbox of {kind.provider} is no {kind.__name__}")
        return found

    @property
    def sandbox(self) -> SandboxProcess:
        """The local Square."""
        return self.sandbox_of(SandboxProcess)

    @property
    def control(self) -> SandboxControl:
        """The local Square's control."""
        return self.sandbox.control

    @property
    def clover(self) -> CloverControl:
        """The local Clover's control."""
        return self.sandbox_of(CloverProcess).control

    def token(self, *, subject: str, tenants: Sequence[UUID], role: str) -> str:
        """Return a signed-in person's token."""
        return self.issuer.token(subject=subject, tenants=tenants, role=role)

    def kinds(self) -> tuple[Part, ...]:
        """Return the services that run, each once whatever its replicas."""
        return tuple(dict.fromkeys(self.parts.values()))

    def kill(self, name: str) -> None:
        """End a service as a power cut would (SIGKILL)."""
        self.services[name].kill()

    def restart(self, name: str) -> None:
        """Start a service that was killed or stopped, on the same ports, and wait until it is ready."""
        self.services[name].start()
        self.services[name].wait_ready(60)

    def move_clock(self, seconds: float) -> None:
        """Move every service's and sandbox's clock forward by `seconds` in all."""
        before = float(self.clock_file.read_text())
        self.clock_file.write_text(str(seconds))
        for sandbox in self.sandboxes.values():
            sandbox.control.advance_clock(seconds - before)

    def dead_letters(self) -> int:
        """Return how many messages are on any dead-letter topic."""
        return asyncio.run(count_dead_letters(self.runtime.kafka.bootstrap_servers))

    # --- parts --------------------------------------------------------------------------------

    def _start_sandboxes(self) -> None:
        wanted = {part.provider for part in self.kinds()}
        for provider, local in local_providers().items():
            if provider not in wanted:
                continue
            sandbox = local.process(
                token="demo",  # noqa: S106 - guards a stand-in on the loopback address
                arguments=["--redirect-url", f"{self.gateway_url}/v1/oauth/callback"],
            )
            self.sandboxes[provider] = self._stack.enter_context(sandbox)
            self.applications[provider] = local.application()
        self.issuer = self._stack.enter_context(IssuerProcess())

    def _before_servers(self) -> None:
        """Called once ports are chosen and before anything is started, for whoever puts more in between."""

    def _address(self, service: str, *, public: bool = False) -> str:
        """Return where others reach `service`."""
        return f"http://127.0.0.1:{self._ports[service][0 if public else 1]}"

    def _environment(self, name: str) -> dict[str, str]:
        part, (public, internal) = self.parts[name], self._ports[name]
        environment = self.runtime.service_environment(
            part.name, public_port=public, internal_port=internal, instance_id=name
        )
        environment["SUPPLI_CLOCK_OFFSET_FILE"] = str(self.clock_file)
        environment |= self._own(part)
        return environment | dict(self._extra.get(part.name, {}))

    def _own(self, part: Part) -> dict[str, str]:
        connectors = {each.provider: self._address(each.name) for each in self.kinds() if each.provider}
        if part.name == "sync-scheduler":
            return {"SUPPLI_SYNC_SCHEDULER_PROVIDERS": ",".join(connectors)}
        if part.name == "gateway":
            return {
                "SUPPLI_GATEWAY_CONNECTOR_URLS": json.dumps(connectors),
                "SUPPLI_GATEWAY_MAPPING_URL": self._address("mapping"),
                "SUPPLI_GATEWAY_SYNC_SCHEDULER_URL": self._address("sync-scheduler"),
                "SUPPLI_GATEWAY_PUBLIC_URL": self.gateway_url,
                "SUPPLI_GATEWAY_ISSUER": self.issuer.url,
                "SUPPLI_GATEWAY_JWKS_URL": f"{self.issuer.url}/jwks",
            }
        if part.provider in self.sandboxes:
            return {
                f"{prefix(part.name)}_BASE_URL": self.sandboxes[part.provider].url,
                f"{prefix(part.name)}_WEB_URL": "",  # people sign in where the API is
            }
        return {}

    def _migrate(self) -> None:
        """Bring every database to its newest schema, as each service's own `migrate` step would."""
        configure_logging("demo", "WARNING")
        self.runtime.start_postgres()  # idempotent; what else is starting meanwhile does not matter here

        async def one_by_one() -> None:
            for part in self.kinds():
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
