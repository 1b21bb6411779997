"""The refresh protocol: one refresh, and no lost reply that goes unnoticed. Vault is played by a
dictionary.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from suppli_connector_kit.client import ProviderClient
from suppli_connector_kit.errors import AuthError, CredentialsRefused, NetworkError, TokenRevoked
from suppli_connector_kit.testing import MemoryProvider
from suppli_connector_kit.testing.memory import MemoryTokenBook, MemoryVault
from suppli_connector_kit.testing.provider import lost_reply
from suppli_connector_kit.tokens.fixed import FixedSession
from suppli_connector_kit.tokens.keeper import AccountKey, KeeperTimes, TokenKeeper
from suppli_connector_kit.tokens.secret import StoredTokens, from_secret, to_secret
from suppli_connector_kit.tokens.session import KeptSession
from suppli_service_kit.clock import FixedClock

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
KEY = AccountKey(UUID(int=1), UUID(int=2))


class Setting:
    def __init__(self, *, single_use: bool = False) -> None:
        self.clock = FixedClock(NOW)
        self.provider = MemoryProvider(self.clock, single_use=single_use)
        self.store, self.book = MemoryVault("memory", "us", "s"), MemoryTokenBook()

    def keeper(self) -> TokenKeeper:
        times = KeeperTimes(call=2, write=2)
        return TokenKeeper(self.provider, self.store, self.book, clock=self.clock, times=times)

    async def connected(self) -> TokenKeeper:
        keeper = self.keeper()
        await keeper.keep(KEY, StoredTokens(self.provider.issue(), NOW))
        return keeper

    def half_life(self) -> None:
        self.clock.advance(timedelta(minutes=31))


@pytest.mark.parametrize("single_use", [False, True])
async def test_many_replicas_make_one_refresh(single_use: bool) -> None:
    """A single-use token spent twice disconnects the shop."""
    setting = Setting(single_use=single_use)
    await setting.connected()
    setting.half_life()
    got = await asyncio.gather(*(setting.keeper().refresh(KEY) for _ in range(8)))
    assert setting.provider.refreshes == 1
    assert len({stored.tokens.access_token for stored in got}) == 1
    assert setting.book.refresh_at is not None
    assert setting.book.refresh_at > setting.clock.now()


async def test_nothing_is_refreshed_before_half_life() -> None:
    """The provider would be asked all the time."""
    setting = Setting()
    keeper = await setting.connected()
    await keeper.refresh(KEY)
    assert setting.provider.refreshes == 0


async def test_a_lost_reply_costs_nothing_where_tokens_are_reusable() -> None:
    """One network hiccup would disconnect the shop."""
    setting = Setting()
    keeper = await setting.connected()
    setting.half_life()

    async def lose() -> None:
        setting.provider.on_refresh = None
        raise lost_reply()

    setting.provider.on_refresh = lose
    with pytest.raises(NetworkError):
        await keeper.refresh(KEY)
    assert (await setting.keeper().refresh(KEY)).tokens.access_token == "access-3"
    assert setting.book.reauths == []


async def test_a_lost_reply_of_a_single_use_token_asks_for_a_person_at_once_while_access_works() -> None:
    """The shop would find out only when nothing works any more."""
    setting = Setting(single_use=True)
    keeper = await setting.connected()
    setting.half_life()

    async def lose() -> None:
        raise lost_reply()

    setting.provider.on_refresh = lose
    with pytest.raises(AuthError):
        await keeper.refresh(KEY)
    assert setting.provider.calls.count("refresh") == 2, "presented once more"
    [(_, works_until)] = setting.book.reauths
    assert works_until is not None
    assert (await keeper.current(KEY)).tokens.access_token == "access-1"
    assert setting.book.refresh_at is None, "it is not tried for ever"
    setting.clock.advance(timedelta(hours=1))
    with pytest.raises(AuthError):
        await setting.keeper().current(KEY)


async def test_a_call_that_never_arrived_is_no_presentation() -> None:
    """An outage of our own network would use up single-use tokens."""
    setting = Setting(single_use=True)
    keeper = await setting.connected()
    setting.half_life()
    good = setting.provider.refresh

    async def unreachable(*_: Any) -> Any:
        raise NetworkError("no route", may_have_arrived=False)

    setting.provider.refresh = unreachable  # type: ignore[method-assign,assignment]
    for _ in range(5):
        with pytest.raises(NetworkError):
            await keeper.refresh(KEY)
    setting.provider.refresh = good  # type: ignore[method-assign]
    assert (await keeper.refresh(KEY)).tokens.access_token == "access-2"
    assert setting.book.reauths == []


async def test_a_writer_that_died_is_waited_out_and_replaced() -> None:
    """A killed replica would block the refresh for good."""
    setting = Setting()
    keeper = await setting.connected()
    setting.half_life()

    async def die() -> None:
        setting.provider.on_refresh = None
        raise asyncio.CancelledError

    setting.provider.on_refresh = die
    with pytest.raises(asyncio.CancelledError):
        await keeper.refresh(KEY)
    waiting = asyncio.create_task(setting.keeper().refresh(KEY))
    await asyncio.sleep(0.3)
    assert not waiting.done(), "the intent holds until its deadline"
    setting.clock.advance(timedelta(seconds=5))
    assert (await waiting).tokens.access_token == "access-3"


@pytest.mark.parametrize("single_use", [False, True])
async def test_a_lost_answer_of_vault_is_recognized_as_done(single_use: bool) -> None:
    """The new pair would be thrown away though it is stored, or written twice."""
    setting = Setting(single_use=single_use)
    keeper = await setting.connected()
    setting.half_life()
    setting.store.lose_replies = 1
    stored = await keeper.refresh(KEY)
    assert stored.tokens.access_token == "access-2"
    assert setting.provider.refreshes == 1
    _, _, newest = setting.store.versions[keeper.path(KEY)]  # the first pair, the intent, the new pair
    assert newest["access_token"] == "access-2"


async def test_a_newer_authorization_wins_over_a_refresh_under_way() -> None:
    """Connecting anew would be undone by an old refresh."""
    setting = Setting()
    keeper = await setting.connected()
    setting.half_life()

    async def connects_anew() -> None:
        setting.provider.on_refresh = None
        await setting.keeper().keep(KEY, StoredTokens(setting.provider.issue(), setting.clock.now()))

    setting.provider.on_refresh = connects_anew
    stored = await keeper.refresh(KEY)
    assert stored.tokens.access_token == "access-3"
    [*_, newest] = setting.store.versions[keeper.path(KEY)]
    assert newest["access_token"] == "access-3"


async def test_a_new_authorization_counts_at_once_in_the_process_that_took_it() -> None:
    """The owner would sign in and be told at once to sign in again."""
    setting = Setting()
    keeper = await setting.connected()
    before = (await keeper.current(KEY)).tokens.access_token
    await keeper.stored(KEY)
    await keeper.keep(KEY, StoredTokens(setting.provider.issue(), NOW))
    assert (await keeper.current(KEY)).tokens.access_token != before


async def test_tokens_that_another_process_replaced_are_not_taken_for_a_withdrawn_authorization() -> None:
    """A sync in another process would ask the owner to sign in again, right after the owner did."""
    setting = Setting()
    elsewhere = await setting.connected()
    old = await elsewhere.current(KEY)
    await setting.keeper().keep(KEY, StoredTokens(setting.provider.issue(), NOW))
    session = KeptSession(elsewhere, KEY, account_id="A", environment="production")
    assert await session.access_token() == old.tokens.access_token, "held for a while"

    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["authorization"])
        fresh = len(asked) > 1
        return httpx.Response(200 if fresh else 401, json={"ok": True})

    client = ProviderClient(
        "https://provider.example",
        name="Memory",
        failure=lambda _: TokenRevoked("withdrawn"),
        transport=httpx.MockTransport(answer),
    )
    content, _ = await client.ask(session, "GET", "/v1", bytes.decode)
    assert "ok" in content
    assert len(set(asked)) == 2, "the second question brought the new token"
    with pytest.raises(TokenRevoked):
        asked.clear()
        await client.ask(FixedSession(old.tokens), "GET", "/v1", bytes.decode)
    await client.close()


async def test_a_refresh_that_slept_past_its_deadline_does_not_overwrite_the_newer_pair() -> None:
    """Where a refresh withdraws earlier access tokens, the stored one would be refused."""
    setting = Setting()
    keeper = await setting.connected()
    setting.half_life()

    async def sleeps() -> None:
        setting.provider.on_refresh = None
        setting.clock.advance(timedelta(seconds=5))
        assert (await setting.keeper().refresh(KEY)).tokens.access_token == "access-3"

    setting.provider.on_refresh = sleeps
    stored = await keeper.refresh(KEY)
    assert stored.tokens.access_token == "access-3"
    [*_, newest] = setting.store.versions[keeper.path(KEY)]
    assert newest["access_token"] == "access-3"


async def test_tokens_show_in_no_text() -> None:
    """A token in a log is a token lost."""
    setting = Setting()
    keeper = await setting.connected()
    stored, _ = await keeper.stored(KEY) or pytest.fail("stored")
    assert "access-1" not in repr(stored)
    assert "refresh-1" not in repr(stored)
    assert from_secret(to_secret(stored)) == stored


async def test_a_wrong_client_secret_is_not_taken_for_a_withdrawn_authorization() -> None:
    """A typing error of ours in Vault would ask every owner to connect again."""
    setting = Setting()
    keeper = await setting.connected()
    setting.half_life()
    good = setting.provider.refresh_tokens.copy()
    setting.provider.refresh_tokens.clear()  # every refresh is refused, the access token works
    with pytest.raises(CredentialsRefused):
        await keeper.refresh(KEY)
    assert setting.book.reauths == []
    assert (await keeper.current(KEY)).tokens.access_token == "access-1"
    setting.provider.refresh_tokens = good  # the secret is set right
    assert (await keeper.refresh(KEY)).tokens.access_token == "access-2"


async def test_a_withdrawn_authorization_asks_for_a_person() -> None:
    """Nobody would hear that the shop is no longer imported."""
    setting = Setting()
    keeper = await setting.connected()
    setting.half_life()
    setting.provider.refresh_tokens.clear()
    setting.provider.access_tokens.clear()
    with pytest.raises(AuthError):
        await keeper.refresh(KEY)
    assert len(setting.book.reauths) == 1
