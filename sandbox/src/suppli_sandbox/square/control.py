"""What a test, the demo or a benchmark orders from the local Square, besides what every provider has."""

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from suppli_sandbox import models
from suppli_sandbox.control import ONE, Control, Json, Table, answer, csv_of, read
from suppli_sandbox.csv_rows import CsvError
from suppli_sandbox.serving import ControlError
from suppli_sandbox.square import changes, oauth
from suppli_sandbox.square.api import encode_orders
from suppli_sandbox.square.catalog_api import TYPES as CATALOG_TYPES
from suppli_sandbox.square.csv_import import import_sales
from suppli_sandbox.square.generate import generate
from suppli_sandbox.square.webhooks import deliver
from suppli_sandbox.square.world import Merchant, World
from suppli_sandbox.times import SECOND


class SquareControl(Control):
    """The endpoints, each a translation to one call on the world."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.world = world

    def merchant(self, request: Request) -> Merchant:
        """Return the merchant that the path names."""
        return self.world.merchant(request.path_params["merchant_id"])

    async def application(self, request: Request) -> Response:
        """Change the registered application."""
        self.world.application.update(await read(request, models.ApplicationSpec))
        app = self.world.application
        return answer({"client_id": app.client_id, "redirect_urls": app.redirect_urls})

    async def list_merchants(self, _: Request) -> Response:
        """Return every merchant."""
        return answer([_described(merchant) for merchant in self.world.merchants.values()])

    async def create_merchant(self, request: Request) -> Response:
        """Create a merchant."""
        merchant = self.world.create_merchant(await read(request, models.MerchantSpec))
        return answer(_described(merchant), 201)

    async def get_merchant(self, request: Request) -> Response:
        """Return one merchant."""
        return answer(_described(self.merchant(request)))

    async def configure_merchant(self, request: Request) -> Response:
        """Change how the sandbox treats a merchant."""
        merchant = self.merchant(request)
        merchant.configure(await read(request, models.MerchantSettings))
        return answer(_described(merchant))

    async def delete_merchant(self, request: Request) -> Response:
        """Delete a merchant with all it has."""
        del self.world.merchants[self.merchant(request).id]
        return answer({})

    async def put_location(self, request: Request) -> Response:
        """Create or replace a location."""
        return answer(
            self.world.put_location(self.merchant(request), await read(request, models.LocationSpec))
        )

    async def orders(self, request: Request) -> Response:
        """Return the truth: every order as the API gives it."""
        book = sorted(self.merchant(request).orders, key=lambda order: (order.updated_us, order.id))
        return Response(encode_orders([order.encoded() for order in book]), media_type="application/json")

    async def get_order(self, request: Request) -> Response:
        """Return one order."""
        order = self.merchant(request).order(request.path_params["order_id"])
        return Response(order.encoded(), media_type="application/json")

    async def put_order(self, request: Request) -> Response:
        """Create or replace one order."""
        order = await read(request, dict[str, Any])
        order["id"] = request.path_params["order_id"]
        return answer(self.world.put_order(self.merchant(request), order))

    async def put_orders(self, request: Request) -> Response:
        """Put several orders."""
        merchant, orders = self.merchant(request), await read(request, list[dict[str, Any]])
        return answer([self.world.put_order(merchant, order)["id"] for order in orders])

    async def patch_order(self, request: Request) -> Response:
        """Merge fields into an order."""
        change = await read(request, dict[str, Any])
        return answer(changes.patch(self.world, *self._order_of(request), change))

    async def refund_order(self, request: Request) -> Response:
        """Give goods or an amount back."""
        spec = await read(request, models.RefundSpec)
        return answer(changes.refund(self.world, *self._order_of(request), spec), 201)

    async def void_order(self, request: Request) -> Response:
        """Cancel an order before payment."""
        return answer(changes.void(self.world, *self._order_of(request)))

    async def close_order(self, request: Request) -> Response:
        """Pay and complete an order."""
        return answer(changes.close(self.world, *self._order_of(request)))

    async def remove_line(self, request: Request) -> Response:
        """Take a line out of an order."""
        uid = request.path_params["uid"]
        return answer(changes.remove_line(self.world, *self._order_of(request), uid))

    async def generate(self, request: Request) -> Response:
        """Generate seeded orders."""
        merchant, spec = self.merchant(request), await read(request, models.GenerateSpec)
        started = time.perf_counter()
        count = generate(self.world, merchant, spec)
        return answer({"count": count, "seconds": round(time.perf_counter() - started, 3)}, 201)

    async def delete_order(self, request: Request) -> Response:
        """Make an order vanish."""
        merchant = self.merchant(request)
        merchant.orders.remove(merchant.order(request.path_params["order_id"]).id)
        return answer({})

    async def put_catalog(self, request: Request) -> Response:
        """Add or replace catalog objects."""
        merchant, now = self.merchant(request), self.world.clock.now_us()
        objects = await read(request, list[dict[str, Any]])
        for index, obj in enumerate(objects):
            if not obj.get("id") or obj.get("type") not in CATALOG_TYPES:
                raise ControlError(422, f"object {index} needs an id and a catalog type")
        return answer([merchant.catalog.put(obj, now) for obj in objects])

    async def get_catalog(self, request: Request) -> Response:
        """Return the whole catalog."""
        return answer(list(self.merchant(request).catalog))

    async def delete_catalog_object(self, request: Request) -> Response:
        """Delete a catalog object."""
        object_id = request.path_params["object_id"]
        if not self.merchant(request).catalog.delete(object_id, self.world.clock.now_us()):
            raise ControlError(404, f"there is no catalog object {object_id}")
        return answer({})

    async def load_csv(self, request: Request) -> Response:
        """Load a sales export."""
        merchant = self.merchant(request)
        content, currency = await csv_of(request)
        try:
            return answer(import_sales(self.world, merchant, content, currency))
        except CsvError as error:
            raise ControlError(422, str(error)) from error

    async def issue_tokens(self, request: Request) -> Response:
        """Issue tokens without consent."""
        merchant, spec = self.merchant(request), await read(request, models.TokenSpec)
        now, tokens = self.world.clock.now_us(), self.world.tokens
        seconds = spec.access_token_seconds or merchant.access_token_seconds
        access = tokens.issue_access(merchant.id, spec.scopes, now + seconds * SECOND)
        refresh = tokens.issue_refresh(
            merchant.id, spec.scopes, single_use=spec.single_use, pkce=False, now_us=now
        )
        return answer(oauth.token_answer(access, refresh), 201)

    async def revoke_tokens(self, request: Request) -> Response:
        """Revoke every token of a merchant."""
        self.world.revoke(self.merchant(request).id)
        return answer({})

    async def webhooks(self, request: Request) -> Response:
        """Deliver webhooks as ordered."""
        spec = await read(request, models.WebhookSpec)
        return answer(await deliver(spec, self.world.clock.now_us()))

    def _order_of(self, request: Request) -> tuple[Merchant, str]:
        return self.merchant(request), request.path_params["order_id"]

    def table(self) -> Table:
        """Return every call, Square's own included."""
        one = ONE
        own: Table = (
            ("PATCH", "/application", self.application),
            ("GET", "/merchants", self.list_merchants),
            ("POST", "/merchants", self.create_merchant),
            ("GET", one, self.get_merchant),
            ("PATCH", one, self.configure_merchant),
            ("DELETE", one, self.delete_merchant),
            ("PUT", one + "/locations", self.put_location),
            ("GET", one + "/orders", self.orders),
            ("POST", one + "/orders", self.put_orders),
            ("POST", one + "/orders/generate", self.generate),
            ("GET", one + "/orders/{order_id}", self.get_order),
            ("PUT", one + "/orders/{order_id}", self.put_order),
            ("PATCH", one + "/orders/{order_id}", self.patch_order),
            ("POST", one + "/orders/{order_id}/refund", self.refund_order),
            ("POST", one + "/orders/{order_id}/void", self.void_order),
            ("POST", one + "/orders/{order_id}/close", self.close_order),
            ("DELETE", one + "/orders/{order_id}/lines/{uid}", self.remove_line),
            ("DELETE", one + "/orders/{order_id}", self.delete_order),
            ("GET", one + "/catalog", self.get_catalog),
            ("PUT", one + "/catalog", self.put_catalog),
            ("DELETE", one + "/catalog/{object_id}", self.delete_catalog_object),
            ("POST", one + "/sales-csv", self.load_csv),
            ("POST", one + "/tokens", self.issue_tokens),
            ("DELETE", one + "/tokens", self.revoke_tokens),
            ("POST", "/webhooks", self.webhooks),
        )
        return super().table() + own


def _described(merchant: Merchant) -> Json:
    return {
        **merchant.profile,
        "locations": list(merchant.locations.values()),
        "orders": len(merchant.orders),
        "refresh_kind": merchant.refresh_kind,
        "access_token_seconds": merchant.access_token_seconds,
        "cursor_mode": merchant.cursor_mode,
        "legacy_oauth_errors": merchant.legacy_oauth_errors,
    }
