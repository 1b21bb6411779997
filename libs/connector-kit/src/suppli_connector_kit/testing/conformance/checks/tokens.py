"""Tokens that end at a bad moment."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from suppli_connector_kit.errors import AuthError, ProviderError
from suppli_connector_kit.testing.conformance.checks.reading import read_whole
from suppli_connector_kit.testing.conformance.harness import (
    Ability,
    Fault,
    ProviderHarness,
    Stream,
    Strike,
)
from suppli_connector_kit.testing.conformance.registry import check
from suppli_connector_kit.testing.conformance.world import KEY, RETRIES, World, world

REPLICAS = 8


@check("a token that ends amid a run is renewed once", Ability.EXPIRY)
async def expiry(harness: ProviderHarness) -> None:
    """A sync that outlives its token would fail, or the shop be asked to connect again."""
    async with world(harness) as made:
        harness.put(made.some_pages())
        harness.strike(Fault(Strike.TOKEN_EXPIRED, after=2))
        await read_whole(made)
        assert harness.calls(Stream.TOKENS) == 1, f"{harness.calls(Stream.TOKENS)} refreshes"
        assert not made.book.reauths, "the shop was asked to connect again"


@check("a token that ends while a call is tried again is renewed", Ability.EXPIRY)
async def expiry_in_a_retry(harness: ProviderHarness) -> None:
    """Two small troubles at once would be one that ends the run."""
    async with world(harness) as made:
        harness.put(made.some_pages())
        harness.strike(
            Fault(Strike.SERVER_ERROR, after=2),
            Fault(Strike.TOKEN_EXPIRED, after=3),
            Fault(Strike.SERVER_ERROR, after=4),
        )
        await read_whole(made)
        assert harness.calls(Stream.TOKENS) == 1, f"{harness.calls(Stream.TOKENS)} refreshes"


@check("a reply to a refresh that is lost costs no sale", Ability.EXPIRY)
async def lost_reply(harness: ProviderHarness) -> None:
    """One cut connection would disconnect the shop unnoticed."""
    async with world(harness) as made:
        harness.put(made.orders(harness.facts.page_size + 3))
        await _half_of_its_life(made)
        reusable = made.manifest.refresh_tokens == "reusable"
        # so often that the client's own repeats do not help, which only a reusable token allows
        harness.strike(Fault(Strike.LOST_REPLY, Stream.TOKENS, times=RETRIES.attempts if reusable else 1))
        await read_whole(made)
        keeper = made.keeper(made.process())
        try:
            await keeper.refresh(KEY)
        except AuthError:
            assert not reusable, "a reusable token was given up"
            assert made.book.reauths, "nobody was asked to connect again before the access token ends"
            assert made.book.reauths[0][1] is not None, "it is not said until when the connection works"
        except ProviderError:
            await keeper.refresh(KEY)
        assert harness.calls(Stream.TOKENS) <= RETRIES.attempts + 1, "the provider is asked again and again"
        await read_whole(made)


async def _half_of_its_life(made: World) -> None:
    found = await made.keeper(made.process()).stored(KEY)
    assert found is not None
    due = found[0].refresh_at()
    assert due is not None
    made.clock.advance(due - made.clock.now() + timedelta(seconds=1))
    made.harness.set_clock(made.clock.now())


@check("eight workers make one refresh", Ability.EXPIRY)
async def one_refresh(harness: ProviderHarness) -> None:
    """Where a refresh token may be used once, the second worker's use of it disconnects the shop."""
    async with world(harness) as made:
        harness.put(made.orders(3))
        await _half_of_its_life(made)
        keepers = [made.keeper(made.process()) for _ in range(REPLICAS)]
        stored = await asyncio.gather(*(keeper.refresh(KEY) for keeper in keepers))
        assert harness.calls(Stream.TOKENS) == 1, f"{harness.calls(Stream.TOKENS)} refreshes"
        assert len({each.tokens.access_token for each in stored}) == 1
        await read_whole(made)


@check("a withdrawn authorization ends the run, and connecting again goes on")
async def revoked(harness: ProviderHarness) -> None:
    """The connection would stay green without sales, or start over."""
    async with world(harness) as made:
        harness.put(made.some_pages())
        harness.strike(Fault(Strike.TOKEN_REVOKED, after=1))
        ended = await made.run()
        assert isinstance(ended.error, AuthError), f"a withdrawn authorization is {ended.error!r}"
        covered = [spans[-1][1] for spans in made.ports.covered.values()]
        assert made.horizon() not in covered, "what could not be read is covered"
        await made.connect()
        await read_whole(made)


@check("a permission taken back amid a run ends it")
async def scope_removed(harness: ProviderHarness) -> None:
    """The rest of the sales would be taken for none."""
    async with world(harness) as made:
        harness.put(made.some_pages())
        harness.strike(Fault(Strike.SCOPE_REMOVED, Stream.ORDERS, after=2, times=None))
        ended = await made.run()
        assert isinstance(ended.error, AuthError), f"a permission taken back is {ended.error!r}"
        covered = [spans[-1][1] for spans in made.ports.covered.values()]
        assert made.horizon() not in covered, "what may not be read is covered"
