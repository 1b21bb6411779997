"""The three servers in containers, by testcontainers: the images that docker-compose.yml names.

Needs the development dependency `testcontainers` and an engine on this machine: ports are published on
loopback. Each container and network says whose it is, so that the next session ends what a killed one left.
"""

import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import docker
import psutil
import requests
from docker.errors import DockerException, ImageNotFound, NotFound
from hvac.exceptions import VaultError
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from suppli_embedded.errors import StartError
from suppli_embedded.files import free_ports
from suppli_embedded.kafka import KafkaServer, broker_properties, cluster_id
from suppli_embedded.openbao import OpenBaoServer, unseal_key
from suppli_embedded.postgres import SETTINGS, UNSAFE_SETTINGS, PostgresServer, options
from suppli_embedded.runtime import Servers
from suppli_embedded.sources import temporary_folder

POSTGRES = "postgres:18"
OPENBAO = "openbao/openbao:2.7.2"
KAFKA = "apache/kafka:4.3.1"
IMAGES = (POSTGRES, OPENBAO, KAFKA)
OWNER_LABEL = "dev.suppli.tests-of"
_START_SECONDS = 120.0
_CONTROLLER_PORT = 9093
_VAULT_PORT = 8200


def problem() -> str | None:
    """Say why containers cannot be used here; None if they can."""
    try:
        client = docker.from_env(timeout=10)
        try:
            client.ping()
            if not client.api.base_url.startswith(
                "http+docker:"
            ):  # which stands for a socket of this machine
                return f"the Docker engine at {client.api.base_url} is another machine's"
            missing = [image for image in IMAGES if not _has(client, image)]
        finally:
            client.close()
    except (DockerException, requests.RequestException):
        return "no Docker engine answers"
    return f"Docker lacks {', '.join(missing)}" if missing else None


def _has(client: docker.DockerClient, image: str) -> bool:
    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


class ContainerKafka(KafkaServer):
    """A broker in a container."""

    def version(self) -> str:
        """Return the version that the image's tag names."""
        return KAFKA.rpartition(":")[2]


class ContainerSource:
    """Containers of this test run's own, in a network of their own."""

    name = "containers"

    def __init__(self) -> None:
        testcontainers_config.ryuk_disabled = (
            True  # it would be one more image; `end_leftovers` does its work
        )
        end_leftovers()
        self._stack = ExitStack()
        self._folder = temporary_folder()
        self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)

    def postgres(self) -> PostgresServer:
        """Start PostgreSQL unless it runs."""
        return self._postgres

    def kafka(self) -> KafkaServer:
        """Start Kafka unless it runs."""
        return self._kafka

    def openbao(self) -> OpenBaoServer:
        """Start OpenBao unless it runs."""
        return self._openbao

    def all(self) -> Servers:
        """Start what does not run yet."""
        return Servers(self._folder, self._postgres, self._kafka, self._openbao)

    def close(self) -> None:
        """Remove containers, their data and the network."""
        self._stack.close()

    @cached_property
    def _network(self) -> Network:
        return self._stack.enter_context(Network(docker_network_kw={"labels": _labels()}))

    @cached_property
    def _postgres(self) -> PostgresServer:
        (port,) = free_ports(1)
        password = secrets.token_urlsafe(24)
        server = PostgresServer("127.0.0.1", port, password, self._folder / "postgres")
        container = self._container(POSTGRES, "postgres", {5432: port})
        container.with_env("POSTGRES_PASSWORD", password)
        container.with_command(["postgres", *options({**SETTINGS, **UNSAFE_SETTINGS})])
        self._start(container, server.accepts_connections)
        server.close_shared_databases()
        return server

    @cached_property
    def _kafka(self) -> KafkaServer:
        (port,) = free_ports(1)  # the same inside, because the broker calls itself by the clients' address
        server = ContainerKafka(f"127.0.0.1:{port}")
        properties = broker_properties((port, _CONTROLLER_PORT), Path("/var/lib/kafka/data"))
        settings = dict(
            line.split("=", 1) for line in properties.splitlines() if line and not line.startswith("#")
        )
        settings["listeners"] = f"PLAINTEXT://:{port},CONTROLLER://:{_CONTROLLER_PORT}"
        container = self._container(KAFKA, "kafka", {port: port}).with_env("CLUSTER_ID", cluster_id())
        for name, value in settings.items():
            container.with_env(f"KAFKA_{name.upper().replace('.', '_')}", value)
        self._start(container, server.answers)
        return server

    @cached_property
    def _openbao(self) -> OpenBaoServer:
        postgres = self._postgres
        database = postgres.create_service_database("openbao")
        inside = database.owner_url.replace(f"@127.0.0.1:{postgres.port}/", "@postgres:5432/")
        (port,) = free_ports(1)
        server = OpenBaoServer(f"http://127.0.0.1:{port}", self._folder / "openbao")
        folder = Path("/tmp")  # noqa: S108 - the container's own
        configuration = server.configuration(
            address=f"openbao:{_VAULT_PORT}", key_file=folder / "unseal.key", audit_file="stdout"
        )
        container = self._container(OPENBAO, "openbao", {_VAULT_PORT: port}, entrypoint=["bao"])
        container.with_command(["server", f"-config={folder / 'server.hcl'}"])
        container.with_copy_into_container(configuration.encode(), f"{folder}/server.hcl")
        container.with_copy_into_container(unseal_key().encode(), f"{folder}/unseal.key")
        container.with_envs(HOME=str(folder), **server.start_environment(inside))
        self._start(container, lambda: _admits(server))
        server.apply_folder()
        return server

    def _container(
        self, image: str, alias: str, ports: dict[int, int], entrypoint: list[str] | None = None
    ) -> DockerContainer:
        container = DockerContainer(image, labels=_labels(), entrypoint=entrypoint)
        container.with_network(self._network).with_network_aliases(alias)
        addresses: dict[str, Any] = {str(inside): ("127.0.0.1", port) for inside, port in ports.items()}
        container.ports = addresses  # Docker takes an interface as well, which the annotation does not know
        return container

    def _start(self, container: DockerContainer, ready: Callable[[], bool]) -> None:
        self._stack.callback(container.stop)
        container.start()
        running, deadline = container.get_wrapped_container(), time.monotonic() + _START_SECONDS
        while not ready():
            running.reload()
            if running.status != "running" or time.monotonic() > deadline:
                log = running.logs(tail=15).decode(errors="replace")
                raise StartError(f"{container.image} is {running.status} and not ready; its log ends:\n{log}")
            time.sleep(0.05)


def _admits(server: OpenBaoServer) -> bool:
    try:
        server.admits_operator()
    except (VaultError, requests.RequestException):
        return False
    return True


def _labels() -> dict[str, str]:
    return {OWNER_LABEL: f"{socket.gethostname()} {os.getpid()} {psutil.Process().create_time()}"}


def end_leftovers() -> None:
    """Remove containers and networks of sessions on this machine whose process is gone."""
    client = docker.from_env()
    try:
        for container in client.containers.list(
            all=True, filters={"label": OWNER_LABEL}, ignore_removed=True
        ):
            if _abandoned(container.labels[OWNER_LABEL]):
                _gone(lambda: container.remove(force=True, v=True))  # noqa: B023 - called at once
        for network in client.networks.list(filters={"label": OWNER_LABEL}):
            if _abandoned(network.attrs["Labels"][OWNER_LABEL]):
                _gone(network.remove)
    finally:
        client.close()


def _abandoned(owner: str) -> bool:
    host, pid, created = owner.split()
    if host != socket.gethostname():
        return False
    try:
        return abs(psutil.Process(int(pid)).create_time() - float(created)) > 1
    except psutil.NoSuchProcess:
        return True


def _gone(remove: Callable[[], None]) -> None:
    try:
        remove()
    except NotFound:
        return  # another session was quicker
