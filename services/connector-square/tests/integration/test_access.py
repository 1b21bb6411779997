"""Consent, tokens and faults over real HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from suppli_connector_kit.client import Budget
from suppli_connector_kit.errors import (
    AuthError,
    CodeRefused,
    CredentialsRefused,
    MissingScope,
    NetworkError,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from suppli_connector_kit.protocol import Application, Tokens
from suppli_connector_square.connector import SquareConnector
from suppli_contracts.internal import AuthorizeRequest
from suppli_sandbox.client import FaultSpec, SandboxControl, TokenSpec
from suppli_service_kit.http_client import RetryPolicy

from .conftest import APPLICATION, CALLBACK, MERCHANT, HeldSession


async def consent(connector: SquareConnector, answer: str) -> dict[str, list[str]]:
    request = AuthorizeRequest(state="state-1", redirect_uri=CALLBACK, environment="production")
    url = httpx.URL(await connector.authorize_url(APPLICATION, request))
    async with httpx.AsyncClient(trust_env=False) as browser:
        reply = await browser.get(url, params={**url.params, "auto": answer, "merchant": MERCHANT})
    assert reply.status_code == 302
    return parse_qs(urlsplit(reply.headers["location"]).query)


async def exchanged(connector: SquareConnector, code: str) -> Tokens:
    return await connector.exchange(APPLICATION, code=code, redirect_uri=CALLBACK, environment="production")


async def test_connect_refresh_and_revoke(control: SandboxControl, connector: SquareConnector) -> None:
    """The whole life of a connection: without it nobody gets in, or we stay in after being sent away."""
    answer = await consent(connector, "allow")
    assert answer["state"] == ["state-1"]
    tokens = await exchanged(connector, answer["code"][0])
    assert tokens.account_id == MERCHANT
    assert tokens.expires_at is not None
    assert tokens.refresh_token is not None
    assert tokens.refresh_token not in repr(tokens)
    session = HeldSession(connector, APPLICATION, tokens)
    account = await connector.account(session)
    assert (account.account_id, account.name) == (MERCHANT, "Cafe")
    assert {(place.location_id, place.active) for place in account.locations} == {("L1", True), ("L2", False)}
    assert {place.timezone for place in account.locations} == {"America/New_York"}

    renewed = await connector.refresh(APPLICATION, tokens)
    assert renewed.access_token != tokens.access_token
    assert renewed.refresh_token == tokens.refresh_token  # reusable: a lost reply costs nothing

    await connector.revoke(APPLICATION, renewed)
    with pytest.raises(AuthError):
        await connector.account(HeldSession(connector, APPLICATION, renewed))
    with pytest.raises(AuthError):
        await connector.refresh(APPLICATION, renewed)
    await connector.revoke(APPLICATION, renewed)  # quiet the second time


async def test_denied_consent_comes_back_with_its_state(
    control: SandboxControl, connector: SquareConnector
) -> None:
    """Who says no must not end on an error page."""
    answer = await consent(connector, "deny")
    assert answer["error"] == ["access_denied"]
    assert answer["state"] == ["state-1"]


async def test_used_code_and_wrong_secret(control: SandboxControl, connector: SquareConnector) -> None:
    """A replayed code must not connect anybody."""
    code = (await consent(connector, "allow"))["code"][0]
    await exchanged(connector, code)
    with pytest.raises(CodeRefused) as refused:
        await exchanged(connector, code)
    assert code not in str(refused.value)
    wrong = Application(APPLICATION.client_id, "wrong")
    fresh = (await consent(connector, "allow"))["code"][0]
    with pytest.raises(CodeRefused):
        await connector.exchange(wrong, code=fresh, redirect_uri=CALLBACK, environment="production")


async def test_revocation_with_a_wrong_secret_is_not_taken_for_done(
    control: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """Our access would stay although we said that it was withdrawn."""
    with pytest.raises(CredentialsRefused):
        await connector.revoke(Application(APPLICATION.client_id, "wrong"), session.tokens)
    assert (await connector.account(session)).account_id == MERCHANT


async def test_lost_reply_to_a_refresh_costs_nothing(
    control: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """A cable pulled at the wrong moment must not disconnect a shop."""
    control.set_faults(MERCHANT, FaultSpec(kind="lost_reply", operation="ObtainToken"))
    renewed = await connector.refresh(APPLICATION, session.tokens)
    assert (await connector.account(HeldSession(connector, APPLICATION, renewed))).account_id == MERCHANT


@pytest.mark.parametrize(
    "fault",
    [
        FaultSpec(kind="rate_limit", operation="ListLocations", times=2, retry_after="0"),
        FaultSpec(kind="rate_limit", operation="ListLocations", times=2),
        FaultSpec(kind="server_error", operation="ListLocations", status=503, times=2),
        FaultSpec(kind="server_error", operation="ListLocations", status=500, times=2),
        FaultSpec(kind="reset", operation="ListLocations", times=2),
        FaultSpec(kind="truncated_json", operation="ListLocations", times=2),
        FaultSpec(kind="html", operation="ListLocations", status=200, times=2),
        FaultSpec(kind="html", operation="ListLocations", status=502, times=2),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}-{fault.retry_after}",
)
async def test_passing_fault_is_not_noticed(
    control: SandboxControl, connector: SquareConnector, session: HeldSession, fault: FaultSpec
) -> None:
    """Square hiccups daily; a run must not fail for it."""
    control.set_faults(MERCHANT, fault)
    assert len((await connector.account(session)).locations) == 2


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "rate_limit", "retry_after": "120"}, RateLimited),
        ({"kind": "server_error", "status": 503}, ProviderUnavailable),
        ({"kind": "html", "status": 403}, ProviderUnavailable),
        ({"kind": "html", "status": 200}, ProviderUnavailable),
        ({"kind": "reset"}, NetworkError),
        ({"kind": "legacy_error"}, AuthError),
        ({"kind": "token_revoked"}, AuthError),
        ({"kind": "scope_removed", "scopes": ("MERCHANT_PROFILE_READ",)}, MissingScope),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else value.__name__,
)
async def test_lasting_fault_has_its_class(
    control: SandboxControl,
    connector: SquareConnector,
    session: HeldSession,
    fault: dict[str, Any],
    expected: type[ProviderError],
) -> None:
    """The class decides whether we ask a person: a proxy's 403 page must not send anybody to consent."""
    control.set_faults(MERCHANT, FaultSpec(operation="ListLocations", times=None, **fault))
    with pytest.raises(expected) as failed:
        await connector.account(session)
    assert type(failed.value) is expected or expected is AuthError
    assert session.tokens.access_token not in str(failed.value)
    if expected is RateLimited:
        assert failed.value.retry_after_s == 120


async def test_ended_token_is_replaced_once(
    control: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """A token that ends in the middle of an import must not end the import."""
    old = session.tokens.access_token
    control.set_faults(MERCHANT, FaultSpec(kind="token_expired", operation="ListLocations"))
    assert len((await connector.account(session)).locations) == 2
    assert session.renewals == [old]


async def test_missing_scope_is_told_apart(control: SandboxControl, connector: SquareConnector) -> None:
    """The owner must read which thing to do: grant the permission again."""
    issued = control.issue_tokens(MERCHANT, TokenSpec(scopes=("MERCHANT_PROFILE_READ",)))
    session = HeldSession(connector, APPLICATION, Tokens(issued.access_token, account_id=MERCHANT))
    with pytest.raises(MissingScope):
        await connector.orders_by_id(session, ["O1"])


async def test_unreachable_square_says_that_nothing_was_sent() -> None:
    """A single-use refresh token would otherwise count as spent although nobody saw it."""
    client = SquareConnector.client("http://127.0.0.1:9", budget=Budget(retries=RetryPolicy(attempts=1)))
    with pytest.raises(NetworkError) as failed:
        await SquareConnector(client).refresh(APPLICATION, Tokens("a", "r"))
    assert failed.value.may_have_arrived is False
    await client.close()
