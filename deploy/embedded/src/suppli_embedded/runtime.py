"""All servers together: one state folder, one lock, one record of what runs, one way to stop it."""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from suppli_embedded.environment import SharedAddresses, service_environment
from suppli_embedded.errors import EmbeddedError
from suppli_embedded.files import FolderLock, free_ports, read_json, write_private
from suppli_embedded.kafka import EmbeddedKafka, KafkaServer
from suppli_embedded.openbao import EmbeddedOpenBao, OpenBaoServer, VaultFolder
from suppli_embedded.postgres import EmbeddedPostgres, PostgresServer, ServiceDatabase, remove_cluster
from suppli_embedded.processes import ProcessRecords, ServiceProcess

DEFAULT_STATE = Path(".suppli")
_STATE_FILE = "runtime.json"


class Servers:
    """Three running servers and what a service needs to use them, whoever started them."""

    def __init__(
        self, state_dir: Path, postgres: PostgresServer, kafka: KafkaServer, openbao: OpenBaoServer
    ) -> None:
        self.state_dir, self.postgres, self.kafka, self.openbao = state_dir, postgres, kafka, openbao

    def service_environment(
        self,
        service: str,
        *,
        public_port: int,
        internal_port: int,
        instance_id: str | None = None,
        database: ServiceDatabase | None = None,
    ) -> dict[str, str]:
        """Return the environment variables of a process of `service` (see `environment.service_environment`).

        The service's database is made if it is not there and `database` does not name another.
        """
        return service_environment(
            service,
            addresses=SharedAddresses(self.kafka.bootstrap_servers, self.openbao),
            database=database or self.postgres.create_service_database(service.replace("-", "_")),
            secrets_folder=self.state_dir / "secrets",
            ports=(public_port, internal_port),
            instance_id=instance_id,
        )


class EmbeddedRuntime(Servers, AbstractContextManager["EmbeddedRuntime"]):
    """Starts and stops the servers of one state folder.

    Each server may be started alone (`start_postgres` and so on, idempotent); `start` starts all at once.
    """

    postgres: EmbeddedPostgres
    kafka: EmbeddedKafka
    openbao: EmbeddedOpenBao

    def __init__(
        self,
        state_dir: Path = DEFAULT_STATE,
        *,
        cache_dir: Path | None = None,
        durable: bool = False,
        vault_folder: VaultFolder | None = None,
    ) -> None:
        """`cache_dir` holds the jars (default: SUPPLI_CACHE, or `cache` in the state folder).

        `durable` makes PostgreSQL flush to disk, for whoever means to keep the data over a power cut.
        """
        self.state_dir = state_dir.absolute()
        cache = cache_dir or Path(os.environ.get("SUPPLI_CACHE") or self.state_dir / "cache")
        self._cache = cache.absolute()
        self._durable, self._vault_folder = durable, vault_folder
        self._lock = FolderLock(self.state_dir)
        self._records = ProcessRecords(self.state_dir / "processes")
        self._starting = {name: threading.Lock() for name in ("postgres", "kafka", "openbao")}
        self._started: set[str] = set()
        self._attempted: set[str] = set()
        self._services: list[ServiceProcess] = []
        self._opened = False
        self.timings: dict[str, float] = {}
        self.versions: dict[str, str] = {}
        self.ended_leftovers: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def open(self) -> None:
        """Take the folder, end what an earlier run left behind and choose the ports. Starts nothing."""
        if self._opened:
            return
        self._lock.acquire()
        self._opened = True
        self.ended_leftovers = self._records.end_leftovers()
        self._remove_state_file()
        postgres, openbao, clients, controller = free_ports(4)
        self._openbao_port = openbao
        self.postgres = EmbeddedPostgres(
            self.state_dir / "postgres", postgres, durable=self._durable, records=self._records
        )
        self.kafka = EmbeddedKafka(
            self.state_dir / "kafka", self._cache, (clients, controller), records=self._records
        )

    def start(self) -> None:
        """Start all three servers; on failure none is left running."""
        self.open()
        began = time.monotonic()
        try:
            with ThreadPoolExecutor(2) as pool:
                servers = pool.submit(self.start_openbao), pool.submit(self.start_kafka)
            for server in servers:
                server.result()
        except BaseException:
            self.stop()
            raise
        self.timings["total"] = time.monotonic() - began
        self._write_state_file()

    def start_postgres(self) -> EmbeddedPostgres:
        """Start PostgreSQL unless this runtime has done so."""
        self.open()
        self._once("postgres", self.postgres.start)
        return self.postgres

    def start_kafka(self) -> EmbeddedKafka:
        """Start Kafka unless this runtime has done so, with its download if its jars are missing."""
        self.open()
        self._once("kafka", self.kafka.start)
        if self.kafka.download_seconds and "download" not in self.timings:
            self.timings["download"] = self.kafka.download_seconds
            self.timings["kafka"] -= self.kafka.download_seconds
        return self.kafka

    def start_openbao(self) -> EmbeddedOpenBao:
        """Start OpenBao, and PostgreSQL under it, unless this runtime has done so."""
        self.start_postgres()
        self._once("openbao", self._start_openbao)
        return self.openbao

    def service_process(
        self, name: str, argv: Sequence[str | Path], env: Mapping[str, str], *, internal_port: int
    ) -> ServiceProcess:
        """Return a process of ours that ends with this runtime at the latest; the caller starts it."""
        log_path = self.state_dir / "logs" / f"{name}.log"
        process = ServiceProcess(
            name, argv, env, log_path, internal_port=internal_port, records=self._records
        )
        self._services.append(process)
        return process

    def stop(self) -> None:
        """Stop services first, then the servers; the data stays."""
        if not self._opened:
            return
        self._remove_state_file()
        with ExitStack() as stack:  # in reverse: whatever fails, the rest is stopped and the folder let go
            stack.callback(self._close)
            stack.callback(self.postgres.stop)
            stack.callback(self.kafka.stop)
            if "openbao" in self._attempted:
                stack.callback(self.openbao.stop)
            stack.callback(self._stop_services)

    def _stop_services(self) -> None:
        with ThreadPoolExecutor(max(1, len(self._services))) as pool:
            ends = [pool.submit(process.stop) for process in self._services]
        for end in ends:
            end.result()

    def _close(self) -> None:
        self._started.clear()
        self._attempted.clear()
        self._services.clear()
        self._opened = False
        self._lock.release()

    def remove(self) -> None:
        """Delete a stopped runtime's data; a cache of jars inside the folder stays."""
        self._lock.acquire()
        try:
            self._records.end_leftovers()
            remove_cluster(self.state_dir / "postgres")
            for part in self.state_dir.iterdir():
                if part.is_dir() and part != self._cache:
                    shutil.rmtree(part, ignore_errors=True)
        finally:
            self._lock.release()

    def _start_openbao(self) -> None:
        database = self.postgres.create_service_database("openbao")
        self.openbao = EmbeddedOpenBao(
            self.state_dir / "openbao",
            self._openbao_port,
            database.owner_url,
            vault_folder=self._vault_folder,
            records=self._records,
        )
        self._attempted.add("openbao")
        self.openbao.start()

    def _once(self, name: str, start: Callable[[], None]) -> None:
        with self._starting[name]:
            if name not in self._started:
                began = time.monotonic()
                start()
                self.timings[name] = time.monotonic() - began
                self.versions[name] = getattr(self, name).version()
                self._started.add(name)

    def _write_state_file(self) -> None:
        state = {
            "pid": os.getpid(),
            "created": psutil.Process().create_time(),
            "postgres_port": self.postgres.port,
            "kafka": self.kafka.bootstrap_servers,
            "openbao": self.openbao.url,
            "timings": self.timings,
        }
        write_private(self.state_dir / _STATE_FILE, json.dumps(state, indent=2))

    def _remove_state_file(self) -> None:
        (self.state_dir / _STATE_FILE).unlink(missing_ok=True)


def running_state(state_dir: Path) -> dict[str, Any] | None:
    """Return what a runtime that is up in `state_dir` wrote about itself, None if none is up."""
    state = read_json(state_dir / _STATE_FILE)
    if not state:
        return None
    try:
        alive = abs(psutil.Process(state["pid"]).create_time() - state["created"]) < 1
    except psutil.NoSuchProcess:
        return None
    return state if alive else None


def attach(state_dir: Path) -> Servers:
    """Return the servers of the runtime that is up in `state_dir`, started by another process."""
    folder = state_dir.absolute()
    state = running_state(folder)
    if state is None:
        raise EmbeddedError(
            f"no runtime is up in {folder}; start one: python -m suppli_embedded up --dir {folder}"
        )
    postgres = folder / "postgres"
    password = (postgres / "superuser-password").read_text()
    return Servers(
        folder,
        PostgresServer("127.0.0.1", state["postgres_port"], password, postgres / "passwords"),
        KafkaServer(state["kafka"]),
        OpenBaoServer(state["openbao"], folder / "openbao" / "credentials"),
    )
