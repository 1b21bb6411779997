"""The other services' internal APIs, as typed calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import httpx
import msgspec
from suppli_contracts.internal import (
    Account,
    AdoptRequest,
    AuthorizeAnswer,
    AuthorizeRequest,
    DayTotalsPage,
    ExchangeRequest,
    Item,
    ItemPage,
    Manifest,
    MapRequest,
    Preview,
    Run,
    RunRequest,
    SetAsideOrders,
)
from suppli_contracts.uploads import Upload, UploadImport, UploadPage, UploadPlan, UploadRun
from suppli_service_kit.internal_api import Caller, InternalClient
from suppli_service_kit.problems import Problem, ServiceUnavailable

T = TypeVar("T")
SCHEDULER = "sync-scheduler"
MAPPING = "mapping"
NOT_KNOWN_YET = "connection-not-known-yet"
PATIENCE_SECONDS = 5.0
_RETRY_SECONDS = 0.25


class _Service:
    """Decodes what a service answers."""

    def __init__(self, client: InternalClient, name: str) -> None:
        self._client, self._name = client, name

    @property
    def name(self) -> str:
        """What the service is called."""
        return self._name

    async def ready(self) -> str | None:
        """Return None where the service can answer, else what is wrong."""
        return await self._client.ready()

    async def _ask(
        self,
        answer: type[T],
        method: str,
        path: str,
        caller: Caller,
        *,
        body: msgspec.Struct | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> T:
        json = None if body is None else msgspec.to_builtins(body)
        response = await self._client.request(method, f"/internal/v1{path}", caller, json=json, params=params)
        return self._decoded(answer, response)

    def _decoded(self, answer: type[T], response: httpx.Response) -> T:
        try:
            return msgspec.json.decode(response.content, type=answer)
        except msgspec.MsgspecError:
            raise ServiceUnavailable(self._name) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


class Connector(_Service):
    """One provider's connector."""

    async def manifest(self, caller: Caller) -> Manifest:
        """Return what the provider is."""
        return await self._ask(Manifest, "GET", "/manifest", caller)

    async def authorize(
        self, connection_id: UUID, request: AuthorizeRequest, caller: Caller
    ) -> AuthorizeAnswer:
        """Return the provider's consent page."""
        return await self._ask(
            AuthorizeAnswer, "POST", f"/connections/{connection_id}/authorize", caller, body=request
        )

    async def exchange(self, connection_id: UUID, request: ExchangeRequest, caller: Caller) -> Account:
        """Trade the code; asked again with the same state, the same answer."""
        return await self._ask(
            Account, "POST", f"/connections/{connection_id}/exchange", caller, body=request
        )

    async def adopt(self, connection_id: UUID, source: UUID, caller: Caller) -> Account:
        """Move the tokens of `source` to the connection; idempotent."""
        body = AdoptRequest(from_connection_id=source)
        return await self._ask(Account, "POST", f"/connections/{connection_id}/adopt", caller, body=body)

    async def preview(self, connection_id: UUID, days: int, caller: Caller) -> Preview:
        """Return the last days' sales, nothing imported."""
        return await self._ask(
            Preview, "GET", f"/connections/{connection_id}/preview", caller, params={"days": days}
        )

    async def set_aside(self, connection_id: UUID, caller: Caller) -> SetAsideOrders:
        """Return orders that could not be understood."""
        return await self._ask(SetAsideOrders, "GET", f"/connections/{connection_id}/set-aside", caller)

    async def revoke(self, connection_id: UUID, caller: Caller) -> None:
        """Withdraw the authorization and destroy the secret; idempotent."""
        await self._client.request("POST", f"/internal/v1/connections/{connection_id}/revoke", caller)

    async def discard(self, connection_id: UUID, caller: Caller) -> None:
        """Destroy a secret that belongs to no connection, without telling the provider; idempotent."""
        await self._client.request("POST", f"/internal/v1/connections/{connection_id}/discard", caller)


class UploadService(_Service):
    """The service that takes files of sales."""

    async def receive(
        self, blocks: AsyncIterable[bytes], caller: Caller, *, name: str, request: str | None
    ) -> Upload:
        """Pass a file on as it comes."""
        await self._client.request(
            "GET", "/internal/v1/manifest", caller
        )  # a stream is sent once: is the token good?
        headers = {"Suppli-File-Name": quote(name), **({"Idempotency-Key": request} if request else {})}
        response = await self._client.request(
            "POST", "/internal/v1/uploads", caller, content=blocks, headers=headers
        )
        return self._decoded(Upload, response)

    async def page(self, caller: Caller, *, before: UUID | None, limit: int) -> UploadPage:
        """Return files, newest first."""
        params = {"limit": limit, **({"before": str(before)} if before else {})}
        return await self._ask(UploadPage, "GET", "/uploads", caller, params=params)

    async def show(self, upload_id: UUID, caller: Caller) -> Upload:
        """Return a file."""
        return await self._ask(Upload, "GET", f"/uploads/{upload_id}", caller)

    async def plan(self, upload_id: UUID, asked: UploadPlan, caller: Caller) -> Upload:
        """Say how a file is read."""
        return await self._ask(Upload, "PUT", f"/uploads/{upload_id}/plan", caller, body=asked)

    async def begin_import(self, upload_id: UUID, asked: UploadImport, caller: Caller) -> Upload:
        """Let the till's next run import a file."""
        return await self._ask(Upload, "POST", f"/uploads/{upload_id}/import", caller, body=asked)

    async def begin_undo(self, upload_id: UUID, caller: Caller) -> Upload:
        """Let the till's next run take an import back."""
        return await self._ask(Upload, "POST", f"/uploads/{upload_id}/undo", caller)

    async def told_run(self, upload_id: UUID, run: UploadRun, caller: Caller) -> Upload:
        """Say which run will do it."""
        return await self._ask(Upload, "PUT", f"/uploads/{upload_id}/run", caller, body=run)

    async def discard(self, upload_id: UUID, caller: Caller) -> None:
        """Forget a file that was not imported."""
        await self._client.request("DELETE", f"/internal/v1/uploads/{upload_id}", caller)

    async def errors(self, upload_id: UUID, caller: Caller) -> bytes:
        """Return the rows that were left out, as CSV."""
        response = await self._client.request("GET", f"/internal/v1/uploads/{upload_id}/errors", caller)
        return response.content


class Scheduler(_Service):
    """The service that owns runs."""

    async def start_run(self, connection_id: UUID, request: RunRequest, caller: Caller) -> Run:
        """Ask for a run; waits some seconds where the scheduler has not heard of the connection yet."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            try:
                return await self._ask(
                    Run, "POST", f"/connections/{connection_id}/runs", caller, body=request
                )
            except Problem as problem:
                if problem.type != NOT_KNOWN_YET:
                    raise
                if asyncio.get_running_loop().time() > deadline:
                    raise ServiceUnavailable(self._name) from problem
            await asyncio.sleep(_RETRY_SECONDS)

    async def cancel_run(self, run_id: UUID, caller: Caller) -> Run:
        """Ask for a run to be stopped."""
        return await self._ask(Run, "POST", f"/runs/{run_id}/cancel", caller)


class MappingService(_Service):
    """The service that owns items, mappings and the ledger."""

    async def items(self, caller: Caller, params: Mapping[str, Any]) -> ItemPage:
        """Return a page of external items."""
        return await self._ask(ItemPage, "GET", "/items", caller, params=params)

    async def item(self, item_id: UUID, caller: Caller) -> Item:
        """Return one external item."""
        return await self._ask(Item, "GET", f"/items/{item_id}", caller)

    async def map_item(self, item_id: UUID, request: MapRequest, caller: Caller) -> Item:
        """Say what an item is."""
        return await self._ask(Item, "PUT", f"/items/{item_id}/mapping", caller, body=request)

    async def days(self, connection_id: UUID, params: Mapping[str, Any], caller: Caller) -> DayTotalsPage:
        """Return where the money of each business day went."""
        path = f"/connections/{quote(str(connection_id))}/days"
        return await self._ask(DayTotalsPage, "GET", path, caller, params=params)


@dataclass(frozen=True, slots=True)
class Services:
    """All of them."""

    connectors: Mapping[str, Connector]
    scheduler: Scheduler
    mapping: MappingService
    files: UploadService | None = None

    def connector(self, provider: str) -> Connector:
        """Return the provider's connector.

        Raises:
            Problem: 422, there is none.
        """
        connector = self.connectors.get(provider)
        if connector is None:
            known = sorted(self.connectors)
            detail = f"There is no connector for {provider!r}; there is: {', '.join(known) or 'none'}."
            raise Problem(
                422, "unknown-provider", "The provider is not known", detail, extra={"providers": known}
            )
        return connector

    def uploads(self) -> UploadService:
        """Return the service that takes files.

        Raises:
            Problem: 422, there is none.
        """
        if self.files is None:
            detail = "Files are not taken here: the part of Suppli that reads them is not deployed."
            raise Problem(422, "unknown-provider", "The provider is not known", detail)
        return self.files

    def all(self) -> tuple[Connector | Scheduler | MappingService, ...]:
        """Return every service."""
        return (*self.connectors.values(), self.scheduler, self.mapping)

    async def close(self) -> None:
        """Close all connections."""
        for service in self.all():
            await service.close()
        if self.files is not None:
            await self.files.close()
