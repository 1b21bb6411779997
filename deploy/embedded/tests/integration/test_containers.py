"""What only containers can get wrong; that they serve as the embedded runtime does, other tests show."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from suppli_embedded.sources import CHOICE_VARIABLE

pytestmark = pytest.mark.docker

containers = pytest.importorskip("suppli_embedded.containers")
docker = pytest.importorskip("docker")

LEAVER = """
import os
from suppli_embedded.containers import ContainerSource
ContainerSource().postgres()
print("up", flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def engine() -> Iterator[object]:
    if (problem := containers.problem()) or os.environ.get(CHOICE_VARIABLE) == "embedded":
        pytest.skip(problem or "the embedded runtime was asked for")
    client = docker.from_env()
    yield client
    client.close()


def test_what_a_killed_session_left_is_ended_by_the_next(engine: docker.DockerClient) -> None:
    """Else every interrupted run would leave a database behind, until the machine is full."""
    killed = subprocess.Popen([sys.executable, "-c", LEAVER], stdout=subprocess.PIPE, text=True)
    said, _ = killed.communicate(timeout=120)
    assert said == "up\n"
    assert (left := owned_by(engine, killed.pid))
    assert "127.0.0.1" in str(left[0].ports)
    containers.end_leftovers()
    assert not owned_by(engine, killed.pid)
    assert not engine.networks.list(filters={"label": containers.OWNER_LABEL, "name": networks(left)})


def test_a_running_sessions_containers_are_left_alone(engine: docker.DockerClient) -> None:
    """Else two test runs on one machine would end each other's servers."""
    source = containers.ContainerSource()
    try:
        server = source.postgres()
        containers.end_leftovers()
        assert server.accepts_connections()
        assert owned_by(engine, os.getpid())
    finally:
        source.close()
    assert not source._folder.exists()


def owned_by(engine: docker.DockerClient, pid: int) -> list[docker.models.containers.Container]:
    found = engine.containers.list(all=True, filters={"label": containers.OWNER_LABEL})
    return [one for one in found if one.labels[containers.OWNER_LABEL].startswith(whose(pid))]


def networks(left: list[docker.models.containers.Container]) -> list[str]:
    return [name for one in left for name in one.attrs["NetworkSettings"]["Networks"]]


def whose(pid: int) -> str:
    return f"{socket.gethostname()} {pid} "
