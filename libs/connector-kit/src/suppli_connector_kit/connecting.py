"""What a person waits for: authorizing an account, testing it, taking a connection over, and letting
go of it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import datetime
from typing import Any

from suppli_contracts.events.connections import ConnectionChanged, ConnectionState
from suppli_contracts.internal import (
    Account,
    AdoptRequest,
    AuthorizeAnswer,
    AuthorizeRequest,
    ExchangeRequest,
)
from suppli_service_kit.clock import Clock
from suppli_service_kit.logs import get_logger
from suppli_service_kit.problems import Problem
from suppli_service_kit.vault import VaultConflict

from suppli_connector_kit.adapters.connections import ConnectionBook
from suppli_connector_kit.adapters.exchanges import ExchangeBook
from suppli_connector_kit.adapters.token_times import GIVE_UP_AFTER, TokenTimes
from suppli_connector_kit.errors import AuthError, CodeRefused
from suppli_connector_kit.protocol import Connector, Tokens
from suppli_connector_kit.tokens.fixed import FixedSession
from suppli_connector_kit.tokens.keeper import AccountKey, TokenKeeper
from suppli_connector_kit.tokens.secret import StoredTokens, fingerprint
from suppli_connector_kit.tokens.session import KeptSession

log = get_logger(__name__)

EXCHANGE_SECONDS = 20.0
POLL_SECONDS = 0.1


class Connecting:
    """The connector's part in connecting an account and in disconnecting it."""

    def __init__(
        self,
        connector: Connector[Any],
        keeper: TokenKeeper,
        times: TokenTimes,
        exchanges: ExchangeBook,
        book: ConnectionBook,
        *,
        clock: Clock,
        wake: asyncio.Event,
    ) -> None:
        """Prepare; `wake` is set when the upkeep has something to do at once."""
        self._connector, self._keeper, self._times = connector, keeper, times
        self._exchanges, self._book, self._clock, self._wake = exchanges, book, clock, wake

    async def authorize(self, request: AuthorizeRequest) -> AuthorizeAnswer:
        """Return the consent page; raises `ProviderError`, or `Problem` for an unknown environment."""
        manifest = self._connector.manifest
        if request.environment not in manifest.environments:
            known = ", ".join(manifest.environments)
            raise Problem(
                422, "unknown-environment", "The provider has no such environment", f"There is: {known}"
            )
        url = await self._connector.authorize_url(await self._keeper.application(), request)
        return AuthorizeAnswer(authorize_url=url, scopes=manifest.scopes)

    async def exchange(self, key: AccountKey, request: ExchangeRequest) -> Account:
        """Trade the code for tokens, keep them in Vault and test them; asked again, answer the same.

        A crash at any point costs at most a new authorization: tokens that are stored with this `state` are
        not asked for a second time.
        """
        state = fingerprint(request.state)
        until = time.monotonic() + EXCHANGE_SECONDS
        while (kept := await self._exchanges.kept(key, state)) is None:
            if await self._exchanges.claim(key, state, hold=EXCHANGE_SECONDS):
                return await self._exchange(key, state, request)
            if time.monotonic() > until:
                raise Problem(
                    503,
                    "provider-unavailable",
                    "The provider does not answer",
                    "The authorization is still being completed; ask again",
                    headers={"Retry-After": "2"},
                )
            await asyncio.sleep(POLL_SECONDS)
        return kept

    async def _exchange(self, key: AccountKey, state: str, request: ExchangeRequest) -> Account:
        try:
            found = await self._keeper.stored(key)
            if found is None or found[0].state_hash != state:
                tokens = await self._authorized(request)
                await self._check_account(key, tokens.account_id)
                stored = StoredTokens(tokens, self._clock.now(), state_hash=state)
                await self._keeper.keep(key, stored)
            else:
                stored = found[0]
                await self._note(key, stored)
            await self._times.authorized(key, stored)
            account = await self.test(key)
            await self._exchanges.keep(key, state, account)
            return account
        except BaseException:
            await self._exchanges.let_go(key, state)
            raise

    async def _note(self, key: AccountKey, stored: StoredTokens) -> None:
        """Note when stored tokens are due: whoever stored them may have died before doing so."""
        await self._times.noted(key, expires_at=stored.tokens.expires_at, refresh_at=stored.refresh_at())

    async def _authorized(self, request: ExchangeRequest) -> Tokens:
        """Return the tokens that a person's consent gives, or that a person typed: those are tested first."""
        if request.credentials:
            tokens = replace(self._connector.sign_in(request.credentials), environment=request.environment)
            try:
                await self._connector.account(FixedSession(tokens))
            except AuthError as error:
                name = self._connector.manifest.name
                raise CodeRefused(f"{name} does not accept what was typed: nothing was stored") from error
            return tokens
        tokens = await self._keeper.as_application(
            lambda application: self._connector.exchange(
                application,
                code=request.code,
                redirect_uri=request.redirect_uri,
                environment=request.environment,
            )
        )
        account = tokens.account_id or request.account_id
        return replace(tokens, account_id=account, environment=request.environment)

    async def _check_account(self, key: AccountKey, account_id: str) -> None:
        known = await self._book.connection(key.tenant_id, key.connection_id)
        if known is not None and known.account_id and account_id and known.account_id != account_id:
            raise Problem(
                409,
                "wrong-account",
                "This is another account",
                "The connection belongs to another account of the provider; sign in with that one",
            )

    async def adopt(self, key: AccountKey, request: AdoptRequest) -> Account:
        """Move the tokens of a pending connection to this one; asked again, the same."""
        source_key = AccountKey(key.tenant_id, request.from_connection_id)
        source = await self._keeper.stored(source_key)
        target = await self._keeper.stored(key)
        origin = str(request.from_connection_id)
        if target is not None and target[0].adopted_from == origin:
            stored = target[0]
            await self._note(key, stored)
        elif source is not None:
            stored = replace(source[0], adopted_from=origin, intent=None)
            await self._keeper.keep(key, stored)
        else:
            raise Problem(
                404, "not-authorized", "There is no new authorization", "Authorize the account first"
            )
        await self._times.authorized(key, stored)
        await self._keeper.destroy(source_key)
        await self._times.revoked(source_key)
        return await self.test(key)

    async def test(self, key: AccountKey) -> Account:
        """Return the account as the provider says it now."""
        return await self._connector.account(await self.session(key))

    async def session(self, key: AccountKey) -> KeptSession:
        """Return the account's session; raises `AuthError` where there is no authorization."""
        try:
            tokens = (await self._keeper.current(key)).tokens
        except AuthError:
            await self.known(key)
            raise
        return KeptSession(self._keeper, key, account_id=tokens.account_id, environment=tokens.environment)

    async def known(self, key: AccountKey) -> ConnectionChanged:
        """Return the connection; raises `Problem` (404) where this tenant has none of that id."""
        found = await self._book.connection(key.tenant_id, key.connection_id)
        if found is None:
            raise Problem(404, "connection-not-found", "There is no such connection")
        return found

    async def revoke(self, key: AccountKey) -> None:
        """Stop everything for the connection now, and have our access withdrawn; quiet when that is done.

        The fence is raised first, so that no run publishes or records any more. The tokens stay only
        until the
        provider has taken the revocation, or a day, marked so that nobody gets them; then all versions go.
        """
        await self._book.drop_runs(key.tenant_id, key.connection_id)
        now = self._clock.now()
        await self._times.revoke(key, at=now, until=now + GIVE_UP_AFTER)
        await self._mark(key, now)
        self._wake.set()

    async def discard(self, key: AccountKey) -> None:
        """Destroy tokens that became no connection's, without a word to the provider; quiet when done.

        Providers revoke by account: a revocation would take the access of the account's own connection, too.

        Raises:
            Problem: 409 where the tokens are a connection's that is in use.
        """
        known = await self._book.connection(key.tenant_id, key.connection_id)
        idle = (ConnectionState.PENDING, ConnectionState.DISCONNECTED)
        if known is not None and known.state not in idle:
            raise Problem(409, "connection-in-use", "The connection is in use", "Disconnect it first")
        await self._keeper.destroy(key)
        await self._times.revoked(key)

    async def settings_changed(self, event: ConnectionChanged) -> None:
        """Hear of a connection's new settings; a disconnected one's tokens are withdrawn by the upkeep."""
        if event.state is ConnectionState.DISCONNECTED:
            self._keeper.forget(AccountKey(event.tenant_id, event.connection_id))
            self._wake.set()

    async def _mark(self, key: AccountKey, asked_at: datetime) -> None:
        """Mark the tokens as being withdrawn, but for those of whoever has authorized again meanwhile."""
        while (found := await self._keeper.stored(key)) is not None and not found[0].revoking:
            if found[0].authorized() > asked_at:
                break
            try:
                await self._keeper.write(key, replace(found[0], revoking=True), version=found[1])
            except VaultConflict:
                log.info("token_secret_moved_on")
        self._keeper.forget(key)
