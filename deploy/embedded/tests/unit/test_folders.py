"""The state folder: one runtime at a time, secrets for this user alone, ports nobody has."""

import os
import socket
import stat
from pathlib import Path

import pytest
from suppli_contracts.topics import connector_service, installed_connectors
from suppli_embedded.errors import FolderInUseError
from suppli_embedded.files import FolderLock, free_ports, secret_in, traversable_by_others
from suppli_embedded.openbao import VaultFolder


def test_a_second_runtime_is_refused_by_name(tmp_path: Path) -> None:
    """Else two runtimes would write one cluster."""
    first = FolderLock(tmp_path)
    first.acquire()
    with pytest.raises(FolderInUseError, match=f"in use by process {os.getpid()}.*down --dir"):
        FolderLock(tmp_path).acquire()
    first.release()
    FolderLock(tmp_path).acquire()


def test_a_secret_is_made_once_and_only_this_user_reads_it(tmp_path: Path) -> None:
    """Else a restart would lock itself out, or another user of the machine would get in."""
    secret = secret_in(tmp_path / "deep" / "secret")
    assert secret_in(tmp_path / "deep" / "secret") == secret
    assert len(secret) >= 32
    assert stat.S_IMODE((tmp_path / "deep" / "secret").stat().st_mode) == 0o600


def test_ports_differ_and_skip_those_in_use() -> None:
    """Else two servers would want one port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ports = free_ports(50)
        assert len(set(ports)) == 50
        assert taken.getsockname()[1] not in ports


def test_a_private_parent_is_noticed(tmp_path: Path) -> None:
    """Else PostgreSQL could not reach its data when root starts it in a private folder."""
    (tmp_path / "private" / "inside").mkdir(parents=True)
    (tmp_path / "private").chmod(0o700)
    assert not traversable_by_others(tmp_path / "private" / "inside")
    assert traversable_by_others(Path("/"))


def test_policy_files_are_the_list_of_services_and_providers() -> None:
    """Else a new connector would start with no way into Vault."""
    folder = VaultFolder()
    connectors = [connector_service(provider) for provider in installed_connectors()]
    assert {"connector-clover", "connector-square"} <= set(connectors)
    assert folder.services() == [*connectors, "gateway", "mapping", "sync-scheduler"]
    assert folder.providers() == list(installed_connectors())
    with_tokens = [name for name in folder.services() if folder.has_internal_api(name)]
    assert with_tokens == [*connectors, "mapping", "sync-scheduler"]


def test_a_port_is_handed_out_once_even_before_it_is_bound() -> None:
    ports = [port for _ in range(30) for port in free_ports(20)]

    assert len(set(ports)) == len(ports)
