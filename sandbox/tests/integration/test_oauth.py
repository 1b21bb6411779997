"""Connecting a shop: consent, tokens, refresh, revocation, as the real Square behaves."""

import base64
import hashlib
from typing import Any

import httpx
import pytest
from suppli_sandbox.client import FaultSpec, MerchantSettings, SandboxControl, SandboxProcess

CALLBACK = "http://localhost:9999/callback"
CLIENT = {"client_id": "sandbox-sq0idb-suppli"}
SECRET = {"client_secret": "s3cret"}


def consent(web: httpx.Client, **more: str) -> httpx.URL:
    query = {**CLIENT, "scope": "ORDERS_READ MERCHANT_PROFILE_READ", "state": "st", "redirect_uri": CALLBACK}
    answer = web.get("/oauth2/authorize", params={**query, "merchant": "M1", "auto": "allow", **more})
    assert answer.status_code == 302, answer.text
    return httpx.URL(answer.headers["location"])


def exchange(web: httpx.Client, code: str, **more: Any) -> httpx.Response:
    body = {**CLIENT, **SECRET, "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    return web.post("/oauth2/token", json={**body, **more})


def refresh(web: httpx.Client, token: str) -> httpx.Response:
    return web.post(
        "/oauth2/token", json={**CLIENT, **SECRET, "grant_type": "refresh_token", "refresh_token": token}
    )


def locations(web: httpx.Client, token: str) -> httpx.Response:
    return web.get("/v2/locations", headers={"authorization": f"Bearer {token}"})


def code_of(answer: httpx.Response) -> str:
    assert answer.status_code >= 400, answer.text
    return str(answer.json()["errors"][0]["code"])


def test_code_flow_gives_tokens_that_work_and_one_refresh_token_for_ever(
    control: SandboxControl, web: httpx.Client
) -> None:
    """A refresh token that changed here would hide that the real one may be reused after a lost reply."""
    back = consent(web)
    assert dict(back.params)["state"] == "st"
    first = exchange(web, back.params["code"]).json()
    again = refresh(web, first["refresh_token"]).json()
    assert again["refresh_token"] == first["refresh_token"]
    assert again["access_token"] != first["access_token"]
    assert "refresh_token_expires_at" not in first
    for token in (first["access_token"], again["access_token"]):
        assert locations(web, token).status_code == 200


def test_a_code_is_spent_once_and_dies_after_five_minutes(control: SandboxControl, web: httpx.Client) -> None:
    """A code that worked twice would hide a double exchange."""
    code = consent(web).params["code"]
    assert exchange(web, code).status_code == 200
    assert code_of(exchange(web, code)) == "UNAUTHORIZED"
    late = consent(web).params["code"]
    control.advance_clock(300)
    assert code_of(exchange(web, late)) == "UNAUTHORIZED"


def test_denial_and_foreign_redirects(control: SandboxControl, web: httpx.Client) -> None:
    """Denied consent goes back with its reason; an unregistered address is never redirected to."""
    denied = consent(web, auto="deny")
    assert dict(denied.params) == {
        "error": "access_denied",
        "error_description": "user_denied",
        "state": "st",
    }
    evil = web.get(
        "/oauth2/authorize", params={**CLIENT, "redirect_uri": "http://evil.example", "auto": "allow"}
    )
    assert evil.status_code == 400
    assert "location" not in evil.headers
    wrong = exchange(web, consent(web).params["code"], redirect_uri=CALLBACK + "/other")
    assert code_of(wrong) == "UNAUTHORIZED"


def test_the_consent_page_has_buttons_that_work(control: SandboxControl, web: httpx.Client) -> None:
    """A person trying the demo by hand must get through."""
    query = {**CLIENT, "scope": "ORDERS_READ", "state": "<s>", "redirect_uri": CALLBACK}
    page = web.get("/oauth2/authorize", params=query)
    assert "ORDERS_READ" in page.text
    assert "<s>" not in page.text
    answer = web.post("/oauth2/authorize", data={**query, "merchant": "M1", "decision": "allow"})
    assert httpx.URL(answer.headers["location"]).params["state"] == "<s>"


def test_pkce_makes_refresh_tokens_single_use(control: SandboxControl, web: httpx.Client) -> None:
    """The rotating kind must refuse a spent token, or a lost reply would look harmless."""
    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    code = consent(web, code_challenge=challenge).params["code"]
    assert code_of(exchange(web, code, code_verifier="wrong")) == "UNAUTHORIZED"
    first = exchange(web, code, code_verifier=verifier).json()
    second = refresh(web, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert "refresh_token_expires_at" in second
    assert code_of(refresh(web, first["refresh_token"])) == "UNAUTHORIZED"
    assert refresh(web, second["refresh_token"]).status_code == 200


def test_single_use_can_be_forced_and_a_lost_reply_spends_the_token(
    control: SandboxControl, web: httpx.Client
) -> None:
    """The worst case of a refresh: it took effect and nobody heard."""
    control.configure_merchant("M1", MerchantSettings(refresh_kind="single_use"))
    first = exchange(web, consent(web).params["code"]).json()
    control.set_faults("M1", FaultSpec(kind="lost_reply", operation="ObtainToken"))
    with pytest.raises(httpx.TransportError):
        refresh(web, first["refresh_token"])
    assert code_of(refresh(web, first["refresh_token"])) == "UNAUTHORIZED"
    assert locations(web, first["access_token"]).status_code == 200


def test_tokens_expire_by_the_sandbox_clock(control: SandboxControl, web: httpx.Client) -> None:
    """Expiry must be reachable without waiting thirty days."""
    control.configure_merchant("M1", MerchantSettings(access_token_seconds=60))
    token = exchange(web, consent(web).params["code"]).json()["access_token"]
    control.advance_clock(61)
    assert code_of(locations(web, token)) == "ACCESS_TOKEN_EXPIRED"


def test_revocation_scopes_and_status(control: SandboxControl, web: httpx.Client) -> None:
    """After a revocation nothing may work; without a scope, only what needs it fails."""
    token = exchange(web, consent(web).params["code"]).json()
    bearer = {"authorization": f"Bearer {token['access_token']}"}
    status = web.post("/oauth2/token/status", headers=bearer).json()
    assert status["merchant_id"] == "M1"
    assert status["scopes"] == ["ORDERS_READ", "MERCHANT_PROFILE_READ"]
    missing = web.get("/v2/catalog/list", headers=bearer)
    assert (missing.status_code, code_of(missing)) == (403, "INSUFFICIENT_SCOPES")
    body = {**CLIENT, "access_token": token["access_token"]}
    assert web.post("/oauth2/revoke", json=body, headers=bearer).status_code == 401
    done = web.post("/oauth2/revoke", json=body, headers={"authorization": "Client s3cret"})
    assert done.json() == {"success": True}
    assert code_of(locations(web, token["access_token"])) == "ACCESS_TOKEN_REVOKED"
    assert code_of(refresh(web, token["refresh_token"])) == "UNAUTHORIZED"


def test_flat_error_bodies_on_request(control: SandboxControl, web: httpx.Client) -> None:
    """Users saw this older shape; a client that reads only errors[] would show an empty reason."""
    control.configure_merchant("M1", MerchantSettings(legacy_oauth_errors=True))
    code = consent(web).params["code"]
    answer = exchange(web, code, client_secret="wrong")
    assert answer.json() == {"message": "The client_secret is wrong.", "type": "service.not_authorized"}


def test_the_control_api_wants_its_token(sandbox: SandboxProcess) -> None:
    """Anybody on the machine could otherwise read a merchant's tokens."""
    assert httpx.get(f"{sandbox.url}/_control/merchants", trust_env=False).status_code == 401
