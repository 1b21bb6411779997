"""OAuth 2.0 as most providers do it: the authorization code flow with a client secret, JSON both ways."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar
from urllib.parse import urlencode

from suppli_contracts.internal import AuthorizeRequest, Manifest

from suppli_connector_kit.client import ProviderClient
from suppli_connector_kit.errors import AuthError, CodeRefused, ProviderRefused
from suppli_connector_kit.protocol import Application, Tokens


class CodeFlow(ABC):
    """The part of a `Connector` that gets and renews tokens.

    Attributes:
        authorize_path, token_path: where the consent page is, and where codes and refresh tokens are traded.
        authorize_query: what the provider wants to be told at the consent page besides the standard.
    """

    manifest: Manifest
    authorize_path: ClassVar[str] = "/oauth2/authorize"
    token_path: ClassVar[str] = "/oauth2/token"  # noqa: S105 - a path, no secret
    authorize_query: ClassVar[Mapping[str, str]] = {}

    def __init__(self, client: ProviderClient) -> None:
        self._client = client

    @abstractmethod
    def read_tokens(self, body: bytes) -> Tokens:
        """Return what the token endpoint answered; raises `ValueError` where that is no such answer."""

    async def ping(self) -> None:
        """Ask whether the provider answers at all; see the protocol."""
        await self._client.ping()

    async def authorize_url(self, application: Application, request: AuthorizeRequest) -> str:
        """Return the consent page's address for the manifest's scopes."""
        query = {
            "client_id": application.client_id,
            "scope": " ".join(scope.name for scope in self.manifest.scopes),
            "state": request.state,
            "redirect_uri": request.redirect_uri,
            **self.authorize_query,
        }
        return f"{self._client.base_url}{self.authorize_path}?{urlencode(query)}"

    async def exchange(
        self, application: Application, *, code: str, redirect_uri: str, environment: str
    ) -> Tokens:
        """Trade a code; once only, as a repeat after a lost reply would find it used."""
        grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        try:
            tokens = await self._grant(application, grant, retry=False)
        except (AuthError, ProviderRefused) as error:
            name = self.manifest.name
            problem = f"{name} did not accept the authorization code: please connect again"
            raise CodeRefused(problem) from error
        return replace(tokens, environment=environment)

    async def refresh(self, application: Application, tokens: Tokens) -> Tokens:
        """Return new tokens; a refresh token that does not come back stays good."""
        if tokens.refresh_token is None:
            raise AuthError("there is no refresh token: the account must be authorized again")
        reusable = self.manifest.refresh_tokens == "reusable"  # else a repeat could find it spent
        grant = {"grant_type": "refresh_token", "refresh_token": tokens.refresh_token}
        renewed = await self._grant(application, grant, retry=reusable)
        kept = renewed.refresh_token or tokens.refresh_token
        return replace(renewed, refresh_token=kept, environment=tokens.environment)

    async def _grant(self, application: Application, grant: Mapping[str, str], *, retry: bool) -> Tokens:
        credentials = {"client_id": application.client_id, "client_secret": application.client_secret}
        body = {**credentials, **grant}
        return await self._client.post(self.token_path, body, self.read_tokens, retry=retry)
