"""An account whose tokens a test holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from suppli_connector_kit.errors import AuthError
from suppli_connector_kit.protocol import Application, Connector, Tokens


@dataclass
class HeldSession:
    """Implements `Session`: renewed through the connector, as the keeper would.

    Attributes:
        renewals: the tokens that were refused, in sequence.
    """

    connector: Connector[Any]
    application: Application
    tokens: Tokens
    renewals: list[str] = field(default_factory=list)
    environment: str = "production"

    @property
    def account_id(self) -> str:
        """The provider's account."""
        return self.tokens.account_id

    async def access_token(self) -> str:
        """Return the token at hand."""
        return self.tokens.access_token

    async def superseding(self, refused: str) -> str | None:
        """Return None: nobody else has tokens."""
        return None

    async def renewed(self, refused: str) -> str:
        """Refresh."""
        if self.tokens.refresh_token is None:
            raise AuthError("no refresh token")
        self.renewals.append(refused)
        self.tokens = await self.connector.refresh(self.application, self.tokens)
        return self.tokens.access_token
