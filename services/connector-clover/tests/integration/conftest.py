"""One local Clover for all tests, emptied before each; the connector speaks to it over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import pytest
from suppli_connector_clover.client import clover_client
from suppli_connector_clover.connector import CloverConnector
from suppli_connector_kit.client import Budget
from suppli_connector_kit.errors import AuthError
from suppli_connector_kit.protocol import Application, Tokens
from suppli_sandbox.clover.client import (
    CloverApplicationSpec,
    CloverControl,
    CloverMerchantSpec,
    CloverProcess,
)
from suppli_service_kit.http_client import RetryPolicy

CALLBACK = "http://localhost:9999/callback"
APPLICATION = Application("SUPPLIAPP0001", "s3cret")
MERCHANT = "CLOVERTEST001"
PAGE = 20


@dataclass
class HeldSession:
    """An account whose tokens the test holds; renewed through the connector, as the keeper would."""

    connector: CloverConnector
    tokens: Tokens
    renewals: list[str] = field(default_factory=list)
    environment: str = "production"

    @property
    def account_id(self) -> str:
        return self.tokens.account_id

    async def access_token(self) -> str:
        return self.tokens.access_token

    async def superseding(self, refused: str) -> str | None:
        return None

    async def renewed(self, refused: str) -> str:
        if self.tokens.refresh_token is None:
            raise AuthError("no refresh token")
        self.renewals.append(refused)
        self.tokens = await self.connector.refresh(APPLICATION, self.tokens)
        return self.tokens.access_token


@pytest.fixture(scope="session")
def sandbox() -> Iterator[CloverProcess]:
    with CloverProcess(token="control", arguments=["--client-secret", "s3cret"]) as process:
        yield process


@pytest.fixture
def control(sandbox: CloverProcess) -> CloverControl:
    sandbox.control.reset()
    sandbox.control.configure_application(
        CloverApplicationSpec(
            redirect_urls=(CALLBACK,),
            token_limit=0,
            token_concurrent_limit=0,
            cross_token_limit=0,
            cross_token_concurrent_limit=0,
        )
    )
    sandbox.control.create_merchant(
        CloverMerchantSpec(id=MERCHANT, name="Bakery", timezone="America/New_York")
    )
    return sandbox.control


@pytest.fixture
async def connector(sandbox: CloverProcess) -> AsyncIterator[CloverConnector]:
    budget = Budget(rate=1000, burst=1000, retries=RetryPolicy(attempts=3, base=0.01, cap=2))
    client = clover_client(sandbox.url, budget=budget)
    yield CloverConnector(client, page_size=PAGE)
    await client.close()


@pytest.fixture
def session(control: CloverControl, connector: CloverConnector) -> HeldSession:
    pair = control.issue_tokens(MERCHANT)
    return HeldSession(connector, Tokens(pair.access_token, pair.refresh_token, account_id=MERCHANT))
