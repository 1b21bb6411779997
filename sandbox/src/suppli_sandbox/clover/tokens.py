"""Codes, expiring token pairs and merchant API tokens of the one application."""

import secrets
import uuid
from dataclasses import dataclass, field

from suppli_sandbox.clover.errors import CloverError, unauthorized
from suppli_sandbox.times import SECOND

CODE_LIFE_US = 600 * SECOND


@dataclass(slots=True)
class Code:
    """An authorization code: single use, ten minutes, bound to its PKCE challenge where it has one."""

    merchant_id: str
    challenge: str | None
    expires_us: int
    used: bool = False


@dataclass(slots=True)
class AccessToken:
    """A bearer token; None as expiry: a merchant API token, with permissions of its own."""

    value: str
    merchant_id: str
    expires_us: int | None
    permissions: tuple[str, ...] | None = None
    revoked: bool = False


@dataclass(slots=True)
class RefreshToken:
    """A refresh token: single use."""

    value: str
    merchant_id: str
    expires_us: int
    used: bool = False


@dataclass(slots=True)
class TokenBook:
    """Every code and token that was issued, by its value."""

    codes: dict[str, Code] = field(default_factory=dict)
    access: dict[str, AccessToken] = field(default_factory=dict)
    refresh: dict[str, RefreshToken] = field(default_factory=dict)

    def issue_code(self, merchant_id: str, challenge: str | None, now_us: int) -> str:
        """Return a new authorization code."""
        value = str(uuid.uuid4())
        self.codes[value] = Code(merchant_id, challenge, now_us + CODE_LIFE_US)
        return value

    def issue_access(self, merchant_id: str, expires_us: int) -> AccessToken:
        """Return a new access token."""
        token = AccessToken(secrets.token_urlsafe(120), merchant_id, expires_us)
        self.access[token.value] = token
        return token

    def issue_api_token(self, merchant_id: str, permissions: tuple[str, ...]) -> AccessToken:
        """Return a new merchant API token, which looks like a UUID."""
        token = AccessToken(str(uuid.uuid4()), merchant_id, None, permissions)
        self.access[token.value] = token
        return token

    def issue_refresh(self, merchant_id: str, expires_us: int) -> RefreshToken:
        """Return a new refresh token."""
        token = RefreshToken(f"clvroar-{secrets.token_hex(20)}", merchant_id, expires_us)
        self.refresh[token.value] = token
        return token

    def bearer(self, value: str | None, now_us: int) -> AccessToken:
        """Return a live access token. Raises 401, the same for whatever is wrong with it."""
        token = self.access.get(value or "")
        if token is None or token.revoked:
            raise unauthorized()
        if token.expires_us is not None and now_us >= token.expires_us:
            raise unauthorized()
        return token

    def redeem_code(self, value: str, now_us: int) -> Code:
        """Return an unused, unexpired code. Raises 401."""
        code = self.codes.get(value)
        if code is None or code.used or now_us >= code.expires_us:
            raise CloverError(401, "Failed to validate authentication code.")
        return code

    def redeem_refresh(self, value: str, now_us: int) -> RefreshToken:
        """Use up a refresh token. Raises 401 where it is unknown, used or expired."""
        token = self.refresh.get(value)
        if token is None or token.used or now_us >= token.expires_us:
            raise CloverError(401, "Failed to validate refresh token.")
        token.used = True
        return token

    def revoke_merchant(self, merchant_id: str) -> None:
        """End every token of a merchant, as uninstalling the app does."""
        for access in self.access.values():
            if access.merchant_id == merchant_id:
                access.revoked = True
        for refresh in self.refresh.values():
            if refresh.merchant_id == merchant_id:
                refresh.used = True
