"""What a test, the demo or a benchmark orders from the local Clover, besides what every provider has."""

import time

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from suppli_sandbox.clover import changes, models
from suppli_sandbox.clover.csv_import import import_sales
from suppli_sandbox.clover.generate import generate, put_menu
from suppli_sandbox.clover.orders import EXPANDABLE, shown
from suppli_sandbox.clover.webhooks import deliver, verify
from suppli_sandbox.clover.world import INVENTORY, Merchant, World, opened
from suppli_sandbox.control import ONE, Control, Json, Table, answer, csv_of, read
from suppli_sandbox.csv_rows import CsvError
from suppli_sandbox.serving import ControlError
from suppli_sandbox.times import SECOND

_ALL = 1_000_000  # no nested list is cut where the truth is told


class CloverControl(Control):
    """The endpoints, each a translation to one call on the world."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.world = world

    def merchant(self, request: Request) -> Merchant:
        """Return the merchant that the path names."""
        return self.world.merchant(request.path_params["merchant_id"])

    async def application(self, request: Request) -> Response:
        """Change the registered application and its limits."""
        self.world.configure(await read(request, models.CloverApplicationSpec))
        app = self.world.application
        return answer({"client_id": app.client_id, "redirect_urls": app.redirect_urls})

    async def rates(self, _: Request) -> Response:
        """Return what the limits saw."""
        return answer(self.world.limits.rates)

    async def list_merchants(self, _: Request) -> Response:
        """Return every merchant."""
        return answer([_described(merchant) for merchant in self.world.merchants.values()])

    async def create_merchant(self, request: Request) -> Response:
        """Create a merchant."""
        merchant = self.world.create_merchant(await read(request, models.CloverMerchantSpec))
        return answer(_described(merchant), 201)

    async def get_merchant(self, request: Request) -> Response:
        """Return one merchant."""
        return answer(_described(self.merchant(request)))

    async def configure_merchant(self, request: Request) -> Response:
        """Change how the sandbox treats a merchant."""
        merchant = self.merchant(request)
        merchant.configure(await read(request, models.CloverMerchantSettings))
        return answer(_described(merchant))

    async def delete_merchant(self, request: Request) -> Response:
        """Delete a merchant with all it has."""
        del self.world.merchants[self.merchant(request).id]
        return answer({})

    async def orders(self, request: Request) -> Response:
        """Return the truth: every order with all that hangs on it, deleted ones included."""
        found = sorted(self.merchant(request).orders, key=lambda order: (order.modified_ms, order.id))
        return answer({"orders": [_whole(order.data) for order in found]})

    async def get_order(self, request: Request) -> Response:
        """Return one order with all that hangs on it."""
        merchant, order_id = self._order_of(request)
        return answer(_whole(merchant.order(order_id).data))

    async def put_order(self, request: Request) -> Response:
        """Create or replace one order."""
        order = await read(request, dict[str, object])
        order["id"] = request.path_params["order_id"]
        return answer(_whole(self.world.put_order(self.merchant(request), order).data))

    async def put_orders(self, request: Request) -> Response:
        """Put several orders."""
        merchant, orders = self.merchant(request), await read(request, list[dict[str, object]])
        return answer([self.world.put_order(merchant, order).id for order in orders])

    async def patch_order(self, request: Request) -> Response:
        """Merge fields into an order."""
        change = opened(await read(request, dict[str, object]))
        return answer(_whole(changes.patch(self.world, *self._order_of(request), change)))

    async def delete_order(self, request: Request) -> Response:
        """Delete an order."""
        return answer(_whole(changes.delete(self.world, *self._order_of(request))))

    async def refund_order(self, request: Request) -> Response:
        """Give lines, an amount or a credit back."""
        spec = await read(request, models.CloverRefundSpec)
        return answer(_whole(changes.refund(self.world, *self._order_of(request), spec)), 201)

    async def pay_order(self, request: Request) -> Response:
        """Pay an order."""
        return answer(_whole(changes.pay(self.world, *self._order_of(request))))

    async def void_payment(self, request: Request) -> Response:
        """Void an order's payment."""
        return answer(_whole(changes.void_payment(self.world, *self._order_of(request))))

    async def remove_line(self, request: Request) -> Response:
        """Take a line off an order."""
        line = request.path_params["line_id"]
        return answer(_whole(changes.remove_line(self.world, *self._order_of(request), line)))

    async def exchange_line(self, request: Request) -> Response:
        """Exchange a line for a new one."""
        line = request.path_params["line_id"]
        return answer(_whole(changes.exchange_line(self.world, *self._order_of(request), line)))

    async def generate(self, request: Request) -> Response:
        """Generate seeded orders."""
        merchant, spec = self.merchant(request), await read(request, models.CloverGenerateSpec)
        started = time.perf_counter()
        count = generate(self.world, merchant, spec)
        return answer({"count": count, "seconds": round(time.perf_counter() - started, 3)}, 201)

    async def put_inventory(self, request: Request) -> Response:
        """Add or replace elements of one kind of inventory; without any, the small shop's menu."""
        merchant, kind = self.merchant(request), request.path_params["kind"]
        if kind not in INVENTORY:
            raise ControlError(404, f"there is no inventory {kind}: use {', '.join(INVENTORY)}")
        elements = opened(await read(request, list[dict[str, object]]))
        if not elements:
            put_menu(self.world, merchant)
        for index, element in enumerate(elements):
            if not element.get("id"):
                raise ControlError(422, f"element {index} needs an id")
            element = {"modifiedTime": self.world.now_ms(), "deleted": False, **element}
            merchant.inventory[kind][element["id"]] = element
        return answer(list(merchant.inventory[kind].values()))

    async def load_csv(self, request: Request) -> Response:
        """Load a sales export."""
        merchant = self.merchant(request)
        content, currency = await csv_of(request)
        try:
            return answer(import_sales(self.world, merchant, content, currency))
        except CsvError as error:
            raise ControlError(422, str(error)) from error

    async def issue_tokens(self, request: Request) -> Response:
        """Issue a token pair without consent."""
        merchant, tokens = self.merchant(request), self.world.tokens
        now = self.world.clock.now_us()
        access_us, refresh_us = (
            now + seconds * SECOND
            for seconds in (merchant.access_token_seconds, merchant.refresh_token_seconds)
        )
        pair = models.CloverTokens(
            access_token=tokens.issue_access(merchant.id, access_us).value,
            access_token_expiration=access_us // SECOND,
            refresh_token=tokens.issue_refresh(merchant.id, refresh_us).value,
            refresh_token_expiration=refresh_us // SECOND,
        )
        return answer(pair, 201)

    async def issue_api_token(self, request: Request) -> Response:
        """Make a merchant API token."""
        merchant, spec = self.merchant(request), await read(request, models.ApiTokenSpec)
        return answer({"token": self.world.tokens.issue_api_token(merchant.id, spec.permissions).value}, 201)

    async def revoke_tokens(self, request: Request) -> Response:
        """End every token of a merchant, as uninstalling the app does."""
        self.world.tokens.revoke_merchant(self.merchant(request).id)
        return answer({})

    async def webhooks(self, request: Request) -> Response:
        """Deliver webhooks as ordered."""
        spec = await read(request, models.CloverWebhookSpec)
        return answer(await deliver(spec, self.world.application.client_id, self.world.now_ms()))

    async def verify_webhook(self, request: Request) -> Response:
        """Make the handshake with a receiver."""
        url = (await read(request, dict[str, str])).get("url", "")
        if not url:
            raise ControlError(422, "url: give the receiver's address")
        return answer(await verify(url))

    def _order_of(self, request: Request) -> tuple[Merchant, str]:
        return self.merchant(request), request.path_params["order_id"]

    def table(self) -> Table:
        """Return every call, Clover's own included."""
        orders, order = ONE + "/orders", ONE + "/orders/{order_id}"
        line = order + "/lines/{line_id}"
        own: Table = (
            ("PATCH", "/application", self.application),
            ("GET", "/rates", self.rates),
            ("GET", "/merchants", self.list_merchants),
            ("POST", "/merchants", self.create_merchant),
            ("GET", ONE, self.get_merchant),
            ("PATCH", ONE, self.configure_merchant),
            ("DELETE", ONE, self.delete_merchant),
            ("GET", orders, self.orders),
            ("POST", orders, self.put_orders),
            ("POST", orders + "/generate", self.generate),
            ("GET", order, self.get_order),
            ("PUT", order, self.put_order),
            ("PATCH", order, self.patch_order),
            ("DELETE", order, self.delete_order),
            ("POST", order + "/refund", self.refund_order),
            ("POST", order + "/pay", self.pay_order),
            ("POST", order + "/void-payment", self.void_payment),
            ("DELETE", line, self.remove_line),
            ("POST", line + "/exchange", self.exchange_line),
            ("PUT", ONE + "/inventory/{kind}", self.put_inventory),
            ("POST", ONE + "/sales-csv", self.load_csv),
            ("POST", ONE + "/tokens", self.issue_tokens),
            ("DELETE", ONE + "/tokens", self.revoke_tokens),
            ("POST", ONE + "/api-tokens", self.issue_api_token),
            ("POST", "/webhooks", self.webhooks),
            ("POST", "/webhooks/verify", self.verify_webhook),
        )
        return super().table() + own


def _whole(order: Json) -> Json:
    return shown(order, EXPANDABLE, _ALL, "")


def _described(merchant: Merchant) -> Json:
    settings = {name: getattr(merchant, name) for name in models.CloverMerchantSettings.__struct_fields__}
    described = {
        "id": merchant.id,
        "name": merchant.name,
        "timezone": merchant.timezone,
        "currency": merchant.currency,
        "vat": merchant.vat,
        "orders": len(merchant.orders),
        **settings,
    }
    return dict(msgspec.to_builtins(described))
