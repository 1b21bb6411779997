"""OAuth 2.0 as most providers do it: the authorization code flow with a client secret, JSON both ways."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlencode

import httpx
import msgspec
from suppli_contracts.internal import Account, AccountLocation, AuthorizeRequest, Manifest

from suppli_connector_kit.client import Budget, ProviderClient
from suppli_connector_kit.domain.instants import instant
from suppli_connector_kit.errors import (
    AuthError,
    CodeRefused,
    CredentialsRefused,
    Gone,
    ProviderError,
    ProviderRefused,
    TokenRevoked,
)
from suppli_connector_kit.faults import Problem, told_by
from suppli_connector_kit.protocol import Application, Session, Tokens


class Withdrawal(NamedTuple):
    """What is sent to withdraw our access."""

    body: Mapping[str, str]
    headers: Mapping[str, str] = {}


def from_seconds(stamp: Any) -> datetime:
    """Return the instant of so many seconds since 1970; raises `ValueError` where that is none."""
    return datetime.fromtimestamp(int(str(stamp)), UTC)


@dataclass(frozen=True, slots=True)
class TokenFields:
    """What a provider's token endpoint calls what it answers.

    Attributes:
        expires, refresh_expires: the ends of both tokens, where it tells them.
        account: whose tokens they are, where it tells that.
        stamp: reads the ends.
    """

    access: str = "access_token"
    refresh: str = "refresh_token"
    expires: str = "expires_at"
    refresh_expires: str = "refresh_token_expires_at"
    account: str = ""
    stamp: Callable[[Any], datetime] = instant

    def read(self, body: bytes) -> Tokens:
        """Return the tokens; raises `ValueError` where that is no such answer."""
        answer = msgspec.json.decode(body, type=dict[str, Any])
        access = answer.get(self.access)
        if not isinstance(access, str) or not access:
            raise ValueError("there is no access token in the answer")
        return Tokens(
            access_token=access,
            refresh_token=answer.get(self.refresh) or None,
            expires_at=self._end(answer.get(self.expires)),
            refresh_expires_at=self._end(answer.get(self.refresh_expires)),
            account_id=str(answer.get(self.account) or ""),
        )

    def _end(self, stamp: Any) -> datetime | None:
        try:
            return self.stamp(stamp) if stamp else None
        except TypeError as error:
            raise ValueError("not an instant") from error


def account_of(
    session: Session, account_id: str, name: str | None, locations: Iterable[AccountLocation]
) -> Account:
    """Return the account that a session stands for; nameless, it goes by its id."""
    return Account(
        account_id=account_id,
        name=name or account_id,
        environment=session.environment,
        locations=tuple(locations),
    )


def location_of(
    location_id: str, name: str | None, timezone: str | None, currency: str | None, *, active: bool = True
) -> AccountLocation:
    """Return a place of business as people choose from; nameless, it goes by its id."""
    return AccountLocation(
        location_id=location_id,
        name=name or location_id,
        timezone=timezone,
        currency=currency,
        active=active,
    )


_anything = msgspec.json.Decoder().decode


class CodeFlow(ABC):
    """The part of a `Connector` that asks over HTTP, and gets and renews tokens.

    Attributes:
        problem: how the provider's error bodies look.
        codes, unauthorized: see `faults.told_by`.
        headers: sent with every call.
        token_fields: what the token endpoint calls what it answers.
        names_grants: whether the token endpoint is told `grant_type` and `redirect_uri`, by the standard.
        refreshes_with_secret: whether a refresh wants our secret.
        revoke_path: where access is withdrawn; empty: there is no such call, an account's owner does it.
        authorize_path, token_path, refresh_path: where the consent page is, and where codes and refresh
            tokens are traded; `refresh_path` empty: where codes are.
        authorize_query: what the provider wants to be told at the consent page besides the standard.
        asks_scopes: whether the consent page is told our scopes; else they are the application's.
    """

    manifest: Manifest
    problem: ClassVar[type[Problem]]
    codes: ClassVar[Mapping[str, type[ProviderError]]] = {}
    unauthorized: ClassVar[type[ProviderError] | None] = None
    headers: ClassVar[Mapping[str, str]] = {}
    token_fields: ClassVar[TokenFields] = TokenFields()
    names_grants: ClassVar[bool] = True
    refreshes_with_secret: ClassVar[bool] = True
    revoke_path: ClassVar[str] = ""
    authorize_path: ClassVar[str] = "/oauth2/authorize"
    token_path: ClassVar[str] = "/oauth2/token"  # noqa: S105 - a path, no secret
    refresh_path: ClassVar[str] = ""
    authorize_query: ClassVar[Mapping[str, str]] = {}
    asks_scopes: ClassVar[bool] = True

    def __init__(self, client: ProviderClient, *, web_url: str = "", page_size: int | None = None) -> None:
        """Take what it asks with.

        Args:
            client: e.g. one that `client` returns.
            web_url: where people sign in, if that is not where the API is.
            page_size: orders a page; by default as many as the manifest says.
        """
        self._client = client
        self._web_url = web_url.rstrip("/") or client.base_url
        self._page_size = page_size or self.manifest.page_size

    @classmethod
    def client(
        cls,
        base_url: str,
        *,
        budget: Budget | None = None,
        headers: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> ProviderClient:
        """Return a client of this provider; `headers` in place of those of the class."""
        name = cls.manifest.name
        return ProviderClient(
            base_url,
            name=name,
            failure=told_by(name, cls.problem, codes=cls.codes, unauthorized=cls.unauthorized),
            headers=cls.headers if headers is None else headers,
            budget=budget,
            transport=transport,
        )

    def read_tokens(self, body: bytes) -> Tokens:
        """Return what the token endpoint answered; raises `ValueError` where that is no such answer."""
        return self.token_fields.read(body)

    async def ping(self) -> None:
        """Ask whether the provider answers at all; see the protocol."""
        await self._client.ping()

    def code_grant(self, application: Application, code: str, redirect_uri: str) -> Mapping[str, str]:
        """Return what trades a code for tokens."""
        standard = {"grant_type": "authorization_code", "redirect_uri": redirect_uri}
        return {
            "client_id": application.client_id,
            "client_secret": application.client_secret,
            "code": code,
            **(standard if self.names_grants else {}),
        }

    def refresh_grant(self, application: Application, refresh_token: str) -> Mapping[str, str]:
        """Return what trades a refresh token for new tokens."""
        secret = {"client_secret": application.client_secret}
        return {
            "client_id": application.client_id,
            **(secret if self.refreshes_with_secret else {}),
            **({"grant_type": "refresh_token"} if self.names_grants else {}),
            "refresh_token": refresh_token,
        }

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
        """Return what was typed by the manifest's fields: the secret one is the token, the other the account.

        Raises:
            CodeRefused: nothing is typed at this provider, or not this.
        """
        name, fields = self.manifest.name, self.manifest.credentials
        if not fields:
            raise CodeRefused(f"{name} accounts are connected at {name}, nothing is typed")
        typed = {field.secret: credentials[field.name].strip() for field in fields}
        account, token = typed.get(False, ""), typed[True]
        if not (account.isascii() and account.isalnum()) or not (token.isascii() and token.isprintable()):
            raise CodeRefused(
                "an account's ID has letters and digits alone, a token no blanks: look at both again"
            )
        return Tokens(access_token=token, account_id=account)

    async def revoke(self, application: Application, tokens: Tokens) -> None:
        """Withdraw our access, where the provider has a call for it; quiet when it is withdrawn already."""
        if not self.revoke_path:
            return
        body, headers = self.revocation(application, tokens)
        try:
            await self._client.post(self.revoke_path, body, _anything, headers=headers, retry=True)
        except (Gone, TokenRevoked):
            return
        except AuthError as error:
            problem = f"{self.manifest.name} refused to revoke: {CredentialsRefused.advice}"
            raise CredentialsRefused(problem) from error

    def revocation(self, application: Application, tokens: Tokens) -> Withdrawal:
        """Return what withdraws our access, by RFC 7009."""
        credentials = {"client_id": application.client_id, "client_secret": application.client_secret}
        return Withdrawal({**credentials, "token": tokens.refresh_token or tokens.access_token})

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
