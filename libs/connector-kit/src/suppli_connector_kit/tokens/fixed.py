"""Tokens that are not renewed: for one question."""

from __future__ import annotations

from dataclasses import dataclass

from suppli_connector_kit.errors import AuthError
from suppli_connector_kit.protocol import Tokens


@dataclass(frozen=True, slots=True)
class FixedSession:
    """An account with the tokens at hand (`Session`)."""

    tokens: Tokens

    @property
    def account_id(self) -> str:
        """The provider's account."""
        return self.tokens.account_id

    @property
    def environment(self) -> str:
        """The provider's environment."""
        return self.tokens.environment

    async def access_token(self) -> str:
        """Return the access token, whether it works or not."""
        return self.tokens.access_token

    async def renewed(self, refused: str) -> str:
        """Raise `AuthError`."""
        raise AuthError("the access token is not accepted")

    async def superseding(self, refused: str) -> str | None:
        """Return None: nothing takes their place."""
        return None
