"""OAuth 2.0 at Square: the code flow with the client secret, whose refresh tokens may be used again."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import msgspec
from suppli_connector_kit.client import ProviderClient
from suppli_connector_kit.errors import AuthError, CodeRefused, ProviderRefused
from suppli_connector_kit.protocol import Application, Tokens
from suppli_contracts.internal import AuthorizeRequest

from suppli_connector_square.adapters.faults import Gone, TokenRevoked
from suppli_connector_square.domain.reading import instant
from suppli_connector_square.manifest import MANIFEST


class _TokenAnswer(msgspec.Struct):
    access_token: str
    merchant_id: str
    refresh_token: str | None = None
    expires_at: str | None = None
    refresh_token_expires_at: str | None = None


_TOKENS = msgspec.json.Decoder(_TokenAnswer)
_ANYTHING = msgspec.json.Decoder()


def authorize_url(base_url: str, application: Application, request: AuthorizeRequest) -> str:
    """Return the consent page's address; `session=false` lets a person choose the account."""
    query = {
        "client_id": application.client_id,
        "scope": " ".join(scope.name for scope in MANIFEST.scopes),
        "session": "false",
        "state": request.state,
        "redirect_uri": request.redirect_uri,
    }
    return f"{base_url}/oauth2/authorize?{urlencode(query)}"


async def exchange(
    client: ProviderClient, application: Application, *, code: str, redirect_uri: str, environment: str
) -> Tokens:
    """Trade a code; once only, as a repeat after a lost reply would find it used."""
    grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    try:
        answer = await client.post(
            "/oauth2/token", _credentials(application) | grant, _TOKENS.decode, retry=False
        )
    except (AuthError, ProviderRefused) as error:
        raise CodeRefused("Square did not accept the authorization code: please connect again") from error
    return _tokens(answer, environment)


async def refresh(client: ProviderClient, application: Application, tokens: Tokens) -> Tokens:
    """Return new tokens; the same refresh token comes back and stays good."""
    if tokens.refresh_token is None:
        raise AuthError("there is no refresh token: the account must be authorized again")
    grant = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
    answer = await client.post("/oauth2/token", _credentials(application) | grant, _TOKENS.decode, retry=True)
    renewed = _tokens(answer, tokens.environment)
    return renewed if renewed.refresh_token else replace(renewed, refresh_token=tokens.refresh_token)


async def revoke(client: ProviderClient, application: Application, tokens: Tokens) -> None:
    """Withdraw every token of ours for the account."""
    whose = {"merchant_id": tokens.account_id} if tokens.account_id else {"access_token": tokens.access_token}
    try:
        await client.post(
            "/oauth2/revoke",
            {"client_id": application.client_id} | whose,
            _ANYTHING.decode,
            headers={"Authorization": f"Client {application.client_secret}"},
            retry=True,
        )
    except (Gone, TokenRevoked):
        return  # withdrawn already


def _credentials(application: Application) -> dict[str, str]:
    return {"client_id": application.client_id, "client_secret": application.client_secret}


def _tokens(answer: _TokenAnswer, environment: str) -> Tokens:
    return Tokens(
        access_token=answer.access_token,
        refresh_token=answer.refresh_token,
        expires_at=instant(answer.expires_at) if answer.expires_at else None,
        refresh_expires_at=(
            instant(answer.refresh_token_expires_at) if answer.refresh_token_expires_at else None
        ),
        account_id=answer.merchant_id,
        environment=environment,
    )
