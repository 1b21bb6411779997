"""The tokens of one account, as a connector is given them."""

from __future__ import annotations

from suppli_connector_kit.tokens.keeper import TokenKeeper
from suppli_connector_kit.tokens.ports import AccountKey


class KeptSession:
    """An authorized account during a run or a request (`Session`)."""

    def __init__(self, keeper: TokenKeeper, key: AccountKey, *, account_id: str, environment: str) -> None:
        self._keeper, self._key = keeper, key
        self._account_id, self._environment = account_id, environment

    @property
    def account_id(self) -> str:
        """The provider's account."""
        return self._account_id

    @property
    def environment(self) -> str:
        """The provider's environment."""
        return self._environment

    async def access_token(self) -> str:
        """Return an access token that is valid now."""
        return (await self._keeper.current(self._key)).tokens.access_token

    async def renewed(self, refused: str) -> str:
        """Return another token after the provider refused `refused`; raises `AuthError`."""
        return (await self._keeper.replaced(self._key, refused)).tokens.access_token

    async def superseding(self, refused: str) -> str | None:
        """Return the token that took the place of `refused` by now, if any did."""
        stored = await self._keeper.stored(self._key)
        if stored is None or stored[0].revoking or stored[0].tokens.access_token == refused:
            return None
        return stored[0].tokens.access_token
