"""Secrets in Vault (KV version 2), by AppRole; renewed before the token ends, signed in again when it is
refused.

hvac is synchronous, so each call runs in a thread. No secret is ever part of an exception's text.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from suppli_service_kit import metrics
from suppli_service_kit.logs import get_logger
from suppli_service_kit.settings import MissingSetting, VaultSettings, read_secret_file
from suppli_service_kit.waiting import Backoff, wait_or_stop

if TYPE_CHECKING:
    import hvac

log = get_logger(__name__)
T = TypeVar("T")

PARALLEL_CALLS = 8
LOOK_SECONDS = 10.0
"""How often the files with role id and secret id are looked at."""


class VaultError(Exception):
    """Root of what goes wrong with Vault."""


class VaultUnavailable(VaultError):
    """Vault cannot be reached, is sealed or answers with an error of its own; try again later."""


class VaultForbidden(VaultError):
    """This service's policy does not allow that, or its AppRole login is refused."""


class VaultConflict(VaultError):
    """Check-and-set failed: somebody else has written since. Read again before deciding."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One version of a secret.

    Attributes:
        data: the fields; never printed.
        version: grows by one with every write; pass it as `cas` to write only if nobody else has.
    """

    data: dict[str, Any] = field(repr=False)
    version: int


class Vault:
    """This process's access to its own secrets."""

    def __init__(self, settings: VaultSettings) -> None:
        """Prepare; nothing is connected before `start`."""
        self._settings = settings
        self._client: hvac.Client | None = None
        self._signed_with: tuple[str, str] | None = None
        self._ttl = 0.0
        self._login_lock = asyncio.Lock()
        self._slots = asyncio.Semaphore(PARALLEL_CALLS)
        self._stop = asyncio.Event()
        self._renewing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Sign in and keep the token alive. A Vault that is away is no error here: calls say so until it is
        back.

        Raises:
            MissingSetting: role id or secret id are not set or cannot be read.
        """
        self._credentials()
        self._stop.clear()
        try:
            await self._login(None)
        except VaultError as error:
            log.warning("vault_not_signed_in", error=type(error).__name__)
        self._renewing = asyncio.create_task(self._keep_alive(), name="vault renewal")

    async def stop(self) -> None:
        """End the renewal; the token dies with its time to live."""
        self._stop.set()
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
            self._renewing = None
        client, self._client = self._client, None
        if client is not None:
            await asyncio.to_thread(client.adapter.close)

    async def ping(self) -> None:
        """Check that the token is accepted; raises `VaultError` when not."""
        await self._call("lookup", lambda client: client.auth.token.lookup_self())

    async def read(self, path: str) -> Secret | None:
        """Return the newest version of the secret at `path` (below the mount), None where there is none, or
        where it was destroyed.

        Raises:
            VaultUnavailable, VaultForbidden
        """
        import hvac.exceptions

        def call(client: hvac.Client) -> Secret | None:
            try:
                answer = client.secrets.kv.v2.read_secret_version(
                    path, mount_point=self._settings.mount, raise_on_deleted_version=True
                )
            except hvac.exceptions.InvalidPath:
                return None
            body = answer["data"]
            if not body["data"]:
                return None  # the mark that takes the place of what is being destroyed
            return Secret(dict(body["data"]), int(body["metadata"]["version"]))

        return await self._call("read", call)

    async def version(self, path: str) -> int:
        """Return the number of the newest version, destroyed or not: what a write that follows it gives as
        `cas`; 0 where there never was one.

        Raises:
            VaultUnavailable, VaultForbidden
        """
        metadata = await self._call("version", lambda client: self._metadata(client, path))
        return int(metadata["current_version"]) if metadata else 0

    async def write(self, path: str, data: dict[str, Any], *, cas: int | None) -> int:
        """Write a new version and return its number.

        Args:
            path: below the mount.
            data: all fields; fields left out are gone in the new version.
            cas: the version that this one replaces; 0 = there must be none yet; None = whatever is there.

        Raises:
            VaultConflict: `cas` is not the current version; nothing was written.
            VaultUnavailable: not known whether it was written: read before writing again.
            VaultForbidden
        """
        return await self._call("write", lambda client: self._put(client, path, data, cas))

    async def destroy(self, path: str, *, cas: int | None = None) -> None:
        """Destroy the content of every version for good; the numbers of versions go on. Repeated, it does
        what is left to do.

        A version without content comes first, so that whoever still presumes an earlier one can write no
        more. Deleting the metadata would begin the numbers at 1 again, and let a process that slept through
        it take a later secret for the one that it read.

        Args:
            path: below the mount.
            cas: destroy only where that is the newest version; None = whatever is there.

        Raises:
            VaultConflict: another version is the newest by now; its content was not touched.
            VaultUnavailable: not known how much of it is done: repeat it.
            VaultForbidden
        """
        while True:
            try:
                await self._call("destroy", lambda client: self._destroy(client, path, cas))
                return
            except VaultConflict:
                if cas is not None:
                    raise

    def _put(self, client: hvac.Client, path: str, data: dict[str, Any], cas: int | None) -> int:
        import hvac.exceptions

        try:
            answer = client.secrets.kv.v2.create_or_update_secret(
                path, data, cas=cas, mount_point=self._settings.mount
            )
        except hvac.exceptions.InvalidRequest as error:
            if "check-and-set" in str(error):
                raise VaultConflict(f"{path} is not at version {cas} any more") from None
            raise
        return int(answer["data"]["version"])

    def _destroy(self, client: hvac.Client, path: str, cas: int | None) -> None:
        metadata = self._metadata(client, path)
        if metadata is None:
            return
        newest = int(metadata["current_version"])
        if cas is not None and cas != newest:
            raise VaultConflict(f"{path} is not at version {cas} any more")
        left = [int(number) for number, each in metadata["versions"].items() if not each["destroyed"]]
        if newest in left:
            left.append(self._put(client, path, {}, newest))
        if left:
            client.secrets.kv.v2.destroy_secret_versions(path, left, mount_point=self._settings.mount)

    def _metadata(self, client: hvac.Client, path: str) -> dict[str, Any] | None:
        import hvac.exceptions

        try:
            answer = client.secrets.kv.v2.read_secret_metadata(path, mount_point=self._settings.mount)
        except hvac.exceptions.InvalidPath:
            return None
        found: dict[str, Any] = answer["data"]
        return found

    async def _call(self, operation: str, call: Callable[[hvac.Client], T]) -> T:
        """Run `call` in a thread; a refused token is replaced once. Translates what hvac raises."""
        outcome = "error"
        try:
            client = self._client or await self._login(None)
            try:
                result = await self._in_thread(operation, call, client)
            except VaultForbidden:
                client = await self._login(client)
                result = await self._in_thread(operation, call, client)
            outcome = "ok"
            return result
        except VaultError as error:
            outcome = type(error).__name__
            raise
        finally:
            metrics.VAULT_CALLS.labels(operation, outcome).inc()

    async def _in_thread(self, operation: str, call: Callable[[hvac.Client], T], client: hvac.Client) -> T:
        async with self._slots:
            return await asyncio.to_thread(_translated, operation, call, client)

    async def _login(self, refused: hvac.Client | None) -> hvac.Client:
        """Sign in, once for all who find the same client missing or refused."""
        async with self._login_lock:
            if self._client is not None and self._client is not refused:
                return self._client
            credentials = self._credentials()  # read each time: they are changed while services run
            outcome = "error"
            try:
                client, self._ttl = await asyncio.to_thread(self._sign_in, *credentials)
                outcome = "ok"
            except VaultError as error:
                outcome = type(error).__name__
                raise
            finally:
                self._signed_with = credentials
                metrics.VAULT_CALLS.labels("login", outcome).inc()
            self._client = client
            log.info("vault_signed_in", lease_seconds=self._ttl)
            return client

    def _sign_in(self, role_id: str, secret_id: str) -> tuple[hvac.Client, float]:
        import hvac

        settings = self._settings
        client = hvac.Client(
            url=settings.url,
            timeout=settings.timeout_seconds,  # type: ignore[arg-type]  # requests takes a float
            verify=True if settings.ca_file is None else str(settings.ca_file),
            strict_http=True,
        )
        answer = _translated("login", lambda each: each.auth.approle.login(role_id, secret_id), client)
        return client, float(answer["auth"]["lease_duration"])

    def _credentials(self) -> tuple[str, str]:
        settings = self._settings
        if settings.role_id_file is None or settings.secret_id_file is None:
            raise MissingSetting("set SUPPLI_VAULT_ROLE_ID_FILE and SUPPLI_VAULT_SECRET_ID_FILE")
        return (
            read_secret_file(settings.role_id_file, "vault role id"),
            read_secret_file(settings.secret_id_file, "vault secret id"),
        )

    async def _keep_alive(self) -> None:
        """Renew at half-life; sign in again where that is refused or grants less than half as long."""
        backoff = Backoff(base=0.5, cap=15)
        while not self._stop.is_set():
            client = self._client
            try:
                if client is None:
                    await self._login(None)
                    continue
                if await self._until_due(max(0.5, self._ttl / 2) if not backoff.failures else backoff.next()):
                    return
                await self._renew(client)
                backoff.reset()
            except (VaultError, MissingSetting) as error:
                seconds = backoff.next()
                log.warning(
                    "vault_renewal_failed", error=type(error).__name__, retry_in_seconds=round(seconds, 1)
                )
                await wait_or_stop(self._stop, seconds)

    async def _until_due(self, seconds: float) -> bool:
        """Wait so long; sign in at once where the credentials' files changed meanwhile, so that a mistake in
        them shows while the token still works. Return whether to stop.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if await wait_or_stop(self._stop, min(left, LOOK_SECONDS)):
                return True
            if self._signed_with in (None, self._credentials()):
                continue
            before = self._client
            try:
                await self._login(before)
            except VaultForbidden:
                log.warning("vault_new_credentials_refused")  # the token at hand goes on
                continue
            if before is not None:
                with contextlib.suppress(VaultError):  # else it ends with its time to live
                    await self._in_thread("revoke", lambda each: each.auth.token.revoke_self(), before)
        return False

    async def _renew(self, client: hvac.Client) -> None:
        try:
            answer = await self._in_thread("renew", lambda each: each.auth.token.renew_self(), client)
        except VaultForbidden:
            await self._login(client)
            return
        granted = float(answer["auth"]["lease_duration"])
        if granted < self._ttl / 2:  # its greatest age is near
            await self._login(client)
        elif granted > 0:
            self._ttl = granted


def _translated(operation: str, call: Callable[[hvac.Client], T], client: hvac.Client) -> T:
    """Run `call`; raise our errors, without hvac's texts, which may repeat parts of a request."""
    import hvac.exceptions
    import requests

    try:
        return call(client)
    except VaultError:
        raise
    except (hvac.exceptions.Forbidden, hvac.exceptions.Unauthorized):
        raise VaultForbidden(f"{operation}: Vault refuses (403)") from None
    except hvac.exceptions.InvalidRequest:
        # A login with wrong credentials is a 400; nothing else that we send is malformed.
        if operation == "login":
            raise VaultForbidden("login: the AppRole is refused (400)") from None
        raise VaultError(f"{operation}: Vault calls the request invalid (400)") from None
    except (hvac.exceptions.VaultError, requests.RequestException) as error:
        raise VaultUnavailable(f"{operation}: {type(error).__name__}") from None
