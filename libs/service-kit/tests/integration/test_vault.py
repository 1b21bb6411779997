"""What access to secrets promises, on a real OpenBao."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import hvac.exceptions
import pytest
from suppli_service_kit.settings import MissingSetting, VaultSettings
from suppli_service_kit.vault import Vault, VaultConflict, VaultForbidden, VaultUnavailable

NAME = f"kit-{uuid.uuid4().hex[:8]}"
POLICY = f"""
path "secret/data/{NAME}/*" {{ capabilities = ["create", "read", "update", "delete"] }}
path "secret/metadata/{NAME}/*" {{ capabilities = ["read"] }}
path "secret/destroy/{NAME}/*" {{ capabilities = ["update"] }}
"""


@pytest.fixture(scope="session")
def admitted(openbao: Any) -> VaultSettings:
    openbao.admit(NAME, POLICY)
    return VaultSettings(
        url=openbao.url, role_id_file=openbao.role_id_file(NAME), secret_id_file=openbao.secret_id_file(NAME)
    )


@pytest.fixture
async def vault(admitted: VaultSettings) -> AsyncIterator[Vault]:
    vault = Vault(admitted)
    await vault.start()
    yield vault
    await vault.stop()


def path() -> str:
    return f"{NAME}/{uuid.uuid4().hex}"


async def test_secrets_are_kept_by_version(vault: Vault) -> None:
    """Two replicas that refresh a token must not overwrite each other's: only one write per version wins."""
    where = path()
    assert await vault.read(where) is None
    assert await vault.write(where, {"token": "one"}, cas=0) == 1
    with pytest.raises(VaultConflict):
        await vault.write(where, {"token": "two"}, cas=0)
    secret = await vault.read(where)
    assert (secret.data, secret.version) == ({"token": "one"}, 1)
    won = await asyncio.gather(
        *(vault.write(where, {"token": str(n)}, cas=1) for n in range(5)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in won) == ["VaultConflict"] * 4 + ["int"]


async def test_destroyed_secrets_are_gone(vault: Vault) -> None:
    """After a disconnect no version of a token may be left."""
    where = path()
    assert await vault.version(where) == 0
    await vault.destroy(where)  # nothing there: nothing to do
    for number in range(3):
        await vault.write(where, {"token": f"x{number}"}, cas=number)
    await vault.destroy(where)
    assert await vault.read(where) is None
    assert readable(vault, where) == []
    newest = await vault.version(where)
    await vault.destroy(where)
    assert await vault.version(where) == newest, "done is done"


async def test_a_destroyed_secrets_versions_go_on(vault: Vault) -> None:
    """A replica that slept through a disconnect and a new authorization would write its old token over the
    new one.
    """
    where = path()
    known = await vault.write(where, {"token": "old"}, cas=0)
    await vault.destroy(where)
    for slept in (0, known):
        with pytest.raises(VaultConflict):
            await vault.write(where, {"token": "old, again"}, cas=slept)
    new = await vault.write(where, {"token": "new"}, cas=await vault.version(where))
    assert new > known
    with pytest.raises(VaultConflict):
        await vault.write(where, {"token": "old, again"}, cas=known)
    assert readable(vault, where) == [{"token": "new"}]


async def test_only_the_version_that_was_looked_at_is_destroyed(vault: Vault) -> None:
    """Cleaning up after a disconnect would destroy the tokens of an authorization that came in between."""
    where = path()
    seen = await vault.write(where, {"token": "old"}, cas=0)
    await vault.write(where, {"token": "new"}, cas=seen)
    with pytest.raises(VaultConflict):
        await vault.destroy(where, cas=seen)
    assert (await vault.read(where)).data == {"token": "new"}


async def test_a_destruction_that_broke_off_is_ended_by_the_next(vault: Vault) -> None:
    """Killed between the mark and the rest, old tokens would stay readable for good."""
    where = path()
    await vault.write(where, {"token": "x"}, cas=0)
    await vault.write(where, {}, cas=1)  # the mark
    assert await vault.read(where) is None
    assert readable(vault, where) == [{"token": "x"}]
    await vault.destroy(where)
    assert readable(vault, where) == []


def readable(vault: Vault, where: str) -> list[dict[str, Any]]:
    """Return the content of every version that can still be read and has any."""
    kv = vault._client.secrets.kv.v2
    found = []
    for number in kv.read_secret_metadata(where, mount_point="secret")["data"]["versions"]:
        with contextlib.suppress(hvac.exceptions.InvalidPath):
            answer = kv.read_secret_version(
                where, version=int(number), mount_point="secret", raise_on_deleted_version=True
            )
            found.append(answer["data"]["data"])
    return [each for each in found if each]


async def test_other_services_secrets_are_forbidden(vault: Vault) -> None:
    """A connector must not read another provider's tokens."""
    with pytest.raises(VaultForbidden):
        await vault.read("suppli/app/other")


async def test_a_revoked_token_is_replaced(vault: Vault) -> None:
    """When a token ends early (restart, revocation) the service signs in again by itself."""
    where = path()
    await vault.write(where, {"a": "b"}, cas=0)
    await asyncio.to_thread(vault._client.auth.token.revoke_self)
    assert (await vault.read(where)).data == {"a": "b"}


async def test_a_token_is_renewed_before_it_ends(admitted: VaultSettings) -> None:
    """A service that runs for weeks must never find its token expired."""
    vault = Vault(admitted)
    await vault.start()
    before = vault._client
    try:
        vault._renewing.cancel()
        vault._ttl = 0.4
        vault._renewing = asyncio.create_task(vault._keep_alive())
        async with asyncio.timeout(10):
            while vault._ttl == 0.4:  # noqa: ASYNC110 - a look at a condition, with a deadline
                await asyncio.sleep(0.02)
        assert vault._client is before, "renewed, not signed in again"
    finally:
        await vault.stop()


async def test_no_secret_in_errors(
    admitted: VaultSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A secret in an exception ends in logs and tickets."""
    wrong = tmp_path / "secret-id"
    wrong.write_text("very-secret-value")
    vault = Vault(admitted.model_copy(update={"secret_id_file": wrong}))
    await vault.start()
    with pytest.raises(VaultForbidden) as refused:
        await vault.read(path())
    await vault.stop()
    assert "very-secret-value" not in "".join(traceback.format_exception(refused.value))
    assert refused.value.__cause__ is None
    assert "very-secret-value" not in capsys.readouterr().out


async def test_away_is_said_and_does_not_stop_the_start(admitted: VaultSettings) -> None:
    """A service must start, and say what is wrong, while Vault is down."""
    from suppli_embedded.files import free_ports

    [port] = free_ports(1)
    vault = Vault(admitted.model_copy(update={"url": f"http://127.0.0.1:{port}", "timeout_seconds": 1.0}))
    await vault.start()
    with pytest.raises(VaultUnavailable):
        await vault.read(path())
    await vault.stop()


async def test_missing_credentials_are_named(admitted: VaultSettings) -> None:
    """A wrong deployment must say which setting is missing."""
    vault = Vault(admitted.model_copy(update={"role_id_file": None}))
    with pytest.raises(MissingSetting, match="SUPPLI_VAULT_ROLE_ID_FILE"):
        await vault.start()
