"""One sandbox process for all tests, reset before each; the official SDK speaks to it over HTTP."""

from collections.abc import Iterator

import httpx
import pytest
from suppli_sandbox.client import ApplicationSpec, LocationSpec, MerchantSpec, SandboxControl, SandboxProcess

CALLBACK = "http://localhost:9999/callback"
CONTROL_TOKEN = "control"


@pytest.fixture(scope="session")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(token=CONTROL_TOKEN, arguments=["--client-secret", "s3cret"]) as process:
        yield process


@pytest.fixture
def control(sandbox: SandboxProcess) -> SandboxControl:
    sandbox.control.reset()
    sandbox.control.configure_application(ApplicationSpec(redirect_urls=(CALLBACK,)))
    places = (LocationSpec(id="L1", name="Main"), LocationSpec(id="L2", name="Annex", status="INACTIVE"))
    sandbox.control.create_merchant(MerchantSpec(id="M1", name="Cafe", locations=places))
    return sandbox.control


@pytest.fixture
def web(sandbox: SandboxProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.url, trust_env=False) as client:
        yield client
