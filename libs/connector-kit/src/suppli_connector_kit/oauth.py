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
        authorize_path, token_path, refresh_path: where the consent page is, and where codes and refresh
            tokens are traded; `refresh_path` empty: where codes are.
        authorize_query: what the provider wants to be told at the consent page besides the standard.
        asks_scopes: whether the consent page is told our scopes; else they are the application's.
    """

    manifest: Manifest
    authorize_path: ClassVar[str] = "/oauth2/authorize"
    token_path: ClassVar[str] = "/oauth2/token"  # noqa: S105 - a path, no secret
    refresh_path: ClassVar[str] = ""
    authorize_query: ClassVar[Mapping[str, str]] = {}
    asks_scopes: ClassVar[bool] = True

    def __init__(self, client: ProviderClient, *, web_url: str = "") -> None:
        """`web_url`: where people sign in, if that is not where the API is."""
        self._client = client
        self._web_url = web_url.rstrip("/") or client.base_url

    @abstractmethod
    def read_tokens(self, body: bytes) -> Tokens:
        """Return what the token endpoint answered; raises `ValueError` where that is no such answer."""

    async def ping(self) -> None:
        """Ask whether the provider answers at all; see the protocol."""
        await self._client.ping()

    def code_grant(self, application: Application, code: str, redirect_uri: str) -> Mapping[str, str]:
        """Return what trades a code for tokens."""
        credentials = {"client_id": application.client_id, "client_secret": application.client_secret}
        grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        return {**credentials, **grant}

    def refresh_grant(self, application: Application, refresh_token: str) -> Mapping[str, str]:
        """Return what trades a refresh token for new tokens."""
        credentials = {"client_id": application.client_id, "client_secret": application.client_secret}
        return {**credentials, "grant_type": "refresh_token", "refresh_token": refresh_token}

    async def authorize_url(self, application: Application, request: AuthorizeRequest) -> str:
        """Return the consent page's address."""
        query = {
            "client_id": application.client_id,
            "state": request.state,
            "redirect_uri": request.redirect_uri,
            **self.authorize_query,
        }
        if self.asks_scopes:
            query["scope"] = " ".join(scope.name for scope in self.manifest.scopes)
        return f"{self._web_url}{self.authorize_path}?{urlencode(query)}"

    async def exchange(
        self, application: Application, *, code: str, redirect_uri: str, environment: str
    ) -> Tokens:
        """Trade a code; once only, as a repeat after a lost reply would find it used."""
        grant = self.code_grant(application, code, redirect_uri)
        try:
            tokens = await self._client.post(self.token_path, grant, self.read_tokens, retry=False)
        except (AuthError, ProviderRefused) as error:
            name = self.manifest.name
            problem = f"{name} did not accept the authorization code: please connect again"
            raise CodeRefused(problem) from error
        return replace(tokens, environment=environment)

    def sign_in(self, credentials: Mapping[str, str]) -> Tokens:
        """Refuse: this provider is connected by a redirect alone."""
        raise CodeRefused(
            f"{self.manifest.name} accounts are connected at {self.manifest.name}, nothing is typed"
        )

    async def refresh(self, application: Application, tokens: Tokens) -> Tokens:
        """Return new tokens; a refresh token that does not come back stays good."""
        if tokens.refresh_token is None:
            raise AuthError("there is no refresh token: the account must be authorized again")
        reusable = self.manifest.refresh_tokens == "reusable"  # else a repeat could find it spent
        grant = self.refresh_grant(application, tokens.refresh_token)
        path = self.refresh_path or self.token_path
        renewed = await self._client.post(path, grant, self.read_tokens, retry=reusable)
        return replace(
            renewed,
            refresh_token=renewed.refresh_token or tokens.refresh_token,
            account_id=renewed.account_id or tokens.account_id,
            environment=tokens.environment,
        )
