"""A typed client of the local Square's control API, sync and async, and its process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Concatenate, ParamSpec, Self, TypeVar

from suppli_sandbox.control_client import ControlClient, ProviderProcess, SandboxRefusedError
from suppli_sandbox.models import (
    ApplicationSpec,
    ClockState,
    CsvSpec,
    FaultSpec,
    FaultState,
    GenerateSpec,
    Json,
    LocationSpec,
    MerchantSettings,
    MerchantSpec,
    RefundSpec,
    Tokens,
    TokenSpec,
    WebhookEvent,
    WebhookSpec,
)

P = ParamSpec("P")
R = TypeVar("R")


class SandboxControl(ControlClient):
    """Orders a running local Square about."""

    def configure_application(self, spec: ApplicationSpec) -> Json:
        """Change client id, secret, redirect URLs or default version."""
        return self._call("PATCH", "/application", Json, spec)

    def create_merchant(self, spec: MerchantSpec) -> Json:
        """Create a merchant with its locations and return it."""
        return self._call("POST", "/merchants", Json, spec)

    def configure_merchant(self, merchant_id: str, settings: MerchantSettings) -> Json:
        """Change token life, refresh kind, cursor mode or OAuth error shape of a merchant."""
        return self._call("PATCH", f"/merchants/{merchant_id}", Json, settings)

    def put_location(self, merchant_id: str, spec: LocationSpec) -> Json:
        """Create or replace a location."""
        return self._call("PUT", f"/merchants/{merchant_id}/locations", Json, spec)

    def orders(self, merchant_id: str) -> list[Json]:
        """Return the truth: every order of a merchant as the API would give it, by (updated_at, id)."""
        content: list[Json] = self._call("GET", f"/merchants/{merchant_id}/orders", Json)["orders"]
        return content

    def order(self, merchant_id: str, order_id: str) -> Json:
        """Return one order as the API would give it."""
        return self._call("GET", f"/merchants/{merchant_id}/orders/{order_id}", Json)

    def put_orders(self, merchant_id: str, orders: Sequence[Json]) -> list[str]:
        """Put orders as they are (missing id, location, state and times are filled in); return their ids."""
        return self._call("POST", f"/merchants/{merchant_id}/orders", list[str], list(orders))

    def put_order(self, merchant_id: str, order_id: str, order: Json) -> Json:
        """Create or replace one order; without `updated_at` it is of now."""
        return self._call("PUT", f"/merchants/{merchant_id}/orders/{order_id}", Json, order)

    def patch_order(self, merchant_id: str, order_id: str, change: Json) -> Json:
        """Merge top-level fields into an order (null removes one); `updated_at` becomes now."""
        return self._call("PATCH", f"/merchants/{merchant_id}/orders/{order_id}", Json, change)

    def refund_order(self, merchant_id: str, order_id: str, spec: RefundSpec | None = None) -> Json:
        """Return goods or an amount; gives the new return order."""
        path = f"/merchants/{merchant_id}/orders/{order_id}/refund"
        return self._call("POST", path, Json, spec or RefundSpec())

    def void_order(self, merchant_id: str, order_id: str) -> Json:
        """Cancel an order, as a void before payment does."""
        return self._call("POST", f"/merchants/{merchant_id}/orders/{order_id}/void", Json)

    def close_order(self, merchant_id: str, order_id: str) -> Json:
        """Pay and complete an order."""
        return self._call("POST", f"/merchants/{merchant_id}/orders/{order_id}/close", Json)

    def remove_line(self, merchant_id: str, order_id: str, uid: str) -> Json:
        """Take a line out of an order; totals follow."""
        return self._call("DELETE", f"/merchants/{merchant_id}/orders/{order_id}/lines/{uid}", Json)

    def generate_orders(self, merchant_id: str, spec: GenerateSpec) -> Json:
        """Generate orders (and a catalog when there is none); return their count and the seconds it took."""
        return self._call("POST", f"/merchants/{merchant_id}/orders/generate", Json, spec)

    def delete_order(self, merchant_id: str, order_id: str) -> None:
        """Make an order vanish."""
        self._call("DELETE", f"/merchants/{merchant_id}/orders/{order_id}", Json)

    def catalog(self, merchant_id: str) -> list[Json]:
        """Return every top-level catalog object, deleted ones included."""
        return self._call("GET", f"/merchants/{merchant_id}/catalog", list[Json])

    def put_catalog(self, merchant_id: str, objects: Sequence[Json]) -> list[Json]:
        """Add or replace catalog objects (`type`, `id`, `<type>_data`); version and times are of now."""
        return self._call("PUT", f"/merchants/{merchant_id}/catalog", list[Json], list(objects))

    def delete_catalog_object(self, merchant_id: str, object_id: str) -> None:
        """Mark an object as deleted; a variation is taken out of its item."""
        self._call("DELETE", f"/merchants/{merchant_id}/catalog/{object_id}", Json)

    def load_csv(self, merchant_id: str, path: str, currency: str | None = None) -> Json:
        """Load a Square "Items detail" export (plain or gzip) from a path the sandbox can read.

        Returns the file's totals (minor units) and counts; a damaged file is refused whole, with the line.
        """
        spec = CsvSpec(path=path, currency=currency)
        return self._call("POST", f"/merchants/{merchant_id}/sales-csv", Json, spec)

    def upload_csv(self, merchant_id: str, content: bytes) -> Json:
        """Load an export as `load_csv` does, from its content: for a sandbox that shares no file system."""
        path = f"/_control/merchants/{merchant_id}/sales-csv"
        return self._answer(self._http.post(path, files={"file": ("sales.csv", content)}), Json)

    def issue_tokens(self, merchant_id: str, spec: TokenSpec | None = None) -> Tokens:
        """Issue an access and a refresh token without the consent page."""
        return self._call("POST", f"/merchants/{merchant_id}/tokens", Tokens, spec or TokenSpec())

    def revoke_tokens(self, merchant_id: str) -> None:
        """Revoke every token of a merchant, as its owner would on Square's dashboard."""
        self._call("DELETE", f"/merchants/{merchant_id}/tokens", Json)

    def deliver_webhooks(self, spec: WebhookSpec) -> list[Json]:
        """Send signed events to a receiver; return event ids and its HTTP statuses (0: not reached)."""
        return self._call("POST", "/webhooks", list[Json], spec)


def _in_thread(
    method: Callable[Concatenate[SandboxControl, P], R],
) -> Callable[Concatenate[AsyncSandboxControl, P], Awaitable[R]]:
    async def call(self: AsyncSandboxControl, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(method, self.control, *args, **kwargs)

    call.__doc__ = method.__doc__
    return call


class AsyncSandboxControl:
    """The same calls for async code; each runs in a thread, so that nothing blocks the loop."""

    def __init__(self, base_url: str, token: str | None = None, *, timeout: float = 120.0) -> None:
        self.control = SandboxControl(base_url, token, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.control.close()

    health = _in_thread(SandboxControl.health)
    reset = _in_thread(SandboxControl.reset)
    configure_application = _in_thread(SandboxControl.configure_application)
    create_merchant = _in_thread(SandboxControl.create_merchant)
    merchants = _in_thread(SandboxControl.merchants)
    merchant = _in_thread(SandboxControl.merchant)
    delete_merchant = _in_thread(SandboxControl.delete_merchant)
    configure_merchant = _in_thread(SandboxControl.configure_merchant)
    put_location = _in_thread(SandboxControl.put_location)
    orders = _in_thread(SandboxControl.orders)
    order = _in_thread(SandboxControl.order)
    put_orders = _in_thread(SandboxControl.put_orders)
    put_order = _in_thread(SandboxControl.put_order)
    patch_order = _in_thread(SandboxControl.patch_order)
    refund_order = _in_thread(SandboxControl.refund_order)
    void_order = _in_thread(SandboxControl.void_order)
    close_order = _in_thread(SandboxControl.close_order)
    remove_line = _in_thread(SandboxControl.remove_line)
    generate_orders = _in_thread(SandboxControl.generate_orders)
    delete_order = _in_thread(SandboxControl.delete_order)
    catalog = _in_thread(SandboxControl.catalog)
    put_catalog = _in_thread(SandboxControl.put_catalog)
    delete_catalog_object = _in_thread(SandboxControl.delete_catalog_object)
    load_csv = _in_thread(SandboxControl.load_csv)
    upload_csv = _in_thread(SandboxControl.upload_csv)
    issue_tokens = _in_thread(SandboxControl.issue_tokens)
    revoke_tokens = _in_thread(SandboxControl.revoke_tokens)
    set_faults = _in_thread(SandboxControl.set_faults)
    add_faults = _in_thread(SandboxControl.add_faults)
    faults = _in_thread(SandboxControl.faults)
    clear_faults = _in_thread(SandboxControl.clear_faults)
    clock = _in_thread(SandboxControl.clock)
    set_clock = _in_thread(SandboxControl.set_clock)
    advance_clock = _in_thread(SandboxControl.advance_clock)
    deliver_webhooks = _in_thread(SandboxControl.deliver_webhooks)
    calls = _in_thread(SandboxControl.calls)
    clear_calls = _in_thread(SandboxControl.clear_calls)


class SandboxProcess(ProviderProcess[SandboxControl]):
    """Runs a local Square as a process of its own."""

    provider = "square"
    control_type = SandboxControl


__all__ = [
    "ApplicationSpec",
    "AsyncSandboxControl",
    "ClockState",
    "FaultSpec",
    "FaultState",
    "GenerateSpec",
    "LocationSpec",
    "MerchantSettings",
    "MerchantSpec",
    "RefundSpec",
    "SandboxControl",
    "SandboxProcess",
    "SandboxRefusedError",
    "TokenSpec",
    "Tokens",
    "WebhookEvent",
    "WebhookSpec",
]
