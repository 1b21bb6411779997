"""What goes on beside the runs: refreshing tokens at half-life, withdrawing access, and measuring."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from suppli_service_kit.clock import Clock
from suppli_service_kit.logs import get_logger
from suppli_service_kit.vault import VaultConflict, VaultError
from suppli_service_kit.waiting import full_jitter, wait_or_stop

from suppli_connector_kit import metrics
from suppli_connector_kit.adapters.token_times import Due, TokenTimes
from suppli_connector_kit.errors import AuthError, CredentialsRefused, ProviderError
from suppli_connector_kit.protocol import Connector
from suppli_connector_kit.tokens.keeper import TokenKeeper
from suppli_connector_kit.tokens.secret import StoredTokens

log = get_logger(__name__)

LOOK_SECONDS = 1.0
MEASURE_SECONDS = 15.0
AGAIN_SECONDS = 60.0
CREDENTIALS_SECONDS = 600.0  # until an operator acts, every connection would ask in vain
REVOKE_SECONDS = 10.0
SPARE_SECONDS = 10.0  # for Vault, before and after the provider is asked


class Upkeep:
    """Loops over due lists that hold ids and times only; paused connections are kept alive like all
    others.
    """

    def __init__(
        self, connector: Connector[Any], keeper: TokenKeeper, times: TokenTimes, *, clock: Clock
    ) -> None:
        self._connector, self._keeper, self._times, self._clock = connector, keeper, times, clock
        self.wake = asyncio.Event()

    async def refresh(self, stop: asyncio.Event) -> None:
        """Refresh tokens whose half-life is over, until `stop`."""
        while not await wait_or_stop(stop, LOOK_SECONDS):
            try:
                await self.refresh_due()
            except (SQLAlchemyError, OSError) as error:
                log.warning("refresh_list_not_read", error=type(error).__name__)

    async def revoke(self, stop: asyncio.Event) -> None:
        """Withdraw access that was given back, until `stop`."""
        while not stop.is_set():
            await self._look(stop)
            try:
                await self.revoke_due()
            except (SQLAlchemyError, OSError) as error:
                log.warning("revocation_list_not_read", error=type(error).__name__)

    async def refresh_due(self) -> None:
        """Refresh the tokens that are due now; raises what the database does."""
        for due in await self._times.due_refreshes():
            await self._refresh(due)

    async def revoke_due(self) -> None:
        """Withdraw the access whose time has come now; raises what the database does."""
        for due in await self._times.due_revocations():
            await self._revoke(due)

    async def measure(self, stop: asyncio.Event) -> None:
        """Say how fresh the connections are, until `stop`; which ones are behind is for the log alone."""
        behind: frozenset[UUID] = frozenset()
        while not await wait_or_stop(stop, MEASURE_SECONDS):
            try:
                figures = await self._times.figures()
            except (SQLAlchemyError, OSError) as error:
                log.warning("figures_not_read", error=type(error).__name__)
                continue
            for connection in frozenset(figures.behind) - behind:
                log.warning("connection_behind", connection=str(connection))
            behind = frozenset(figures.behind)
            metrics.FRESHNESS.set(figures.oldest_seconds)
            metrics.STALE.set(figures.stale)
            metrics.EXPIRING.set(figures.near_expiry)

    async def _look(self, stop: asyncio.Event) -> None:
        waking = asyncio.ensure_future(self.wake.wait())
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({waking, stopping}, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
            stopping.cancel()
        self.wake.clear()

    async def _refresh(self, due: Due) -> None:
        try:
            await self._keeper.refresh(due.key)
        except AuthError:
            await self._forget(due)
        except (ProviderError, VaultError) as error:
            log.warning("refresh_put_off", connection=str(due.key.connection_id), error=type(error).__name__)
            most = CREDENTIALS_SECONDS if isinstance(error, CredentialsRefused) else AGAIN_SECONDS
            await self._times.later(due.key, 5 + full_jitter(8, base=10, cap=most))

    async def _forget(self, due: Due) -> None:
        """Take a connection whose tokens cannot be refreshed off the list."""
        found = await self._keeper.stored(due.key)
        if found is None:
            await self._times.revoked(due.key)
            return
        stored = found[0]
        await self._times.noted(due.key, expires_at=stored.tokens.expires_at, refresh_at=stored.refresh_at())

    async def _revoke(self, due: Due) -> None:
        try:
            if not await self._times.begin_withdrawal(due, REVOKE_SECONDS + SPARE_SECONDS):
                await self._put_off(due)  # somebody is authorizing an account: it may be this one
                return
            try:
                await self._settle(due)
            finally:
                await self._times.end_withdrawal(due.key)
        except VaultConflict:
            await self._times.later(due.key, 0)  # the secret moved on: it is looked at again
        except VaultError as error:
            log.warning("revocation_put_off", error=type(error).__name__)
            await self._put_off(due)

    async def _put_off(self, due: Due) -> None:
        metrics.REVOCATIONS.labels("put_off").inc()
        await self._times.later(due.key, 5 + full_jitter(4, base=10, cap=AGAIN_SECONDS))

    async def _settle(self, due: Due) -> None:
        """Have our access withdrawn and destroy the tokens, unless the account was authorized again."""
        version = await self._keeper.version(due.key)
        # The other connections are looked at before this one: tokens are written here, then destroyed there.
        elsewhere = await self._authorized_elsewhere(due)
        found = await self._keeper.stored(due.key)
        if found is None:  # whoever destroyed them may have died before it was done
            await self._destroy(due, version)
        elif due.asked_before(found[0].authorized()):
            await self._times.authorized(due.key, found[0])
        else:
            await self._withdraw(due, found[0], found[1], elsewhere=elsewhere)

    async def _authorized_elsewhere(self, due: Due) -> bool:
        """Return whether the account has been authorized again for a connection that is not this one yet:
        providers withdraw by account, so it would lose the new tokens.
        """
        found = await self._keeper.stored(due.key)
        if found is None:
            return False
        tokens = found[0].tokens
        for key in await self._times.sharing(due.key, tokens.account_id, tokens.environment):
            other = await self._keeper.stored(key)
            if other is not None and not other[0].revoking and due.asked_before(other[0].authorized()):
                return True
        return False

    async def _withdraw(self, due: Due, stored: StoredTokens, version: int, *, elsewhere: bool) -> None:
        outcome = "failed" if elsewhere else await self._ask_provider(stored)
        if outcome == "failed" and due.until is not None and self._clock.now() < due.until:
            await self._put_off(due)
            return
        metrics.REVOCATIONS.labels("done" if outcome == "done" else "given_up").inc()
        await self._destroy(due, version)
        log.info("tokens_destroyed", connection=str(due.key.connection_id), revocation=outcome)

    async def _destroy(self, due: Due, version: int) -> None:
        await self._keeper.destroy(due.key, version=version)
        await self._times.revoked(due.key, asked_at=due.asked_at)

    async def _ask_provider(self, stored: StoredTokens) -> str:
        try:
            async with asyncio.timeout(REVOKE_SECONDS):
                await self._keeper.as_application(
                    lambda application: self._connector.revoke(application, stored.tokens)
                )
        except AuthError:
            return "done"  # the provider does not know us any more
        except (ProviderError, TimeoutError) as error:
            log.warning("revocation_failed", error=type(error).__name__)
            return "failed"
        return "done"
