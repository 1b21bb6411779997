"""How fast a provider is asked, and when it is not asked at all."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from suppli_connector_kit import budgets
from suppli_connector_kit.budgets import Grant, LocalLedger
from suppli_connector_kit.client import Budget, ProviderClient
from suppli_connector_kit.domain.circuit import Circuit, CircuitTimes, State
from suppli_connector_kit.domain.pacing import Pace, Share, next_size
from suppli_connector_kit.errors import (
    AuthError,
    NetworkError,
    ProviderError,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from suppli_connector_kit.faults import Fault, failure
from suppli_connector_kit.gates import Gates, somebody_waits
from suppli_connector_kit.protocol import Tokens
from suppli_connector_kit.tokens.fixed import FixedSession
from suppli_service_kit.http_client import RetryPolicy

Answer = Callable[[httpx.Request], httpx.Response]


def session(account: str = "A") -> FixedSession:
    return FixedSession(Tokens("token", account_id=account))


class Provider:
    """A provider that answers what it is told to, and writes down when it was asked."""

    def __init__(self, **budget: object) -> None:
        self.asked: list[float] = []
        self.answer: Answer = lambda _: httpx.Response(200, json={})
        values = {"rate": 1000.0, "burst": 1000.0, "retries": RetryPolicy(attempts=1), **budget}
        self.client = ProviderClient(
            "https://provider.example",
            name="Memory",
            failure=lambda response: failure(response, Fault("X"), name="Memory", codes={}),
            budget=Budget(**values),  # type: ignore[arg-type]
            transport=httpx.MockTransport(self._handle),
        )

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(time.monotonic())
        await asyncio.sleep(0)
        return self.answer(request)

    async def ask(self, account: str = "A") -> None:
        await self.client.ask(session(account), "GET", "/v1", bytes.decode)

    async def fails(self, kind: type[ProviderError], times: int = 1) -> ProviderError:
        for _ in range(times):
            with pytest.raises(kind) as caught:
                await self.ask()
        return caught.value


def busiest(instants: list[float], seconds: float = 1.0) -> int:
    """Return the greatest number of instants in any time of that length."""
    return max((sum(start <= at < start + seconds for at in instants) for start in instants), default=0)


def test_however_a_budget_is_shared_no_time_sees_more_than_it_allows() -> None:
    """The provider would refuse us, and in the end shut us out."""
    draw = random.Random(7)
    for _ in range(200):
        pace = Pace(rate=draw.choice([1, 7, 50]), burst=draw.choice([1, 5, 60]))
        used: list[float] = []
        start, now, shares = 0.0, 0.0, []
        for _ in range(300):
            now += draw.expovariate(2 * pace.rate)
            if draw.random() < 0.3:
                start = max(start, now - pace.window)
                if start <= now + 0.5:
                    count = draw.randint(1, pace.most)
                    shares.append(Share(start, pace.step, count, pace.window))
                    start += count * pace.step
            for share in shares:
                while draw.random() < 0.7 and share.take(now):
                    used.append(now)
        # one more for the step that a permit may be late, one for the edges
        assert busiest(used) <= pace.rate + pace.burst + 2, pace


def test_a_share_is_as_large_as_what_was_used() -> None:
    """Who asks once a minute would hold permits that others wait for; who asks all the time
    would go to the database for each.
    """
    pace = Pace(rate=50, burst=1)
    assert next_size(pace, asked=0, taken=0, waiting=1) == 1
    assert next_size(pace, asked=4, taken=4, waiting=1) == 8
    assert next_size(pace, asked=20, taken=20, waiting=1) == 25, "half a second's"
    assert next_size(pace, asked=20, taken=3, waiting=1) == 3
    assert next_size(pace, asked=1, taken=0, waiting=9) == 9


async def test_a_call_does_not_go_to_the_database_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page would cost a round trip more."""
    taken: list[int] = []
    take = LocalLedger.take

    async def counted(self: LocalLedger, key: str, count: int, pace: Pace) -> Grant:
        taken.append(count)
        return await take(self, key, count, pace)

    monkeypatch.setattr(LocalLedger, "take", counted)
    provider = Provider(rate=200.0, burst=200.0)
    for _ in range(200):
        await provider.ask()
    assert len(taken) < 20, taken


async def test_accounts_share_what_the_application_may() -> None:
    """Each account within its own budget, all together would be above the application's."""
    provider = Provider(application=Pace(rate=40, burst=4))
    async with asyncio.timeout(30):
        await asyncio.gather(*(provider.ask(account) for account in "ABCD" for _ in range(10)))
    assert busiest(provider.asked) <= 40 + 4 + 4, "a tenth of a second for the way"
    assert provider.asked[-1] - provider.asked[0] > 0.7


async def test_calls_take_turns_in_the_sequence_in_which_they_came() -> None:
    """A backfill's many calls would keep a person's one waiting for all of them."""
    provider = Provider(rate=100.0, burst=1.0)
    done: list[str] = []

    async def ask(who: str) -> None:
        await provider.ask()
        done.append(who)

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(ask(f"backfill {number}"))
        await asyncio.sleep(0)
        group.create_task(ask("person"))
        for number in range(5, 30):
            group.create_task(ask(f"backfill {number}"))
    assert done.index("person") <= 6


async def test_a_429_holds_up_every_call_of_the_account_and_slows_the_next() -> None:
    """The other runs would go on asking, and the provider would refuse us for longer."""
    provider = Provider(rate=1000.0, burst=1.0)
    refused = httpx.Response(429, headers={"retry-after": "1"})
    provider.answer = lambda _: refused
    await provider.fails(RateLimited)
    provider.answer = lambda _: httpx.Response(200, json={})
    before = time.monotonic()
    await provider.ask("other")
    assert time.monotonic() - before < 0.9, "another account's budget is its own"
    await provider.ask()
    assert time.monotonic() - before >= 0.9
    assert await provider.client._gates._ledger.take("account A", 1, Pace(1000)) is not None
    slow = await provider.client._gates._ledger.take("account A", 1, Pace(1000, 1000))
    assert slow.slow > 1.5


async def test_a_long_retry_after_ends_other_calls_with_the_time_that_is_left() -> None:
    """A run would sit on its lease for an hour, waiting for its turn."""
    provider = Provider(retries=RetryPolicy(attempts=1, cap=2))
    provider.answer = lambda _: httpx.Response(429, headers={"retry-after": "900"})
    await provider.fails(RateLimited)
    left = (await provider.fails(RateLimited)).retry_after_s
    assert left is not None
    assert 890 < left <= 900
    assert len(provider.asked) == 1


class Away(LocalLedger):
    """A database that is away when told so."""

    away = False

    async def take(self, key: str, count: int, pace: Pace) -> Grant:
        if self.away:
            raise OSError("away")
        return await super().take(key, count, pace)


async def test_without_the_database_a_share_is_used_up_and_then_calls_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every sync would break off with each restart of the database, or go on above the budget."""
    provider, ledger = Provider(rate=50.0, burst=50.0), Away()
    provider.client.share(ledger)
    await asyncio.gather(*(provider.ask() for _ in range(20)))
    ledger.away = True
    held = 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            while True:
                await provider.ask()
                held += 1
    assert 0 < held < 50
    ledger.away = False
    async with asyncio.timeout(3):
        await provider.ask()
    ledger.away = True
    monkeypatch.setattr(budgets, "PATIENCE_SECONDS", 0.3)
    with pytest.raises(OSError, match="away"):
        async with asyncio.timeout(5):
            while True:
                await provider.ask()


def test_a_circuit_opens_is_probed_by_one_and_closes_by_itself() -> None:
    """An outage would cost every run all its attempts, or the provider all of them at its return."""
    circuit = Circuit(CircuitTimes(failures=3, seconds=10, most_seconds=25))
    for _ in range(2):
        circuit.failure(0, probe=circuit.begin())
    circuit.succeeded()
    for _ in range(3):
        assert circuit.refused_for(0) is None
        circuit.failure(0, probe=circuit.begin())
    assert circuit.state is State.OPEN
    assert circuit.refused_for(4) == 6
    circuit.failure(5, probe=False)  # began before it opened
    assert circuit.refused_for(5) == 5
    assert circuit.refused_for(10) is None
    assert circuit.begin()
    assert circuit.state is State.HALF_OPEN
    assert circuit.refused_for(11), "one is enough"
    assert circuit.refused_for(11, urgent=True), "also where somebody waits"
    circuit.failure(12, probe=True)
    assert circuit.refused_for(12) == 20, "twice as long"
    assert circuit.refused_for(13, urgent=True) is None
    circuit.begin()
    circuit.abandoned(probe=True)
    assert circuit.refused_for(32) is None
    circuit.begin()
    circuit.failure(32, probe=True)
    assert circuit.refused_for(32) == 25
    assert circuit.refused_for(57) is None
    circuit.begin()
    circuit.succeeded()
    assert (circuit.state, circuit.refused_for(58)) == (State.CLOSED, None)


@pytest.fixture
async def failing() -> AsyncIterator[Provider]:
    provider = Provider(circuit=CircuitTimes(failures=4, seconds=1))
    provider.answer = lambda _: httpx.Response(503)
    yield provider
    await provider.client.close()


async def test_a_provider_that_keeps_failing_is_left_alone_and_found_again(failing: Provider) -> None:
    """Runs would ask a provider that is down, four times each, and come no sooner."""
    await failing.fails(ProviderUnavailable, 4)
    asked = len(failing.asked)
    quick = time.monotonic()
    left = (await failing.fails(ProviderUnavailable, 20)).retry_after_s
    assert time.monotonic() - quick < 0.9
    assert len(failing.asked) == asked
    assert left is not None
    assert 0 < left <= 1
    failing.answer = lambda _: httpx.Response(200, json={})
    await failing.ask("another account")
    with somebody_waits():
        await failing.ask()  # a person need not wait for the time to be over
    await failing.ask()


async def test_one_call_finds_out_whether_the_provider_is_back(failing: Provider) -> None:
    """All runs at once would fall on a provider that has just come back."""
    await failing.fails(ProviderUnavailable, 4)
    asked = len(failing.asked)
    await asyncio.sleep(1.05)
    results = await asyncio.gather(*(failing.ask() for _ in range(10)), return_exceptions=True)
    assert all(isinstance(each, ProviderUnavailable) for each in results)
    assert len(failing.asked) == asked + 1


async def test_attempts_of_one_call_stop_where_the_circuit_opens(failing: Provider) -> None:
    """A call would go on with its attempts for minutes."""
    patient = Provider(
        circuit=CircuitTimes(failures=3, seconds=60), retries=RetryPolicy(attempts=10, base=0.01)
    )

    def broken(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    patient.answer = broken
    refused = await patient.fails(ProviderUnavailable)
    assert len(patient.asked) == 3
    assert refused.retry_after_s is not None
    assert refused.retry_after_s > 50
    await patient.client.close()


@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthError), (400, ProviderRefused), (429, RateLimited), (501, ProviderRefused)]
)
async def test_what_is_no_failure_of_the_provider_opens_nothing(
    status: int, kind: type[ProviderError]
) -> None:
    """A shop that withdrew its authorization, or a wrong question of ours, would look like an outage."""
    provider = Provider(circuit=CircuitTimes(failures=2))
    provider.answer = lambda _: httpx.Response(status, headers={"retry-after": "0"})
    await provider.fails(kind, 5)
    assert len(provider.asked) == 5


async def test_a_call_that_is_given_up_leaves_the_way_free_for_the_next(failing: Provider) -> None:
    """Cancelled while finding out, the account would never be asked again."""
    await failing.fails(ProviderUnavailable, 4)
    await asyncio.sleep(1.05)
    arrived = asyncio.Event()

    async def hangs(_: httpx.Request) -> httpx.Response:
        arrived.set()
        await asyncio.sleep(60)
        raise AssertionError

    failing.client._http._client._transport.handler = hangs  # type: ignore[attr-defined]
    probe = asyncio.create_task(failing.ask())
    await arrived.wait()
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    failing.client._http._client._transport.handler = failing._handle  # type: ignore[attr-defined]
    failing.answer = lambda _: httpx.Response(200, json={})
    await failing.ask()


async def test_an_answer_that_breaks_off_is_no_failure_of_the_provider() -> None:
    """Bad data of one shop would stop its sync for minutes."""
    provider = Provider(circuit=CircuitTimes(failures=2))

    def read(_: bytes) -> str:
        raise ValueError("not JSON")

    for _ in range(4):
        with pytest.raises(ProviderUnavailable, match="not what its API promises"):
            await provider.client.ask(session(), "GET", "/v1", read)
    assert len(provider.asked) == 4


async def test_a_network_that_is_away_counts(failing: Provider) -> None:
    """Each call would wait for its time-out."""

    def broken(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("nothing")

    failing.answer = broken
    await failing.fails(NetworkError, 4)
    await failing.fails(ProviderUnavailable)
    assert len(failing.asked) == 4


async def test_a_call_that_fails_makes_room_for_the_next() -> None:
    """After some failures an account would never be asked again."""
    gates = Gates("P", Pace(1000, 1000), in_flight=1, application_in_flight=1)
    for _ in range(3):
        gate = gates.account("A")
        await gate.enter()
        await gate.left(None, None)
        other = gates.account("A")
        await other.enter()
        other.abandoned()
    waiting = gates.account("A")
    await waiting.enter()
    async with asyncio.timeout(5):
        second = asyncio.ensure_future(gates.account("B").enter())
        await asyncio.sleep(0)
        assert not second.done()
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        await waiting.left(200, None)
        await gates.account("B").enter()
