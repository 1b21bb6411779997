"""Giving access back and authorizing again, in every order in which the two can meet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from suppli_connector_kit.adapters.exchanges import ExchangeBook
from suppli_connector_kit.adapters.token_times import GIVE_UP_AFTER, Due
from suppli_connector_kit.connecting import Connecting
from suppli_connector_kit.errors import AuthError, ProviderUnavailable
from suppli_connector_kit.testing import MemoryProvider
from suppli_connector_kit.tokens.keeper import AccountKey, TokenKeeper
from suppli_connector_kit.tokens.secret import StoredTokens
from suppli_connector_kit.upkeep import Upkeep
from suppli_contracts.internal import Account, AdoptRequest, ExchangeRequest
from suppli_embedded.openbao import OpenBaoServer
from suppli_service_kit.clock import SystemClock
from suppli_service_kit.settings import VaultSettings
from suppli_service_kit.vault import Vault

from .conftest import NAME, MemoryStore, unreadable

World = Any  # the fixture of conftest.py


class Shop:
    """A connected account that gives its access back, and the parts of the service that see to it."""

    def __init__(self, world: World) -> None:
        self.world, self.key, self.provider = world, world.key, world.provider
        self.upkeep = Upkeep(world.provider, world.keeper, world.token_times, clock=world.clock)
        self.connecting = Connecting(
            world.provider,
            world.keeper,
            world.token_times,
            ExchangeBook(world.database),
            world.book,
            clock=world.clock,
            wake=asyncio.Event(),
        )
        self.asked_at = world.clock.now()
        self.pending = AccountKey(self.key.tenant_id, uuid4())

    async def give_back(self) -> None:
        """Ask for the revocation; nobody has acted on it yet."""
        await self.connecting.revoke(self.key)
        self.asked_at = (await self.times()).revoke_at

    def due(self, *, until: timedelta = GIVE_UP_AFTER) -> Due:
        return Due(self.key, self.asked_at, self.asked_at + until)

    async def look(self, **changes: Any) -> None:
        """Let the upkeep do what it does for a due revocation."""
        await self.upkeep._revoke(self.due(**changes))

    async def authorize(self, key: AccountKey, code: str = "good") -> Account:
        request = ExchangeRequest(
            state=uuid4().hex,
            code=f"{code}-{uuid4().hex}",
            redirect_uri="https://us",
            environment="production",
        )
        return await self.connecting.exchange(key, request)

    async def times(self) -> Any:
        [row] = await self.world.rows(
            "select revoke_at, refresh_at, token_expires_at from connection_times"
            f" where connection_id = '{self.key.connection_id}'"
        )
        return row

    async def works(self, key: AccountKey) -> bool:
        try:
            await self.connecting.test(key)
        except AuthError:
            return False
        return True


@pytest.fixture
async def shop(world: World) -> Shop:
    await world.connect()
    return Shop(world)


async def test_who_authorizes_again_while_the_provider_is_asked_to_withdraw_gets_tokens_that_work(
    shop: Shop,
) -> None:
    """Providers withdraw by account: the new tokens would be dead on arrival, and nobody would know."""
    await shop.give_back()
    under_way: list[asyncio.Task[Account]] = []

    async def authorizes_meanwhile() -> None:
        under_way.append(asyncio.create_task(shop.authorize(shop.pending)))
        done, _ = await asyncio.wait(under_way, timeout=1)
        assert not done, "tokens were given while the account's access was being withdrawn"

    shop.provider.on_revoke = authorizes_meanwhile
    await shop.look()
    assert (await under_way[0]).account_id == "ACCOUNT"
    assert await shop.works(shop.pending)
    assert await shop.world.keeper.stored(shop.key) is None


async def test_nothing_is_withdrawn_while_somebody_authorizes(shop: Shop) -> None:
    """Asked for in between, the withdrawal would take the tokens that were just given."""
    await shop.give_back()
    exchange = shop.provider.exchange

    async def looks_meanwhile(*args: Any, **more: Any) -> Any:
        tokens = await exchange(*args, **more)
        await shop.look()
        return tokens

    shop.provider.exchange = looks_meanwhile
    await shop.authorize(shop.pending)
    assert shop.provider.revoked == 0
    assert await shop.works(shop.pending)


async def test_a_withdrawal_that_waits_does_not_hit_the_account_that_was_connected_again(shop: Shop) -> None:
    """The provider was down at the disconnect. Its owner connects again under another id, as people do; the
    withdrawal that is still tried for a day would cut that off.
    """

    async def down() -> None:
        raise ProviderUnavailable("down")

    shop.provider.on_revoke = down
    await shop.give_back()
    await shop.look()
    assert (await shop.times()).revoke_at is not None, "it is tried again"
    shop.provider.on_revoke = None
    await shop.authorize(shop.pending)
    await shop.look()
    assert shop.provider.revoked == 0
    await shop.connecting.adopt(shop.key, AdoptRequest(from_connection_id=shop.pending.connection_id))
    await shop.look()
    assert await shop.works(shop.key)
    after = await shop.times()
    assert (after.revoke_at, after.refresh_at is not None, after.token_expires_at is not None) == (
        None,
        True,
        True,
    )


async def test_a_new_authorization_that_is_given_up_is_no_reason_to_keep_the_access(shop: Shop) -> None:
    """Somebody who began to connect again, and left it, would keep us in for ever."""
    await shop.give_back()
    await shop.authorize(shop.pending)
    await shop.look()
    assert shop.provider.revoked == 0
    await shop.connecting.discard(shop.pending)
    await shop.look()
    assert shop.provider.revoked == 1


async def test_tokens_that_arrive_right_before_the_destruction_are_not_destroyed(shop: Shop) -> None:
    """The tokens of the new authorization would go with the old ones."""
    await shop.give_back()
    await shop.authorize(shop.pending)
    adopt = AdoptRequest(from_connection_id=shop.pending.connection_id)
    _before_destroying(shop.world.store, lambda: shop.connecting.adopt(shop.key, adopt))
    await shop.look(until=timedelta(0))  # it is given up: what is left is to be destroyed
    assert await shop.works(shop.key)
    await shop.look()
    assert await shop.works(shop.key)
    after = await shop.times()
    assert (after.revoke_at, after.refresh_at is not None) == (None, True)


def _before_destroying(store: MemoryStore, act: Callable[[], Awaitable[Any]]) -> None:
    destroy = store.destroy

    async def later(path: str, *, cas: int | None = None) -> None:
        store.destroy = destroy  # type: ignore[method-assign]
        await act()
        await destroy(path, cas=cas)

    store.destroy = later  # type: ignore[method-assign]


async def test_a_disconnect_that_meets_a_new_authorization_spares_its_tokens(shop: Shop) -> None:
    """Marked as being withdrawn, the new tokens would be refused to everybody, for ever."""
    asked = shop.world.token_times.revoke

    async def authorizes_meanwhile(*args: Any, **more: Any) -> None:
        await asked(*args, **more)
        await shop.authorize(shop.key)

    shop.world.token_times.revoke = authorizes_meanwhile
    await shop.connecting.revoke(shop.key)
    assert await shop.works(shop.key)
    assert (await shop.times()).revoke_at is None


async def test_a_refresh_after_the_disconnect_is_no_new_authorization(shop: Shop) -> None:
    """The refreshed tokens would be taken for those of somebody who connected again, and stay."""
    now = shop.world.clock.now()
    old = StoredTokens(shop.provider.issue(), now - timedelta(hours=2), authorized_at=now - timedelta(days=9))
    await shop.world.keeper.keep(shop.key, old)
    await shop.world.token_times.revoke(shop.key, at=now, until=now + GIVE_UP_AFTER)
    shop.asked_at = now
    renewed = await shop.world.keeper.refresh(shop.key)
    assert renewed.obtained_at > now
    await shop.look()
    assert shop.provider.revoked == 1
    assert await shop.world.keeper.stored(shop.key) is None


class Sleeper:
    """A replica's Vault that falls asleep between what it read and what it writes."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.asleep, self.wakes = asyncio.Event(), asyncio.Event()
        self.read, self.version, self.destroy = vault.read, vault.version, vault.destroy

    async def write(self, path: str, data: dict[str, Any], *, cas: int | None) -> int:
        self.asleep.set()
        await self.wakes.wait()
        return await self._vault.write(path, data, cas=cas)


@pytest.mark.parametrize("again", [True, False])
async def test_a_replica_that_slept_through_a_disconnect_brings_nothing_back(
    vault_settings: VaultSettings, world: World, openbao: OpenBaoServer, again: bool
) -> None:
    """It would write the old tokens over those of the new authorization, or bring them back from nothing."""
    clock, provider = SystemClock(), MemoryProvider(SystemClock())
    key = AccountKey(uuid4(), uuid4())
    vault = Vault(vault_settings)
    await vault.start()
    try:
        keeper = TokenKeeper(provider, vault, world.token_times, clock=clock)
        await keeper.keep(key, StoredTokens(provider.issue(), clock.now() - timedelta(hours=2)))
        sleeper = Sleeper(vault)
        slept = asyncio.create_task(
            TokenKeeper(provider, sleeper, world.token_times, clock=clock).refresh(key)
        )
        await sleeper.asleep.wait()
        await keeper.destroy(key)
        new = StoredTokens(provider.issue(), clock.now())
        if again:
            await keeper.keep(key, new)
        sleeper.wakes.set()
        if again:
            assert (await slept).tokens == new.tokens
            assert await keeper.stored(key) == (new, await keeper.version(key))
            await keeper.destroy(key)
        else:
            with pytest.raises(AuthError):
                await slept
        assert provider.refreshes == 0
        kv = openbao.login(NAME).secrets.kv.v2
        assert await unreadable(kv, f"suppli/tokens/memory/{key.tenant_id}/{key.connection_id}")
    finally:
        await vault.stop()
