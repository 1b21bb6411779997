"""One local Clover for all tests, emptied before each; the connector speaks to it over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from suppli_connector_clover.connector import CloverConnector
from suppli_connector_kit.client import Budget
from suppli_connector_kit.protocol import Application, Tokens
from suppli_connector_kit.testing.sessions import HeldSession as HeldSession
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
    client = CloverConnector.client(sandbox.url, budget=budget)
    yield CloverConnector(client, page_size=PAGE)
    await client.close()


@pytest.fixture
def session(control: CloverControl, connector: CloverConnector) -> HeldSession:
    pair = control.issue_tokens(MERCHANT)
    return HeldSession(
        connector, APPLICATION, Tokens(pair.access_token, pair.refresh_token, account_id=MERCHANT)
    )
