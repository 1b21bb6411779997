"""Authorizing an account, renewing its tokens and letting go of them: killed at Vault, provider, database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import sqlalchemy as sa
from suppli_connector_kit.adapters.connections import ConnectionBook
from suppli_connector_kit.adapters.exchanges import ExchangeBook
from suppli_connector_kit.adapters.token_times import TokenTimes
from suppli_connector_kit.connecting import Connecting
from suppli_connector_kit.errors import AuthError, CodeRefused
from suppli_connector_kit.testing import MemoryProvider
from suppli_connector_kit.testing.provider import PROVIDER
from suppli_connector_kit.tokens.keeper import AccountKey, KeeperTimes, TokenKeeper
from suppli_connector_kit.tokens.secret import StoredTokens, from_secret, to_secret
from suppli_connector_kit.upkeep import Upkeep
from suppli_contracts.codec import decode
from suppli_contracts.events.sync import ReauthRequired
from suppli_contracts.internal import AdoptRequest, ExchangeRequest
from suppli_contracts.topics import SYNC_EVENTS
from suppli_service_kit.clock import FixedClock
from suppli_service_kit.settings import VaultSettings
from suppli_service_kit.testing.kill_points import Process, die_everywhere
from suppli_service_kit.testing.topics import Tail
from suppli_service_kit.vault import Vault

World = Any  # the fixture of conftest.py
# Long before every other test's tokens, as the due list is that of all tenants.
START = datetime(2020, 5, 1, 12, tzinfo=UTC)
TIMES = KeeperTimes(call=2, write=2)


class Parts:
    """What a connector's process has for its tokens."""

    def __init__(self, process: Process, case: Case) -> None:
        urls, clock = case.world.urls, case.clock
        database, queue = process.database(urls.app_url), process.database(urls.relay_url, pool=1)
        provider = process.seam(case.provider, "provider")
        times = TokenTimes(database, queue, provider=PROVIDER, clock=clock)
        vault = process.seam(case.vault, "vault")
        self.keeper = TokenKeeper(provider, vault, times, clock=clock, times=TIMES)
        self.upkeep = Upkeep(provider, self.keeper, times, clock=clock)
        book = ConnectionBook(database, provider=PROVIDER, clock=clock)
        self.connecting = Connecting(
            provider,
            self.keeper,
            times,
            ExchangeBook(database),
            book,
            clock=clock,
            wake=self.upkeep.wake,
        )


class Case:
    """An account with tokens, and what outlives a process."""

    single_use = False

    def __init__(self, world: World, vault: Vault, tail: Tail) -> None:
        self.world, self.vault, self._tail = world, vault, tail
        self.clock = FixedClock(START)
        self.provider = MemoryProvider(self.clock, single_use=self.single_use)
        self.key = AccountKey(uuid4(), uuid4())
        self.path = f"suppli/tokens/{PROVIDER}/{self.key.tenant_id}/{self.key.connection_id}"

    async def made(self) -> Case:
        """Authorize the account; half of its token's life is over."""
        issued = StoredTokens(self.provider.issue(), self.clock.now())
        await self.vault.write(self.path, to_secret(issued), cas=0)
        await self.sql(
            "insert into connection_times (connection_id, tenant_id, token_expires_at, refresh_at)"
            " values (:connection, :tenant, :ends, :due)",
            ends=issued.tokens.expires_at,
            due=issued.refresh_at(),
        )
        self.clock.advance(timedelta(minutes=31))
        return self

    async def live(self, process: Process) -> None:
        raise NotImplementedError

    async def check(self) -> None:
        raise NotImplementedError

    async def time_passes(self) -> None:
        """Let the deadline of an intent pass, and end the holds that are timed by the database's clock."""
        self.clock.advance(timedelta(seconds=TIMES.call + TIMES.write + 1))
        await self.sql("update connection_times set held_until = now() where connection_id = :connection")
        await self.sql("update exchanges set claimed_until = now() where connection_id = :connection")

    async def stored(self) -> StoredTokens | None:
        """Return what Vault has."""
        secret = await self.vault.read(self.path)
        return None if secret is None else from_secret(secret.data)

    async def noted(self) -> Any:
        """Return the connection's row of the due list."""
        [row] = await self.sql(
            "select refresh_at, revoke_at, token_expires_at from connection_times"
            " where connection_id = :connection"
        )
        return row

    async def reauths(self) -> dict[str, ReauthRequired]:
        """Return the requests to authorize again that were heard since the last time, by event id."""

        async def relayed() -> bool:
            async with self.world.queue_database.transaction() as connection:
                return not (await connection.execute(sa.text("select 1 from outbox limit 1"))).all()

        await self.world.until(relayed)
        found = {}
        for record in await self._tail.read_on():
            envelope, event = decode({key: value.decode() for key, value in record.headers}, record.value)
            if isinstance(event, ReauthRequired) and event.connection_id == self.key.connection_id:
                found[envelope.id] = event
        return found

    async def sql(self, statement: str, **values: Any) -> list[Any]:
        """Run a statement as the tenant."""
        ids = {"connection": self.key.connection_id, "tenant": self.key.tenant_id}
        async with self.world.database.transaction([self.key.tenant_id]) as connection:
            result = await connection.execute(sa.text(statement), ids | values)
            return list(result.all()) if result.returns_rows else []


class Refreshing(Case):
    """The upkeep renews a token whose half-life is over; then a run asks for it."""

    async def live(self, process: Process) -> None:
        parts = Parts(process, self)
        await parts.upkeep.refresh_due()
        await parts.keeper.current(self.key)

    async def check(self) -> None:
        stored, reauths = await self.stored(), await self.reauths()
        assert stored is not None
        tokens, row = stored.tokens, await self.noted()
        assert tokens.access_token in self.provider.access_tokens, "a run can read"
        assert stored.works(self.clock.now(), timedelta(minutes=5))
        assert (row.refresh_at, row.token_expires_at) == (stored.refresh_at(), tokens.expires_at)
        if tokens.refresh_token in self.provider.refresh_tokens:
            assert not reauths, "nobody is asked to authorize what works"
            assert tokens.access_token != "access-1", "renewed"
            assert stored.refresh_at() > self.clock.now()  # type: ignore[operator]
        else:
            assert self.single_use, "a reusable refresh token is never lost"
            assert self.provider.refreshes == 1, "spent once, and its reply lost"
            assert len(reauths) == 1, "a person hears of it, once"
            [asked] = reauths.values()
            assert asked.works_until == tokens.expires_at, "while the access token still works"
            assert stored.refresh_at() is None


class RefreshingOnce(Refreshing):
    """The same where a refresh token is good for one reply."""

    single_use = True


class Authorizing(Case):
    """A person comes back from the consent page; the gateway asks again after no answer."""

    async def made(self) -> Case:
        return self

    async def live(self, process: Process) -> None:
        parts = Parts(process, self)
        request = ExchangeRequest(
            code="good", state="state", redirect_uri="https://suppli.example", environment="production"
        )
        try:
            account = await parts.connecting.exchange(self.key, request)
        except CodeRefused:  # the provider takes a code once: the person is sent to the consent page again
            request = msgspec.structs.replace(request, code="good again", state="another")
            account = await parts.connecting.exchange(self.key, request)
        assert account.account_id == "ACCOUNT"

    async def check(self) -> None:
        stored = await self.stored()
        assert stored is not None
        assert stored.tokens.access_token in self.provider.access_tokens
        assert stored.tokens.refresh_token in self.provider.refresh_tokens
        row = await self.noted()
        assert (row.refresh_at, row.revoke_at) == (stored.refresh_at(), None)
        traded = [call for call in self.provider.calls if call.startswith("exchange")]
        assert len(traded) == len(set(traded)) or traded.count("exchange good") == 2


class Adopting(Case):
    """The account turns out to be that of an older connection, which takes its tokens over."""

    async def made(self) -> Case:
        await super().made()
        self.pending, self.key = self.key, AccountKey(self.key.tenant_id, uuid4())
        self.path = f"suppli/tokens/{PROVIDER}/{self.key.tenant_id}/{self.key.connection_id}"
        return self

    async def live(self, process: Process) -> None:
        parts = Parts(process, self)
        request = AdoptRequest(from_connection_id=self.pending.connection_id)
        assert (await parts.connecting.adopt(self.key, request)).account_id == "ACCOUNT"

    async def check(self) -> None:
        stored, row = await self.stored(), await self.noted()
        assert stored is not None
        assert stored.tokens.access_token in self.provider.access_tokens
        assert (row.refresh_at, row.revoke_at) == (stored.refresh_at(), None)
        self.key = self.pending
        self.path = f"suppli/tokens/{PROVIDER}/{self.key.tenant_id}/{self.key.connection_id}"
        assert await self.stored() is None, "no token stays at the pending connection"
        assert (await self.noted()).refresh_at is None
        assert self.provider.revoked == 0, "that would take the access of the account's own connection, too"


class LettingGo(Case):
    """Somebody disconnects; the gateway asks again after no answer, and the upkeep does the rest."""

    async def live(self, process: Process) -> None:
        parts = Parts(process, self)
        if (await self.noted()).token_expires_at is not None or await self.stored() is not None:
            await parts.connecting.revoke(self.key)
        await parts.upkeep.revoke_due()
        with pytest.raises(AuthError):
            await parts.keeper.current(self.key)

    async def check(self) -> None:
        assert await self.stored() is None, "no version of a token stays"
        assert self.provider.revoked >= 1, "the provider was told"
        row = await self.noted()
        assert (row.revoke_at, row.refresh_at, row.token_expires_at) == (None, None, None)


@pytest.fixture
async def ground(world: World, vault_settings: VaultSettings) -> AsyncIterator[tuple[World, Vault, Tail]]:
    vault = Vault(vault_settings)
    await vault.start()
    tail = Tail(world.bootstrap, SYNC_EVENTS)
    await tail.start()
    yield world, vault, tail
    await tail.stop()
    await vault.stop()


@pytest.mark.parametrize("kind", [Refreshing, RefreshingOnce, Authorizing, Adopting, LettingGo])
async def test_tokens_survive_a_death_anywhere(ground: tuple[World, Vault, Tail], kind: type[Case]) -> None:
    """A shop would be disconnected without a word, or a token would stay that should be gone."""
    deaths = await die_everywhere(lambda: kind(*ground).made())
    calls = {call.split()[0] for call in deaths.calls()}
    assert {"vault", "provider", "commit"} <= calls
