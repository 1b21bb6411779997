"""The whole system with a proxy between every process and each of its servers, and processes to freeze."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from suppli_demo.system import Say, System
from suppli_embedded.environment import prefix
from suppli_embedded.files import free_ports, write_private

from tests.chaos.proxy import Mode, Proxies, Proxy
from tests.e2e.conftest import FAST

# Short enough that a fault and its recovery take seconds; pages small enough that a fault falls between them.
# With less overlap a sync re-reads less: it ends sooner, and heals less of what an earlier one missed.
_EXTRA: Mapping[str, Mapping[str, str]] = {
    "connector-square": {
        "SUPPLI_CONNECTOR_SQUARE_PAGE_SIZE": "40",
        "SUPPLI_CONNECTOR_SQUARE_OVERLAP_SECONDS": "60",
        "SUPPLI_CONNECTOR_SQUARE_REQUESTS_PER_SECOND": "100",
        "SUPPLI_CONNECTOR_SQUARE_RETRY_BASE_SECONDS": "0.2",
        "SUPPLI_CONNECTOR_SQUARE_RETRY_CAP_SECONDS": "3",
    },
    "sync-scheduler": {"SUPPLI_SYNC_SCHEDULER_RETRY_CAP_SECONDS": "3"},
}

LEASE_SECONDS = float(FAST["connector-square"]["SUPPLI_CONNECTOR_SQUARE_LEASE_SECONDS"])


class ChaosSystem(System):
    """Every process with proxies of its own, by (process, server)."""

    def __init__(self, folder: Path, *, cache: Path, replicas: int = 1, say: Say = lambda _: None) -> None:
        names = FAST.keys() | _EXTRA.keys()
        extra = {name: {**FAST.get(name, {}), **_EXTRA.get(name, {})} for name in names}
        # A campaign's shops sell at Square: a fault of a connector that has nothing to do shows nothing.
        super().__init__(folder, cache=cache, extra=extra, replicas=replicas, providers=("square",), say=say)
        self.proxies = Proxies()
        self._stack.callback(self.proxies.close)
        self.links: dict[tuple[str, str], Proxy] = {}
        self._frozen: set[int] = set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.calm()
        super().__exit__(kind, error, trace)

    def freeze(self, name: str) -> None:
        """Stop a process in the middle of what it does, without its noticing (SIGSTOP)."""
        pid = self.services[name].pid
        if pid is None:
            raise RuntimeError(f"{name} is not running")
        os.kill(pid, signal.SIGSTOP)
        self._frozen.add(pid)

    def thaw(self, name: str) -> None:
        """Let a frozen process go on."""
        pid = self.services[name].pid
        if pid is not None:
            os.kill(pid, signal.SIGCONT)
            self._frozen.discard(pid)

    def calm(self) -> None:
        """Thaw what is frozen, and let everything pass."""
        for name in self.services:
            if self.services[name].pid in self._frozen:
                self.thaw(name)
        for link, proxy in self.links.items():
            if proxy.mode is not Mode.PASS:
                self.switch(link, Mode.PASS)

    def switch(self, link: tuple[str, str], mode: Mode, seed: int = 0) -> None:
        """Change what the network between a process and a server does."""
        self.proxies.switch(self.links[link], mode, seed)

    def members(self, service: str) -> list[str]:
        """Return the names of a service's processes."""
        return [name for name, part in self.parts.items() if part.name == service]

    def unsaid(self) -> int:
        """Return how many outbox rows wait in all databases."""
        waiting = 0
        for part in self.kinds():
            with self.runtime.postgres.connect(f"suppli_{part.name.replace('-', '_')}") as database:
                waiting += int(database.execute("select count(*) from outbox").fetchall()[0][0])
        return waiting

    def _before_servers(self) -> None:
        self._balanced: dict[tuple[str, bool], Proxy] = {}
        for part in self.kinds():
            for public in (True, False):
                ports = [self._ports[name][0 if public else 1] for name in self.members(part.name)]
                targets = [("127.0.0.1", port) for port in ports]
                self._balanced[part.name, public] = self.proxies.add(part.name, *targets)
        for name, port in zip(self.parts, free_ports(len(self.parts)), strict=True):
            proxy = self._link(name, "kafka", port)
            self.runtime.kafka.listen_also(port, proxy.port)

    def _link(self, name: str, server: str, port: int) -> Proxy:
        proxy = self.proxies.add(f"{name} to {server}", ("127.0.0.1", port))
        self.links[name, server] = proxy
        return proxy

    def _address(self, service: str, *, public: bool = False) -> str:
        return f"http://127.0.0.1:{self._balanced[service, public].port}"

    def _environment(self, name: str) -> dict[str, str]:
        environment = super()._environment(name)
        own = prefix(self.parts[name].name)
        vault = urlsplit(self.runtime.openbao.url).port or 0
        database = self._link(name, "postgres", self.runtime.postgres.port)
        environment["SUPPLI_KAFKA_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{self.links[name, 'kafka'].port}"
        environment["SUPPLI_VAULT_URL"] = f"http://127.0.0.1:{self._link(name, 'openbao', vault).port}"
        for purpose in ("DATABASE", "RELAY"):
            variable = f"{own}_{purpose}_URL_FILE"
            url = Path(environment[variable]).read_text()
            path = self.folder / "proxied" / f"{name}-{purpose.lower()}-url"
            write_private(path, url.replace(f":{self.runtime.postgres.port}/", f":{database.port}/"))
            environment[variable] = str(path)
        provider = self.parts[name].provider
        if provider in self.sandboxes:
            sandbox = self._link(name, "sandbox", urlsplit(self.sandboxes[provider].url).port or 0)
            environment[f"{own}_BASE_URL"] = f"http://127.0.0.1:{sandbox.port}"
        return environment
