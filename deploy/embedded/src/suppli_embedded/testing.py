"""pytest plugin: real servers as session fixtures, started when the first test asks for one.

Where they come from is `sources.choose`'s to say: containers where Docker has the images, else the embedded
runtime. Set SUPPLI_TEST_SERVERS to `embedded` or `containers` to say it yourself, or SUPPLI_EMBEDDED_DIR to
the folder of a runtime that is up (`python -m suppli_embedded up --dir ...`) to use that one.
"""

import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from aiokafka.admin import NewTopic

from suppli_embedded.kafka import KafkaServer
from suppli_embedded.openbao import OpenBaoServer
from suppli_embedded.postgres import PostgresServer, ServiceDatabase
from suppli_embedded.runtime import EmbeddedRuntime, Servers
from suppli_embedded.sources import ServerSource, choose, temporary_folder

_TITLES = {"postgres": "PostgreSQL", "kafka": "Apache Kafka", "openbao": "OpenBao"}
Server = TypeVar("Server", PostgresServer, KafkaServer, OpenBaoServer)
_versions = pytest.StashKey[dict[tuple[str, str], str]]()
_uses = pytest.StashKey[Counter[tuple[str, str]]]()
_source = pytest.StashKey[ServerSource]()
_PRIVATE = "embedded, one of its own"


def cache_folder(start: Path) -> Path:
    """Return the folder of the jars: SUPPLI_CACHE, or `.suppli/cache` of the checkout that holds `start`."""
    if configured := os.environ.get("SUPPLI_CACHE"):
        return Path(configured)
    root = next((parent for parent in (start, *start.parents) if (parent / ".git").exists()), start)
    return root / ".suppli" / "cache"


@pytest.fixture(scope="session")
def embedded_cache(pytestconfig: pytest.Config) -> Path:
    """The folder of Kafka's jars, shared by all runs of this checkout."""
    return cache_folder(pytestconfig.rootpath)


@pytest.fixture(scope="session")
def _servers(embedded_cache: Path, pytestconfig: pytest.Config) -> Iterator[ServerSource]:
    source = choose(embedded_cache)
    pytestconfig.stash[_source] = source
    yield source
    source.close()


@pytest.fixture(scope="session")
def postgres(_servers: ServerSource, pytestconfig: pytest.Config) -> PostgresServer:
    """A running PostgreSQL."""
    return _noted(pytestconfig, "postgres", _servers.postgres())


@pytest.fixture(scope="session")
def kafka(_servers: ServerSource, pytestconfig: pytest.Config) -> KafkaServer:
    """A running broker."""
    return _noted(pytestconfig, "kafka", _servers.kafka())


@pytest.fixture(scope="session")
def openbao(_servers: ServerSource, pytestconfig: pytest.Config) -> OpenBaoServer:
    """A running OpenBao with every service's policy and role."""
    return _noted(pytestconfig, "openbao", _servers.openbao())


@pytest.fixture(scope="session")
def embedded(
    _servers: ServerSource, postgres: PostgresServer, kafka: KafkaServer, openbao: OpenBaoServer
) -> Servers:
    """All three servers; stopping and killing them is for `private_embedded`."""
    return _servers.all()


@pytest.fixture
def private_embedded(embedded_cache: Path, pytestconfig: pytest.Config) -> Iterator[EmbeddedRuntime]:
    """A runtime for this test alone, not started, which it may stop, kill and break."""
    folder = temporary_folder()
    runtime = EmbeddedRuntime(folder, cache_dir=embedded_cache)
    yield runtime
    pytestconfig.stash[_versions].update({(name, _PRIVATE): text for name, text in runtime.versions.items()})
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


def _noted(config: pytest.Config, name: str, server: Server) -> Server:
    config.stash[_versions][name, config.stash[_source].name] = server.version()
    return server


def pytest_configure(config: pytest.Config) -> None:
    """Make room for what the summary reports."""
    config.stash[_versions] = {}
    config.stash[_uses] = Counter()


def pytest_runtest_call(item: pytest.Item) -> None:
    """Count the test for each server it uses."""
    fixtures = set(getattr(item, "fixturenames", ()))
    if "private_embedded" in fixtures:
        item.config.stash[_uses].update((name, _PRIVATE) for name in _TITLES)
    elif source := item.config.stash.get(_source, None):
        item.config.stash[_uses].update((name, source.name) for name in fixtures & set(_TITLES))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print which real servers the tests ran against, and every test that did not run."""
    uses, versions = config.stash[_uses], config.stash[_versions]
    if uses:
        terminalreporter.section("real servers")
        for (name, where), count in sorted(uses.items(), key=lambda use: list(_TITLES).index(use[0][0])):
            if version := versions.get((name, where)):  # a runtime of a test's own has not always all three
                terminalreporter.write_line(f"{_TITLES[name]:<14} {version:<8} {count:>5} tests  {where}")
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section(f"skipped: {len(skipped)}")
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            terminalreporter.write_line(f"{report.nodeid}: {reason}")
