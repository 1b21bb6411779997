"""One refresh, however many replicas want it, and no reply so lost that it costs a connection unnoticed.

Vault's check-and-set arbitrates only writes, so an intent is written first: only its writer calls the
provider,
writes the new pair, and uses it after that. The others wait the intent out and read again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from suppli_service_kit.clock import Clock
from suppli_service_kit.ids import new_id
from suppli_service_kit.logs import get_logger
from suppli_service_kit.vault import VaultConflict, VaultUnavailable
from suppli_service_kit.waiting import Backoff

from suppli_connector_kit.errors import (
    AuthError,
    CodeRefused,
    CredentialsRefused,
    NetworkError,
    ProviderError,
    ProviderUnavailable,
)
from suppli_connector_kit.metrics import REFRESHES
from suppli_connector_kit.protocol import Application, Connector, Tokens
from suppli_connector_kit.tokens.fixed import FixedSession
from suppli_connector_kit.tokens.ports import AccountKey as AccountKey
from suppli_connector_kit.tokens.ports import KeeperTimes as KeeperTimes
from suppli_connector_kit.tokens.ports import SecretStore, TokenBook
from suppli_connector_kit.tokens.secret import (
    MOST_PRESENTATIONS,
    Intent,
    StoredTokens,
    fingerprint,
    from_secret,
    to_secret,
)

log = get_logger(__name__)
T = TypeVar("T")

APPLICATION_SECONDS = 300.0
CACHE_SECONDS = 20.0
POLL_SECONDS = 0.1
NEAR_END = timedelta(minutes=5)
SINGLE_USE = "single_use"


class TokenKeeper:
    """Hands out access tokens and refreshes them."""

    def __init__(
        self,
        connector: Connector[Any],
        store: SecretStore,
        book: TokenBook,
        *,
        clock: Clock,
        times: KeeperTimes | None = None,
    ) -> None:
        self._connector, self._store, self._book, self._clock = connector, store, book, clock
        self._times = times or KeeperTimes()
        self._cache: dict[AccountKey, tuple[float, StoredTokens]] = {}
        self._application: tuple[float, Application] | None = None

    @property
    def single_use(self) -> bool:
        """Whether a refresh token is worth one reply."""
        return self._connector.manifest.refresh_tokens == SINGLE_USE

    def path(self, key: AccountKey) -> str:
        """Return where in Vault a connection's tokens are."""
        return f"suppli/tokens/{self._connector.manifest.provider}/{key.tenant_id}/{key.connection_id}"

    async def application(self, *, fresh: bool = False) -> Application:
        """Return our credentials at the provider, at most five minutes old while Vault answers.

        Args:
            fresh: the ones at hand were refused; they are read again.

        Raises:
            ProviderError: they are not set up.
        """
        held = self._application
        if held is not None and not fresh and time.monotonic() - held[0] < APPLICATION_SECONDS:
            return held[1]
        provider = self._connector.manifest.provider
        try:
            secret = await self._store.read(f"suppli/app/{provider}")
        except VaultUnavailable:
            if held is None:
                raise
            return held[1]  # they may well be the same still: the provider will say so if not
        if secret is None or not {"client_id", "client_secret"} <= secret.data.keys():
            raise ProviderError(f"our own credentials for {provider} are not set up")
        # typed or piped into Vault by people: a line's end is none of it
        client_id, client_secret = (str(secret.data[name]).strip() for name in ("client_id", "client_secret"))
        application = Application(client_id, client_secret)
        self._application = (time.monotonic(), application)
        return application

    async def as_application(self, call: Callable[[Application], Awaitable[T]]) -> T:
        """Return what `call` returns for our credentials; refused, it is called once more with those that
        Vault has by now, where they are others: an operator may just have changed them.

        Raises:
            ProviderError: that of the last call.
        """
        application = await self.application()
        try:
            return await call(application)
        except (AuthError, CodeRefused, CredentialsRefused):
            newer = await self.application(fresh=True)
            if newer == application:
                raise
            log.info("application_changed", provider=self._connector.manifest.provider)
            return await call(newer)

    def forget(self, key: AccountKey) -> None:
        """Drop what is held in memory of a connection's tokens."""
        self._cache.pop(key, None)

    async def stored(self, key: AccountKey) -> tuple[StoredTokens, int] | None:
        """Return the secret and its version, from Vault."""
        secret = await self._store.read(self.path(key))
        if secret is None:
            self.forget(key)
            return None
        stored = from_secret(secret.data)
        self._cache[key] = (time.monotonic(), stored)
        return stored, secret.version

    async def current(self, key: AccountKey) -> StoredTokens:
        """Return tokens whose access token works now, refreshed where it is near its end.

        Raises:
            AuthError: there is none; a person must authorize again.
        """
        cached = self._cache.get(key)
        now = self._clock.now()
        if (
            cached is not None
            and time.monotonic() - cached[0] < CACHE_SECONDS
            and cached[1].works(now, NEAR_END)
        ):
            return cached[1]
        try:
            found = await self.stored(key)
        except VaultUnavailable:
            if cached is not None and cached[1].works(now):
                return cached[1]  # Vault being away costs nothing as long as the token at hand works
            raise
        if found is None or found[0].revoking:
            raise AuthError("the account is not authorized")
        stored = found[0]
        near_end = stored.tokens.expires_at is not None and not stored.works(now, NEAR_END)
        if not near_end:
            return stored
        try:
            return await self.refresh(key, stored.tokens.access_token)
        except ProviderError:
            if stored.works(self._clock.now()):
                return stored
            raise

    async def replaced(self, key: AccountKey, refused: str) -> StoredTokens:
        """Return other tokens than the refused access token.

        Raises:
            AuthError: there are none.
        """
        self.forget(key)
        found = await self.stored(key)
        if found is None or found[0].revoking:
            raise AuthError("the account is not authorized")
        if found[0].tokens.access_token != refused:
            return found[0]
        return await self.refresh(key, refused)

    async def keep(self, key: AccountKey, stored: StoredTokens) -> None:
        """Store the tokens of a new authorization in place of whatever was there."""
        while True:
            version = await self._store.version(self.path(key))
            try:
                await self._store.write(self.path(key), to_secret(stored), cas=version)
                break
            except VaultConflict:
                log.info("token_secret_moved_on")
        self.forget(key)  # what was read before is another authorization's
        await self._noted(key, stored)

    async def write(self, key: AccountKey, stored: StoredTokens, *, version: int) -> None:
        """Store tokens in place of that version; raises `VaultConflict` where another is there by now."""
        await self._store.write(self.path(key), to_secret(stored), cas=version)
        self.forget(key)

    async def version(self, key: AccountKey) -> int:
        """Return the secret's newest version, destroyed or not."""
        return await self._store.version(self.path(key))

    async def destroy(self, key: AccountKey, *, version: int | None = None) -> None:
        """Destroy a connection's tokens in all their versions; repeated, what is left of them.

        Args:
            key: whose.
            version: only while that is the newest; raises `VaultConflict` where another is there by now.
        """
        try:
            await self._store.destroy(self.path(key), cas=version)
        finally:
            self.forget(key)

    async def refresh(self, key: AccountKey, old_access_token: str | None = None) -> StoredTokens:
        """Refresh the tokens, or wait for whoever is doing it.

        Args:
            old_access_token: the pair to be replaced; where another is stored by now, that one is the answer.
                None = refresh where half of the token's life is over.

        Raises:
            AuthError: the refresh token is not accepted (any more).
            ProviderError: the provider cannot be asked now.
        """
        attempt = str(new_id())
        while True:
            found = await self.stored(key)
            if found is None or found[0].revoking:
                raise AuthError("the account is not authorized")
            stored, version = found
            if not self._wanted(stored, old_access_token):
                if old_access_token is None:  # whoever stored the pair died before noting it as no longer due
                    await self._noted(key, stored)
                return stored
            await self._refuse_dead(key, stored)
            now = self._clock.now()
            if stored.intent is not None and now < stored.intent.deadline:
                await asyncio.sleep(POLL_SECONDS)
                continue
            deadline = now + timedelta(seconds=self._times.call + self._times.write)
            intent = stored.next_intent(attempt, deadline)
            if self.single_use and intent.presentation > MOST_PRESENTATIONS:
                await self._bury(key, stored, version)
                raise AuthError("the reply to a refresh was lost: the account must be authorized again")
            promised = replace(stored, intent=intent)
            try:
                version = await self._store.write(self.path(key), to_secret(promised), cas=version)
            except VaultConflict:
                continue
            return await self._spend(key, promised, version, intent)

    def _wanted(self, stored: StoredTokens, old_access_token: str | None) -> bool:
        if old_access_token is not None:
            return stored.tokens.access_token == old_access_token
        due = stored.refresh_at()
        return due is not None and due <= self._clock.now()

    async def _refuse_dead(self, key: AccountKey, stored: StoredTokens) -> None:
        if stored.tokens.refresh_token is None or stored.is_dead():
            await self._tell(key, stored)
            raise AuthError("the account must be authorized again")

    async def _spend(
        self, key: AccountKey, promised: StoredTokens, version: int, intent: Intent
    ) -> StoredTokens:
        """Call the provider as the intent's writer, and store what comes of it."""
        try:
            tokens = await self._call(promised.tokens)
        except AuthError as refused:
            if await self._still_authorized(promised.tokens):
                REFRESHES.labels("credentials_refused").inc()
                await self._settle(key, replace(promised, intent=None), version)
                name = self._connector.manifest.name
                problem = f"{name} refuses to refresh an account that is authorized"
                raise CredentialsRefused(f"{problem}: {CredentialsRefused.advice}") from refused
            REFRESHES.labels("refused").inc()
            await self._bury(key, promised, version)
            raise
        except ProviderError as error:
            REFRESHES.labels("no_answer").inc()
            return await self._unanswered(key, promised, version, intent, error)
        REFRESHES.labels("done").inc()
        renewed = promised.refreshed(tokens, attempt=intent.attempt, at=self._clock.now())
        return await self._write(key, renewed, version, intent, over=promised.tokens)

    async def _still_authorized(self, tokens: Tokens) -> bool:
        """Return whether a refused refresh must be our own credentials' fault.

        A withdrawn authorization takes the access token with it; a wrong client secret does not. A single-use
        refresh token may be spent while the access token works, so there it proves nothing.
        """
        if self.single_use:
            return False
        try:
            async with asyncio.timeout(self._times.call):
                await self._connector.account(FixedSession(tokens))
        except (ProviderError, TimeoutError):
            return False
        return True

    async def _call(self, tokens: Tokens) -> Tokens:
        try:
            async with asyncio.timeout(self._times.call):
                return await self.as_application(
                    lambda application: self._connector.refresh(application, tokens)
                )
        except TimeoutError as error:
            raise NetworkError("the provider did not answer in time") from error

    async def _unanswered(
        self, key: AccountKey, promised: StoredTokens, version: int, intent: Intent, error: ProviderError
    ) -> StoredTokens:
        """Let others try, or present a single-use token once more; then it is over while the access
        token works.
        """
        arrived = not isinstance(error, NetworkError) or error.may_have_arrived
        lost = arrived and isinstance(error, NetworkError | ProviderUnavailable)
        if not (self.single_use and lost):
            before = replace(intent, deadline=self._clock.now(), presentation=intent.presentation - 1)
            await self._settle(
                key, replace(promised, intent=before if before.presentation else None), version
            )
            raise error
        if intent.presentation >= MOST_PRESENTATIONS:
            await self._bury(key, promised, version)
            raise AuthError(
                "the reply to a refresh was lost: the account must be authorized again"
            ) from error
        again = promised.next_intent(intent.attempt, intent.deadline)
        promised = replace(promised, intent=again)
        try:
            version = await self._store.write(self.path(key), to_secret(promised), cas=version)
        except VaultConflict:
            raise error from None
        return await self._spend(key, promised, version, again)

    async def _write(
        self, key: AccountKey, renewed: StoredTokens, version: int, intent: Intent, *, over: Tokens
    ) -> StoredTokens:
        """Write the new pair; on a conflict my attempt is stored, or the pair that I spent still is, or
        somebody else won. (A reusable refresh token stays the same: the access token tells pairs apart.)
        """
        until = time.monotonic() + self._times.write
        backoff = Backoff(base=0.1, cap=2)
        while True:
            try:
                await self._store.write(self.path(key), to_secret(renewed), cas=version)
                break
            except VaultConflict:
                found = await self.stored(key)
                if found is None or found[0].revoking:
                    raise AuthError("the account is not authorized") from None
                if found[0].attempt == intent.attempt:
                    break
                if found[0].tokens.access_token != over.access_token:
                    return found[0]
                version = found[1]
            except VaultUnavailable:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(backoff.next())
        self._cache[key] = (time.monotonic(), renewed)
        await self._noted(key, renewed)
        return renewed

    async def _bury(self, key: AccountKey, stored: StoredTokens, version: int) -> None:
        """Note that this refresh token is spent for good, and ask for a person while the access token
        works.
        """
        buried = replace(stored, intent=None, dead=fingerprint(stored.tokens.refresh_token or ""))
        await self._tell(key, buried)
        await self._settle(key, buried, version)
        await self._noted(key, buried)

    async def _settle(self, key: AccountKey, stored: StoredTokens, version: int) -> None:
        try:
            await self._store.write(self.path(key), to_secret(stored), cas=version)
        except VaultConflict:
            log.info("token_secret_moved_on")
        finally:
            self.forget(key)

    async def _tell(self, key: AccountKey, stored: StoredTokens) -> None:
        now = self._clock.now()
        await self._book.reauth(
            key,
            reason="The provider does not renew our access any more; please connect the account again",
            works_until=stored.tokens.expires_at if stored.works(now) else None,
            cause=fingerprint(stored.tokens.refresh_token or stored.tokens.access_token),
        )

    async def _noted(self, key: AccountKey, stored: StoredTokens) -> None:
        await self._book.noted(key, expires_at=stored.tokens.expires_at, refresh_at=stored.refresh_at())
