"""A typed client of the local Clover's control API, and its process."""

from __future__ import annotations

from collections.abc import Sequence

from suppli_sandbox.clover.models import (
    ApiTokenSpec,
    CloverApplicationSpec,
    CloverEvent,
    CloverGenerateSpec,
    CloverMerchantSettings,
    CloverMerchantSpec,
    CloverRefundSpec,
    CloverTokens,
    CloverWebhookSpec,
    Rates,
)
from suppli_sandbox.control_client import ControlClient, ProviderProcess, SandboxRefusedError
from suppli_sandbox.models import FaultSpec, Json


class CloverControl(ControlClient):
    """Orders a running local Clover about. Every method is one control call; raises SandboxRefusedError."""

    def configure_application(self, spec: CloverApplicationSpec) -> Json:
        """Change client id, secret, redirect URLs or limits."""
        return self._call("PATCH", "/application", Json, spec)

    def rates(self) -> Rates:
        """Return the most calls within a second and in flight that the limits saw."""
        return self._call("GET", "/rates", Rates)

    def create_merchant(self, spec: CloverMerchantSpec) -> Json:
        """Create a merchant: one place of business."""
        return self._call("POST", "/merchants", Json, spec)

    def configure_merchant(self, merchant_id: str, settings: CloverMerchantSettings) -> Json:
        """Change token lives, permissions and what Clover leaves open."""
        return self._call("PATCH", f"/merchants/{merchant_id}", Json, settings)

    def orders(self, merchant_id: str) -> list[Json]:
        """Return the truth: every order with all that hangs on it, deleted ones included."""
        content: list[Json] = self._call("GET", f"/merchants/{merchant_id}/orders", Json)["orders"]
        return content

    def order(self, merchant_id: str, order_id: str) -> Json:
        """Return one order with all that hangs on it."""
        return self._call("GET", f"/merchants/{merchant_id}/orders/{order_id}", Json)

    def put_order(self, merchant_id: str, order_id: str, order: Json) -> Json:
        """Create or replace one order, as the API shows it or with plain lists."""
        return self._call("PUT", f"/merchants/{merchant_id}/orders/{order_id}", Json, order)

    def put_orders(self, merchant_id: str, orders: Sequence[Json]) -> list[str]:
        """Put orders as `put_order` does (a missing id is filled in); return their ids."""
        return self._call("POST", f"/merchants/{merchant_id}/orders", list[str], list(orders))

    def patch_order(self, merchant_id: str, order_id: str, change: Json) -> Json:
        """Merge top-level fields into an order (null removes one); `modifiedTime` becomes now."""
        return self._call("PATCH", f"/merchants/{merchant_id}/orders/{order_id}", Json, change)

    def delete_order(self, merchant_id: str, order_id: str) -> Json:
        """Delete an order: from then on only `deletedTime` finds it."""
        return self._call("DELETE", f"/merchants/{merchant_id}/orders/{order_id}", Json)

    def refund_order(self, merchant_id: str, order_id: str, spec: CloverRefundSpec | None = None) -> Json:
        """Give back lines, an amount, or a manual credit; without a word all lines."""
        path = f"/merchants/{merchant_id}/orders/{order_id}/refund"
        return self._call("POST", path, Json, spec or CloverRefundSpec())

    def pay_order(self, merchant_id: str, order_id: str) -> Json:
        """Pay an open order in cash."""
        return self._call("POST", f"/merchants/{merchant_id}/orders/{order_id}/pay", Json)

    def void_payment(self, merchant_id: str, order_id: str) -> Json:
        """Void an order's payment: it is open again."""
        return self._call("POST", f"/merchants/{merchant_id}/orders/{order_id}/void-payment", Json)

    def remove_line(self, merchant_id: str, order_id: str, line_id: str) -> Json:
        """Take a line off an order."""
        return self._call("DELETE", f"/merchants/{merchant_id}/orders/{order_id}/lines/{line_id}", Json)

    def exchange_line(self, merchant_id: str, order_id: str, line_id: str) -> Json:
        """Exchange a line for an equal new one."""
        path = f"/merchants/{merchant_id}/orders/{order_id}/lines/{line_id}/exchange"
        return self._call("POST", path, Json)

    def generate_orders(self, merchant_id: str, spec: CloverGenerateSpec) -> Json:
        """Generate orders (and an inventory where there is none); return their count and the seconds."""
        return self._call("POST", f"/merchants/{merchant_id}/orders/generate", Json, spec)

    def put_inventory(self, merchant_id: str, kind: str, elements: Sequence[Json]) -> list[Json]:
        """Add or replace `items`, `categories`, `modifier_groups`, `tax_rates`; without any, a small menu."""
        return self._call("PUT", f"/merchants/{merchant_id}/inventory/{kind}", list[Json], list(elements))

    def upload_csv(self, merchant_id: str, content: bytes) -> Json:
        """Load a Square "Items detail" export as if its sales had been made at Clover; return its totals."""
        path = f"/_control/merchants/{merchant_id}/sales-csv"
        return self._answer(self._http.post(path, files={"file": ("sales.csv", content)}), Json)

    def issue_tokens(self, merchant_id: str) -> CloverTokens:
        """Issue an expiring pair without the consent page."""
        return self._call("POST", f"/merchants/{merchant_id}/tokens", CloverTokens)

    def issue_api_token(self, merchant_id: str, spec: ApiTokenSpec | None = None) -> str:
        """Make a merchant API token, as its owner does on the dashboard."""
        path = f"/merchants/{merchant_id}/api-tokens"
        return str(self._call("POST", path, Json, spec or ApiTokenSpec())["token"])

    def revoke_tokens(self, merchant_id: str) -> None:
        """End every token of a merchant, as uninstalling the app does."""
        self._call("DELETE", f"/merchants/{merchant_id}/tokens", Json)

    def deliver_webhooks(self, spec: CloverWebhookSpec) -> list[Json]:
        """Send messages to a receiver; return what each delivery held and its HTTP status."""
        return self._call("POST", "/webhooks", list[Json], spec)

    def verify_webhook(self, url: str) -> Json:
        """Make the handshake with a receiver; return the code that a person copies, and its HTTP status."""
        return self._call("POST", "/webhooks/verify", Json, {"url": url})


class CloverProcess(ProviderProcess[CloverControl]):
    """Runs a local Clover as a process of its own."""

    provider = "clover"
    control_type = CloverControl


__all__ = [
    "ApiTokenSpec",
    "CloverApplicationSpec",
    "CloverControl",
    "CloverEvent",
    "CloverGenerateSpec",
    "CloverMerchantSettings",
    "CloverMerchantSpec",
    "CloverProcess",
    "CloverRefundSpec",
    "CloverTokens",
    "CloverWebhookSpec",
    "FaultSpec",
    "Rates",
    "SandboxRefusedError",
]
