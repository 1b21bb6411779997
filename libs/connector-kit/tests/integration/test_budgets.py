"""Replicas ask one provider for one account, over one PostgreSQL; the provider writes down when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import uvicorn
from suppli_connector_kit.adapters.ledger import SqlLedger
from suppli_connector_kit.client import Budget, ProviderClient
from suppli_connector_kit.domain.pacing import Pace
from suppli_connector_kit.errors import RateLimited
from suppli_connector_kit.faults import Fault, failure
from suppli_connector_kit.protocol import Tokens
from suppli_connector_kit.tokens.fixed import FixedSession
from suppli_embedded.files import free_ports
from suppli_embedded.postgres import ServiceDatabase
from suppli_service_kit.database import Database, database_at
from suppli_service_kit.http_client import RetryPolicy

RATE, BURST = 40.0, 10.0
ON_THEIR_WAY = 6  # calls at once in all tests: so many may arrive together that were sent apart


@dataclass
class Provider:
    """A server on loopback that logs each request's account and instant, and answers as told."""

    url: str
    asked: list[tuple[str, float]] = field(default_factory=list)
    refuse: int = 0

    async def __call__(self, scope: dict[str, object], receive: object, send: object) -> None:
        assert scope["type"] == "http"
        self.asked.append((str(scope["path"]).rpartition("/")[2], time.monotonic()))
        status, headers = 200, [(b"content-type", b"application/json")]
        if self.refuse:
            self.refuse -= 1
            status, headers = 429, [*headers, (b"retry-after", b"1")]
        await send({"type": "http.response.start", "status": status, "headers": headers})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"{}"})  # type: ignore[operator]

    def instants(self, account: str) -> list[float]:
        return [at for who, at in self.asked if who == account]


class Replica:
    """One process's client, with a database connection of its own; nothing else is shared."""

    def __init__(self, provider: Provider, database_url: str, **changes: object) -> None:
        self.database: Database = database_at(database_url, pool=2)
        values = {"rate": RATE, "burst": BURST, "retries": RetryPolicy(attempts=1), **changes}
        self.client = ProviderClient(
            provider.url,
            name="Memory",
            failure=lambda response: failure(response, Fault("X"), name="Memory", codes={}),
            budget=Budget(**values),  # type: ignore[arg-type]
        )
        self.client.share(SqlLedger(self.database))
        self.asked = 0

    async def ask(self, account: str) -> None:
        session = FixedSession(Tokens("token", account_id=account))
        await self.client.ask(session, "GET", f"/{account}", bytes.decode)
        self.asked += 1

    async def work(self, account: str, until: float) -> None:
        while time.monotonic() < until:
            await self.ask(account)

    async def close(self) -> None:
        await self.client.close()
        await self.database.close()


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    [port] = free_ports(1)
    made = Provider(f"http://127.0.0.1:{port}")
    server = uvicorn.Server(uvicorn.Config(made, port=port, log_level="warning", lifespan="off"))  # type: ignore[arg-type]
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - a look at a condition
        await asyncio.sleep(0.02)
    yield made
    server.should_exit = True
    await serving


@pytest.fixture
async def replicas(
    provider: Provider, connector_database: ServiceDatabase
) -> AsyncIterator[tuple[Replica, Replica]]:
    made = Replica(provider, connector_database.app_url), Replica(provider, connector_database.app_url)
    yield made
    for each in made:
        await each.close()


def busiest(instants: list[float], seconds: float = 1.0) -> int:
    return max(sum(start <= at < start + seconds for at in instants) for start in instants)


async def test_replicas_together_stay_within_the_budget_in_every_second(
    provider: Provider, replicas: tuple[Replica, Replica]
) -> None:
    """Each within its own budget, all together would be refused, and the account shut out in the end."""
    until = time.monotonic() + 3
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for replica in replicas:
            for _ in range(ON_THEIR_WAY // 2):  # together they could ask many times as often
                group.create_task(replica.work("shop", until))
    seen = provider.instants("shop")
    assert busiest(seen) <= BURST + RATE + ON_THEIR_WAY
    assert len(seen) > 2 * RATE, "what is allowed is used"
    assert min(replica.asked for replica in replicas) > len(seen) / 5, "no replica is left out"


async def test_a_refusal_that_one_replica_gets_slows_all(
    provider: Provider, replicas: tuple[Replica, Replica]
) -> None:
    """The others would go on asking a provider that asked us to stop."""
    one, other = replicas
    provider.refuse = 1
    with pytest.raises(RateLimited):
        await one.ask("busy")
    refused_at = provider.instants("busy")[0]
    async with asyncio.timeout(20):
        await asyncio.gather(*(replica.ask("busy") for replica in replicas for _ in range(3)))
    assert provider.instants("busy")[1] - refused_at >= 0.95
    await other.ask("another")
    until = time.monotonic() + 1
    await asyncio.gather(*(replica.work("busy", until) for replica in replicas for _ in range(3)))
    after = [at for at in provider.instants("busy")[1:] if at >= until - 1 + 0.2]
    assert len(after) <= RATE * 0.8 * 0.8, "slower than the budget for a while"


async def test_the_budget_of_all_accounts_together_is_shared_too(
    provider: Provider, connector_database: ServiceDatabase
) -> None:
    """Every account within its own, our application would be refused for all of them."""
    application = Pace(30, 5)
    made = [Replica(provider, connector_database.app_url, application=application) for _ in range(2)]
    until = time.monotonic() + 2
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for replica in made:
            for account in ("a1", "a2", "a3"):
                group.create_task(replica.work(account, until))
    for each in made:
        await each.close()
    everything = [at for who, at in provider.asked if who in ("a1", "a2", "a3")]
    assert busiest(everything) <= 5 + 30 + ON_THEIR_WAY
    counts = [len(provider.instants(account)) for account in ("a1", "a2", "a3")]
    assert min(counts) > sum(counts) / 6, counts
