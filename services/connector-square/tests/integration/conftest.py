"""One sandbox process for all tests, emptied before each; the connector speaks to it over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from suppli_connector_kit.client import Budget
from suppli_connector_kit.protocol import Application, Tokens
from suppli_connector_kit.testing.sessions import HeldSession as HeldSession
from suppli_connector_square.connector import SquareConnector
from suppli_sandbox.client import ApplicationSpec, LocationSpec, MerchantSpec, SandboxControl, SandboxProcess
from suppli_service_kit.http_client import RetryPolicy

CALLBACK = "http://localhost:9999/callback"
APPLICATION = Application("sandbox-sq0idb-suppli", "s3cret")
MERCHANT = "M1"


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(token="control", arguments=["--client-secret", "s3cret"]) as process:
        yield process


@pytest.fixture
def control(sandbox: SandboxProcess) -> SandboxControl:
    sandbox.control.reset()
    sandbox.control.configure_application(ApplicationSpec(redirect_urls=(CALLBACK,)))
    places = (
        LocationSpec(id="L1", name="Main", timezone="America/New_York"),
        LocationSpec(id="L2", name="Annex", status="INACTIVE"),
    )
    sandbox.control.create_merchant(MerchantSpec(id=MERCHANT, name="Cafe", locations=places))
    return sandbox.control


@pytest.fixture
async def connector(sandbox: SandboxProcess) -> AsyncIterator[SquareConnector]:
    budget = Budget(rate=1000, burst=1000, retries=RetryPolicy(attempts=3, base=0.01, cap=2))
    client = SquareConnector.client(sandbox.url, budget=budget)
    yield SquareConnector(client)
    await client.close()


@pytest.fixture
def session(control: SandboxControl, connector: SquareConnector) -> HeldSession:
    issued = control.issue_tokens(MERCHANT)
    tokens = Tokens(issued.access_token, issued.refresh_token, account_id=MERCHANT)
    return HeldSession(connector, APPLICATION, tokens)
