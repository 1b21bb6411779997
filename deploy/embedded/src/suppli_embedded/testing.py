"""pytest plugin: real servers as session fixtures, started when the first test asks for one.

Set SUPPLI_EMBEDDED_DIR to the folder of a runtime that is up (`python -m suppli_embedded up --dir ...`) and
the tests use that one instead.
"""

import os
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from aiokafka.admin import NewTopic

from suppli_embedded.kafka import KafkaServer
from suppli_embedded.openbao import OpenBaoServer
from suppli_embedded.postgres import PostgresServer, ServiceDatabase
from suppli_embedded.runtime import EmbeddedRuntime, Servers, attach

SHARED_VARIABLE = "SUPPLI_EMBEDDED_DIR"
_TITLES = {"postgres": "PostgreSQL", "kafka": "Apache Kafka", "openbao": "OpenBao"}
Server = TypeVar("Server", PostgresServer, KafkaServer, OpenBaoServer)
_versions = pytest.StashKey[dict[str, str]]()
_uses = pytest.StashKey[Counter[str]]()


def cache_folder(start: Path) -> Path:
    """Return the folder of the jars: SUPPLI_CACHE, or `.suppli/cache` of the checkout that holds `start`."""
    if configured := os.environ.get("SUPPLI_CACHE"):
        return Path(configured)
    root = next((parent for parent in (start, *start.parents) if (parent / ".git").exists()), start)
    return root / ".suppli" / "cache"


class _LazyServers:
    """Starts a server when it is first asked for, or attaches to the shared runtime."""

    def __init__(self, cache: Path) -> None:
        shared = os.environ.get(SHARED_VARIABLE)
        self._shared = attach(Path(shared)) if shared else None
        self._cache = cache
        self._folder: Path | None = None
        self._runtime: EmbeddedRuntime | None = None

    @property
    def runtime(self) -> EmbeddedRuntime:
        """This session's own runtime."""
        if self._runtime is None:
            self._folder = _temporary_folder()
            self._runtime = EmbeddedRuntime(self._folder, cache_dir=self._cache)
        return self._runtime

    def postgres(self) -> PostgresServer:
        return self._shared.postgres if self._shared else self.runtime.start_postgres()

    def kafka(self) -> KafkaServer:
        return self._shared.kafka if self._shared else self.runtime.start_kafka()

    def openbao(self) -> OpenBaoServer:
        return self._shared.openbao if self._shared else self.runtime.start_openbao()

    def all(self) -> Servers:
        if self._shared:
            return self._shared
        self.runtime.start()
        return self.runtime

    def close(self) -> None:
        if self._runtime is not None and self._folder is not None:
            self._runtime.stop()
            self._runtime.remove()
            shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="session")
def embedded_cache(pytestconfig: pytest.Config) -> Path:
    """The folder of Kafka's jars, shared by all runs of this checkout."""
    return cache_folder(pytestconfig.rootpath)


@pytest.fixture(scope="session")
def _servers(embedded_cache: Path) -> Iterator[_LazyServers]:
    servers = _LazyServers(embedded_cache)
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def postgres(_servers: _LazyServers, pytestconfig: pytest.Config) -> PostgresServer:
    """A running PostgreSQL."""
    return _noted(pytestconfig, "postgres", _servers.postgres())


@pytest.fixture(scope="session")
def kafka(_servers: _LazyServers, pytestconfig: pytest.Config) -> KafkaServer:
    """A running broker."""
    return _noted(pytestconfig, "kafka", _servers.kafka())


@pytest.fixture(scope="session")
def openbao(_servers: _LazyServers, pytestconfig: pytest.Config) -> OpenBaoServer:
    """A running OpenBao with every service's policy and role."""
    return _noted(pytestconfig, "openbao", _servers.openbao())


@pytest.fixture(scope="session")
def embedded(
    _servers: _LazyServers, postgres: PostgresServer, kafka: KafkaServer, openbao: OpenBaoServer
) -> Servers:
    """All three servers; stopping and killing them is for `private_embedded`."""
    return _servers.all()


@pytest.fixture
def private_embedded(embedded_cache: Path, pytestconfig: pytest.Config) -> Iterator[EmbeddedRuntime]:
    """A runtime for this test alone, not started, which it may stop, kill and break."""
    folder = _temporary_folder()
    runtime = EmbeddedRuntime(folder, cache_dir=embedded_cache)
    yield runtime
    pytestconfig.stash[_versions].update(runtime.versions)
    runtime.stop()
    runtime.remove()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def make_database(postgres: PostgresServer) -> Iterator[Callable[[str], ServiceDatabase]]:
    """Return a function that makes a fresh database for a service; all are dropped at the end."""
    made: list[str] = []

    def make(service: str) -> ServiceDatabase:
        name = f"{service.replace('-', '_')}_{secrets.token_hex(4)}"
        made.append(name)
        return postgres.create_service_database(name)

    yield make
    for name in made:
        postgres.drop_service_database(name)


@pytest.fixture(scope="session")
def kafka_topics(kafka: KafkaServer) -> Iterator[Callable[..., str]]:
    """Return a function that makes a topic with a name of its own: `kafka_topics("raw", partitions=3)`."""
    made: list[str] = []

    def make(name: str, *, partitions: int = 1, configs: dict[str, str] | None = None) -> str:
        unique = f"{name}.{secrets.token_hex(4)}"
        kafka.ensure_topics([NewTopic(unique, partitions, 1, topic_configs=configs or {})])
        made.append(unique)
        return unique

    yield make
    if made:
        kafka.delete_topics(made)


def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="suppli-test-"))
    folder.chmod(0o755)  # PostgreSQL must get there as another user when tests run as root; secrets are 0600
    return folder


def _noted(config: pytest.Config, name: str, server: Server) -> Server:
    config.stash[_versions][name] = server.version()
    return server


def pytest_configure(config: pytest.Config) -> None:
    """Make room for what the summary reports."""
    config.stash[_versions] = {}
    config.stash[_uses] = Counter()


def pytest_runtest_call(item: pytest.Item) -> None:
    """Count the test for each server it uses."""
    fixtures = set(getattr(item, "fixturenames", ()))
    used = set(_TITLES) if "private_embedded" in fixtures else fixtures & set(_TITLES)
    item.config.stash[_uses].update(used)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print which real servers the tests ran against, and every test that did not run."""
    uses, versions = config.stash[_uses], config.stash[_versions]
    if uses:
        terminalreporter.section("real servers")
        shared = os.environ.get(SHARED_VARIABLE)
        for name, title in _TITLES.items():
            if uses[name]:
                version = versions.get(name, "(own instance)")
                where = "shared runtime" if shared else "embedded"
                terminalreporter.write_line(f"{title:<14} {version:<16} {uses[name]:>5} tests  {where}")
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section(f"skipped: {len(skipped)}")
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            terminalreporter.write_line(f"{report.nodeid}: {reason}")
