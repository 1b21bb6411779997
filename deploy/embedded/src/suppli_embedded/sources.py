"""Where a test session's servers come from: the embedded runtime, one that is up already, or containers."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from suppli_embedded.errors import EmbeddedError
from suppli_embedded.kafka import KafkaServer
from suppli_embedded.openbao import OpenBaoServer
from suppli_embedded.postgres import PostgresServer
from suppli_embedded.runtime import EmbeddedRuntime, Servers, attach

SHARED_VARIABLE = "SUPPLI_EMBEDDED_DIR"
CHOICE_VARIABLE = "SUPPLI_TEST_SERVERS"
_CHOICES = ("auto", "embedded", "containers")


class ServerSource(Protocol):
    """Gives each server when it is first asked for, and ends what it started."""

    @property
    def name(self) -> str:
        """What the test summary calls it, and why it was chosen."""

    def postgres(self) -> PostgresServer:
        """A running PostgreSQL."""

    def kafka(self) -> KafkaServer:
        """A running broker."""

    def openbao(self) -> OpenBaoServer:
        """A running OpenBao with every service's policy and role."""

    def all(self) -> Servers:
        """All three, running."""

    def close(self) -> None:
        """End what was started, and leave nothing behind."""


class EmbeddedSource:
    """A runtime of this test run's own."""

    def __init__(self, cache: Path, reason: str = "") -> None:
        self.name = f"embedded{reason and f' ({reason})'}"
        self._cache = cache
        self._folder: Path | None = None
        self._runtime: EmbeddedRuntime | None = None

    @property
    def _own(self) -> EmbeddedRuntime:
        if self._runtime is None:
            self._folder = temporary_folder()
            self._runtime = EmbeddedRuntime(self._folder, cache_dir=self._cache)
        return self._runtime

    def postgres(self) -> PostgresServer:
        """Start PostgreSQL unless it runs."""
        return self._own.start_postgres()

    def kafka(self) -> KafkaServer:
        """Start Kafka unless it runs."""
        return self._own.start_kafka()

    def openbao(self) -> OpenBaoServer:
        """Start OpenBao unless it runs."""
        return self._own.start_openbao()

    def all(self) -> Servers:
        """Start what does not run yet."""
        self._own.start()
        return self._own

    def close(self) -> None:
        """Stop the servers and delete their data."""
        if self._runtime is not None and self._folder is not None:
            self._runtime.stop()
            self._runtime.remove()
            shutil.rmtree(self._folder, ignore_errors=True)


class SharedSource:
    """The runtime that another process has started (`python -m suppli_embedded up --dir ...`)."""

    name = "shared runtime"

    def __init__(self, folder: Path) -> None:
        self._servers = attach(folder)

    def postgres(self) -> PostgresServer:
        """Return its PostgreSQL."""
        return self._servers.postgres

    def kafka(self) -> KafkaServer:
        """Return its broker."""
        return self._servers.kafka

    def openbao(self) -> OpenBaoServer:
        """Return its OpenBao."""
        return self._servers.openbao

    def all(self) -> Servers:
        """Return all three."""
        return self._servers

    def close(self) -> None:
        """Leave everything to whoever started it."""


def temporary_folder() -> Path:
    """Make a folder for a runtime that lasts as long as a test or a session."""
    folder = Path(tempfile.mkdtemp(prefix="suppli-test-"))
    folder.chmod(0o755)  # PostgreSQL must get there as another user when tests run as root; secrets are 0600
    return folder


def choose(cache: Path) -> ServerSource:
    """Return the source that the environment names.

    `auto`, the default, takes containers where an engine on this machine has the images, else the embedded
    runtime: the versions are the same. Nothing is pulled, so a run depends on no registry.

    Raises:
        EmbeddedError: the choice is none of ours, contradicts itself or cannot be had.
    """
    wanted, shared = os.environ.get(CHOICE_VARIABLE) or "auto", os.environ.get(SHARED_VARIABLE)
    if wanted not in _CHOICES:
        raise EmbeddedError(f"{CHOICE_VARIABLE} is {wanted!r}; it may be {', '.join(_CHOICES)}")
    if shared:
        if wanted == "containers":
            raise EmbeddedError(f"{CHOICE_VARIABLE} says containers, {SHARED_VARIABLE} a runtime: unset one")
        return SharedSource(Path(shared))
    return _own_source(wanted, cache, _containers_problem)


def _own_source(wanted: str, cache: Path, containers_problem: Callable[[], str | None]) -> ServerSource:
    if wanted == "embedded":
        return EmbeddedSource(cache)
    problem = containers_problem()
    if problem is None:
        from suppli_embedded.containers import ContainerSource

        return ContainerSource()
    if wanted == "containers":
        raise EmbeddedError(f"{CHOICE_VARIABLE} says containers, but {problem}")
    return EmbeddedSource(cache, problem)


def _containers_problem() -> str | None:
    try:
        from suppli_embedded.containers import problem
    except ImportError:
        return "testcontainers is not installed"
    return problem()
