"""Authorization codes, access tokens and refresh tokens of the one application."""

import secrets
from dataclasses import dataclass, field

from suppli_sandbox.square.errors import SquareError
from suppli_sandbox.times import DAY, SECOND

CODE_LIFE_US = 300 * SECOND
ACCESS_LIFE_SECONDS = 30 * 86_400
SHORT_LIFE_SECONDS = 86_400
PKCE_REFRESH_LIFE_US = 90 * DAY


@dataclass(slots=True)
class Code:
    """An authorization code: single use, five minutes, bound to its redirect URL and PKCE challenge."""

    merchant_id: str
    scopes: tuple[str, ...]
    redirect_uri: str | None
    challenge: str | None
    expires_us: int
    used: bool = False


@dataclass(slots=True)
class AccessToken:
    """A bearer token of one merchant."""

    value: str
    merchant_id: str
    scopes: tuple[str, ...]
    expires_us: int
    short_lived: bool = False
    revoked: bool = False


@dataclass(slots=True)
class RefreshToken:
    """A refresh token; `expires_us` None never expires, `single_use` ends with its first exchange."""

    value: str
    merchant_id: str
    scopes: tuple[str, ...]
    single_use: bool
    pkce: bool
    expires_us: int | None
    used: bool = False
    revoked: bool = False


@dataclass(slots=True)
class TokenBook:
    """Every code and token that was issued, by its value."""

    codes: dict[str, Code] = field(default_factory=dict)
    access: dict[str, AccessToken] = field(default_factory=dict)
    refresh: dict[str, RefreshToken] = field(default_factory=dict)

    def issue_code(self, code: Code) -> str:
        """Keep a new code and return its value."""
        value = "sandbox-sq0cgb-" + secrets.token_urlsafe(32)
        self.codes[value] = code
        return value

    def issue_access(
        self, merchant_id: str, scopes: tuple[str, ...], expires_us: int, *, short_lived: bool = False
    ) -> AccessToken:
        """Issue a new access token."""
        token = AccessToken("EAAA" + secrets.token_urlsafe(45), merchant_id, scopes, expires_us, short_lived)
        self.access[token.value] = token
        return token

    def issue_refresh(
        self, merchant_id: str, scopes: tuple[str, ...], *, single_use: bool, pkce: bool, now_us: int
    ) -> RefreshToken:
        """Issue a new refresh token; single-use ones live 90 days, reusable ones for ever."""
        expires = now_us + PKCE_REFRESH_LIFE_US if single_use else None
        token = RefreshToken(
            "EQAA" + secrets.token_urlsafe(45), merchant_id, scopes, single_use, pkce, expires
        )
        self.refresh[token.value] = token
        return token

    def bearer(self, value: str | None, now_us: int) -> AccessToken:
        """Return a live access token. Raises 401 with the code that says what is wrong with it."""
        token = self.access.get(value or "")
        if token is None:
            raise SquareError(401, "UNAUTHORIZED", "This request could not be authorized.")
        if token.revoked:
            raise SquareError(401, "ACCESS_TOKEN_REVOKED", "The provided access token has been revoked.")
        if now_us >= token.expires_us:
            raise SquareError(401, "ACCESS_TOKEN_EXPIRED", "The provided access token has expired.")
        return token

    def redeem_code(self, value: str, now_us: int) -> Code:
        """Return an unused, unexpired code. Raises 401; using it up is the caller's step."""
        code = self.codes.get(value)
        if code is None or code.used or now_us >= code.expires_us:
            raise SquareError(401, "UNAUTHORIZED", "Authorization code is invalid, expired or already used.")
        return code

    def redeem_refresh(self, value: str, now_us: int) -> RefreshToken:
        """Return a refresh token that may be exchanged. Raises 401."""
        token = self.refresh.get(value)
        dead = token is None or token.revoked or token.used
        if token is None or dead or (token.expires_us is not None and now_us >= token.expires_us):
            raise SquareError(
                401, "UNAUTHORIZED", "Refresh token is invalid, expired, revoked or already used."
            )
        return token

    def revoke_merchant(self, merchant_id: str) -> None:
        """Revoke every token of a merchant."""
        for access in self.access.values():
            if access.merchant_id == merchant_id:
                access.revoked = True
        for refresh in self.refresh.values():
            if refresh.merchant_id == merchant_id:
                refresh.revoked = True

    def remove_scopes(self, merchant_id: str, scopes: tuple[str, ...]) -> None:
        """Take scopes away from every token of a merchant."""
        held: list[AccessToken | RefreshToken] = [*self.access.values(), *self.refresh.values()]
        for token in held:
            if token.merchant_id == merchant_id:
                token.scopes = tuple(scope for scope in token.scopes if scope not in scopes)
