"""Servers that are stopped, killed and crashed come back with everything that was promised to be kept."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import hvac
import psutil
import psycopg
import pytest
import requests
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from hvac.exceptions import VaultError
from suppli_contracts.topics import REGISTRY, registry
from suppli_embedded.errors import FolderInUseError
from suppli_embedded.kafka import KafkaServer, delete_topics
from suppli_embedded.runtime import EmbeddedRuntime
from suppli_embedded.topics import create_topics

CRASHING = """
import sys, time
from pathlib import Path
from suppli_embedded.runtime import EmbeddedRuntime
runtime = EmbeddedRuntime(Path(sys.argv[1]), cache_dir=Path(sys.argv[2]))
runtime.start()
sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
runtime.service_process("sleeper", sleeper, {}, internal_port=1).start()
print("up", flush=True)
time.sleep(600)
"""


def store(url: str, value: str) -> None:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("create table if not exists kept (value text)")
        connection.execute("insert into kept values (%s)", [value])


def stored(url: str) -> list[str]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return [row[0] for row in connection.execute("select value from kept order by value")]


def test_postgres_keeps_what_was_committed(private_embedded: EmbeddedRuntime) -> None:
    """Else a killed database would lose sales, or not start again beside its old files."""
    server = private_embedded.start_postgres()
    url = server.create_service_database("mapping").owner_url
    store(url, "before the kill")
    server.kill()
    with pytest.raises(psycopg.OperationalError):
        stored(url)
    server.start()
    store(url, "before the stop")
    server.stop()
    server.start()
    assert stored(url) == ["before the kill", "before the stop"]


def test_postgres_starts_in_a_private_folder(tmp_path: Path, embedded_cache: Path) -> None:
    """Else root could not run the demo from a home or a private temporary folder."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    runtime = EmbeddedRuntime(private / "state", cache_dir=embedded_cache)
    folder = private / "state" / "postgres"
    try:
        store(runtime.start_postgres().create_service_database("mapping").owner_url, "first")
        marker = folder / "cluster-folder"
        cluster = Path(marker.read_text()) if marker.exists() else folder / "data"
        runtime.stop()
        shutil.rmtree(private / "state")  # by hand, with the passwords of a cluster that may lie elsewhere
        url = runtime.start_postgres().create_service_database("mapping").owner_url
        store(url, "second")
        assert stored(url) == ["second"]
    finally:
        runtime.stop()
        runtime.remove()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert not cluster.exists()


async def _publish(bootstrap: str, topic: str, values: list[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def _read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        values: list[bytes] = []
        deadline = time.monotonic() + 20
        while len(values) < count and time.monotonic() < deadline:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                values += [record.value for record in records]
        return values


async def test_kafka_keeps_what_was_acknowledged(private_embedded: EmbeddedRuntime) -> None:
    """Else a killed broker would lose sales that the connector was told are safe."""
    kafka = private_embedded.start_kafka()
    kafka.ensure_topics([NewTopic("sales", 1, 1)])
    values = [str(number).encode() for number in range(50)]
    await _publish(kafka.bootstrap_servers, "sales", values)
    kafka.kill()
    assert kafka.process is not None
    assert not kafka.process.running
    kafka.start()
    assert await _read(kafka.bootstrap_servers, "sales", len(values)) == values
    await _publish(kafka.bootstrap_servers, "sales", [b"after"])
    kafka.stop()
    kafka.start()
    assert await _read(kafka.bootstrap_servers, "sales", len(values) + 1) == [*values, b"after"]


def test_openbao_keeps_its_secrets_and_unseals_itself(private_embedded: EmbeddedRuntime) -> None:
    """Else every restart would ask every shop to sign in again."""
    bao = private_embedded.start_openbao()
    token = bao.internal_token("mapping")
    bao.write_app("square", {"client_id": "kept"})
    bao.kill()
    with pytest.raises(requests.ConnectionError):
        bao.login()
    bao.start()
    assert bao.internal_token("mapping") == token
    bao.seal()
    with pytest.raises(VaultError):
        bao.login("mapping")
    bao.stop()
    bao.start()
    read = bao.login("connector-square").secrets.kv.v2.read_secret_version
    answer = read("suppli/app/square", mount_point="secret", raise_on_deleted_version=True)
    assert answer["data"]["data"] == {"client_id": "kept"}
    assert isinstance(bao.login("mapping"), hvac.Client)


def test_a_crashed_run_is_cleared_away_by_the_next(tmp_path: Path, embedded_cache: Path) -> None:
    """Else a demo that was killed would leave servers running for good and the next one would not start."""
    tmp_path.chmod(0o755)
    state = tmp_path / "state"
    command = [sys.executable, "-c", CRASHING, str(state), str(embedded_cache)]
    crashed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert crashed.stdout is not None
        assert crashed.stdout.readline() == "up\n"
        with pytest.raises(FolderInUseError, match=f"process {crashed.pid}"):
            EmbeddedRuntime(state, cache_dir=embedded_cache).start()
        left = [int(path.stem) for path in (state / "processes").glob("*.json")]
        assert len(left) == 4
    finally:
        crashed.send_signal(signal.SIGKILL)
        crashed.communicate()
    runtime = EmbeddedRuntime(state, cache_dir=embedded_cache)
    with runtime:
        assert sorted(runtime.ended_leftovers) == ["kafka", "openbao", "postgres", "sleeper"]
        assert not [pid for pid in left if psutil.pid_exists(pid)]
        assert runtime.timings.keys() == {"postgres", "openbao", "kafka", "total"}
        mine = [int(path.stem) for path in (state / "processes").glob("*.json")]
        assert len(mine) == 3
    assert not [pid for pid in mine if psutil.pid_exists(pid)]
    runtime.remove()


def test_a_failed_start_leaves_nothing_running(private_embedded: EmbeddedRuntime) -> None:
    """Else a start that failed would have to be cleaned up by hand."""
    private_embedded.open()
    private_embedded.kafka._jars = private_embedded.state_dir / "lock"  # a file where the folder should be
    with pytest.raises(OSError, match="lock"):
        private_embedded.start()
    assert not list((private_embedded.state_dir / "processes").iterdir())


async def test_the_registrys_topics_are_made_as_written(kafka: KafkaServer) -> None:
    """Else sales would be thrown away early, or a dead letter would have nowhere to go."""
    entries = {f"check-{os.getpid()}.{name}": topic for name, topic in registry(("square",)).items()}
    renamed = {name: replace(topic, name=name) for name, topic in entries.items()}
    created: list[str] = []
    try:
        created = await create_topics(kafka.bootstrap_servers, renamed)
        assert set(created) >= set(renamed)
        assert len([name for name in created if name.endswith(".dlq")]) == sum(
            len(topic.consumers) for topic in renamed.values()
        )
        assert await create_topics(kafka.bootstrap_servers, renamed) == []
        raw = next(name for name in renamed if "sales.raw" in name)
        assert await _topic_config(kafka.bootstrap_servers, raw) == {
            "cleanup.policy": "delete",
            "retention.ms": str(90 * 24 * 60 * 60 * 1000),
        }
    finally:
        await delete_topics(kafka.bootstrap_servers, created)


async def _topic_config(bootstrap: str, topic: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        wanted = ["cleanup.policy", "retention.ms"]
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs=dict.fromkeys(wanted))
        (answer,) = await admin.describe_configs([resource])
        return {entry[0]: entry[1] for entry in answer.resources[0][4]}
    finally:
        await admin.close()


def test_the_default_registry_is_what_is_installed() -> None:
    """Else the embedded broker would lack a connector's command topic."""
    assert set(REGISTRY) >= {"suppli.sales.raw.v1", "suppli.sales.products.v1"}


def test_up_status_down(tmp_path: Path, embedded_cache: Path) -> None:
    """Else a developer would have no servers to work against, or could not get rid of them."""
    tmp_path.chmod(0o755)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "suppli_embedded", *arguments, "--dir", str(tmp_path / "state")]
        environment = {**os.environ, "SUPPLI_CACHE": str(embedded_cache)}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    assert run("status").returncode == 3
    try:
        assert "PostgreSQL 18" in run("up").stdout
        assert "OpenBao" in run("up").stdout  # twice is the same as once
        values = dict(line.split("=", 1) for line in run("env", "sync-scheduler").stdout.splitlines())
        url = Path(values["SUPPLI_SYNC_SCHEDULER_MIGRATION_URL_FILE"])
        store(url.read_text(), "reached")
        assert stat.S_IMODE(url.stat().st_mode) == 0o600
        assert Path(values["SUPPLI_VAULT_ROLE_ID_FILE"]).read_text()
    finally:
        assert "in use by process" in run("clean").stdout
        assert run("down").stdout.strip() == "Stopped."
        assert run("clean").stdout.strip() == "Removed."
    assert run("status").returncode == 3


def test_the_summary_names_servers_and_skipped_tests(
    private_embedded: EmbeddedRuntime, tmp_path: Path
) -> None:
    """Else nobody would see that a green run tested nothing real."""
    private_embedded.start()
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_real(make_database): make_database('mapping')\n"
        "@pytest.mark.skip(reason='no exports here')\n"
        "def test_left_out(): ...\n"
    )
    environment = {**os.environ, "SUPPLI_EMBEDDED_DIR": str(private_embedded.state_dir)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "PostgreSQL 18.4 1 tests shared runtime" in lines
    assert any("test_it.py::test_left_out" in line and "no exports here" in line for line in lines)
