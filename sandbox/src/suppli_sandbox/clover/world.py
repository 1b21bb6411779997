"""The local Clover's state: application, merchants, inventory, orders. No I/O."""

import secrets
import string
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from suppli_sandbox.clover.errors import unauthorized
from suppli_sandbox.clover.limits import Limits
from suppli_sandbox.clover.models import (
    PERMISSIONS,
    CloverApplicationSpec,
    CloverMerchantSettings,
    CloverMerchantSpec,
)
from suppli_sandbox.clover.orders import OrderBook, StoredOrder
from suppli_sandbox.clover.tokens import TokenBook
from suppli_sandbox.faults import FaultBook
from suppli_sandbox.meter import Meter
from suppli_sandbox.serving import ControlError
from suppli_sandbox.times import MovableClock

Json = dict[str, Any]

DEFAULT_CLIENT_ID = "SUPPLIAPP0001"
INVENTORY = ("items", "categories", "modifier_groups", "tax_rates")
# Time filters on these are silently cut; that modifiedTime is among them is the careful reading.
CLAMPED = ("createdTime", "clientCreatedTime", "modifiedTime", "deletedTime")
_ALPHABET = string.ascii_uppercase.replace("I", "").replace("O", "") + string.digits


def new_id() -> str:
    """Return a random id in the shape of Clover's: 13 upper-case letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(13))


@dataclass(slots=True)
class Application:
    """The one registered application of this sandbox."""

    client_id: str = DEFAULT_CLIENT_ID
    client_secret: str = "sandbox-clover-secret"  # noqa: S105 - a fixed value for a local stand-in
    redirect_urls: tuple[str, ...] = ()


@dataclass(slots=True)
class Merchant:
    """A place of business with everything that belongs to it."""

    id: str
    name: str
    timezone: str
    currency: str
    locale: str
    vat: bool
    created_ms: int
    orders: OrderBook = field(default_factory=OrderBook)
    inventory: dict[str, dict[str, Json]] = field(default_factory=lambda: {kind: {} for kind in INVENTORY})
    voided_lines: list[Json] = field(default_factory=list)
    access_token_seconds: int = 1800
    refresh_token_seconds: int = 1800 + 365 * 86_400
    permissions: tuple[str, ...] = PERMISSIONS
    clamp_days: int = 90
    clamped_fields: tuple[str, ...] = CLAMPED
    nested_cap: int = 100
    over_limit: str = "clamp"
    most_expands: int = 0
    state_passthrough: bool = True
    line_items_paging: bool = True

    def configure(self, settings: CloverMerchantSettings) -> None:
        """Take over the settings that are given."""
        for name in settings.__struct_fields__:
            value = getattr(settings, name)
            if value is not None:
                setattr(self, name, value)

    def order(self, order_id: str) -> StoredOrder:
        """Return an order that is not deleted. Raises ControlError 404."""
        order = self.orders.get(order_id)
        if order is None or order.deleted:
            raise ControlError(404, f"merchant {self.id} has no order {order_id}")
        return order


@dataclass(slots=True)
class World:
    """Everything the local Clover knows."""

    application: Application = field(default_factory=Application)
    clock: MovableClock = field(default_factory=MovableClock)
    tokens: TokenBook = field(default_factory=TokenBook)
    limits: Limits = field(default_factory=Limits)
    merchants: dict[str, Merchant] = field(default_factory=dict)
    faults: FaultBook = field(default_factory=FaultBook)
    calls: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    meter: Meter = field(default_factory=Meter)

    def reset(self) -> None:
        """Forget everything but the application; limits are Clover's own again."""
        self.clock.reset()
        self.tokens = TokenBook()
        self.limits = Limits()
        self.merchants.clear()
        self.faults.clear(None)
        self.calls.clear()
        self.meter.clear()

    def now_ms(self) -> int:
        """Return the present instant; Clover's stamps are whole seconds in milliseconds."""
        return self.clock.now_us() // 1_000_000 * 1000

    def configure(self, spec: CloverApplicationSpec) -> None:
        """Take over what a specification names."""
        app, limits = self.application, self.limits
        app.client_id = spec.client_id or app.client_id
        app.client_secret = spec.client_secret or app.client_secret
        if spec.redirect_urls is not None:
            app.redirect_urls = spec.redirect_urls
        for name, value in (
            ("token", spec.token_limit),
            ("token_concurrent", spec.token_concurrent_limit),
            ("cross_token", spec.cross_token_limit),
            ("cross_token_concurrent", spec.cross_token_concurrent_limit),
        ):
            if value is not None:
                setattr(limits, name, value)

    def merchant(self, merchant_id: str) -> Merchant:
        """Return a merchant. Raises ControlError 404."""
        merchant = self.merchants.get(merchant_id)
        if merchant is None:
            raise ControlError(404, f"there is no merchant {merchant_id}; create it first")
        return merchant

    def merchant_of_token(self, merchant_id: str) -> Merchant:
        """Return the merchant that a token belongs to. Raises 401 when it was deleted."""
        merchant = self.merchants.get(merchant_id)
        if merchant is None:
            raise unauthorized()
        return merchant

    def create_merchant(self, spec: CloverMerchantSpec) -> Merchant:
        """Create a merchant. Raises ControlError 409 (id in use), 422 (bad zone)."""
        merchant_id = spec.id or new_id()
        if merchant_id in self.merchants:
            raise ControlError(409, f"merchant {merchant_id} exists already")
        try:
            ZoneInfo(spec.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ControlError(422, f"timezone {spec.timezone!r} is no IANA zone") from error
        merchant = Merchant(
            merchant_id, spec.name, spec.timezone, spec.currency, spec.locale, spec.vat, self.now_ms()
        )
        self.merchants[merchant_id] = merchant
        return merchant

    def put_order(self, merchant: Merchant, order: Json) -> StoredOrder:
        """Put an order; missing id, times, state and currency are filled in, nested envelopes opened.

        Raises ControlError 422 for times that are no milliseconds.
        """
        now = self.now_ms()
        whole: Json = {
            "id": new_id(),
            "currency": merchant.currency,
            "state": "locked",
            "paymentState": "PAID",
            "testMode": False,
            "manualTransaction": False,
            "createdTime": now,
            **opened(order),
        }
        whole.setdefault("clientCreatedTime", whole["createdTime"])
        whole.setdefault("modifiedTime", now)
        for name in ("createdTime", "clientCreatedTime", "modifiedTime"):
            if not isinstance(whole[name], int) or whole[name] < 0:
                raise ControlError(422, f"order {whole['id']}: {name} is no time in milliseconds")
        return merchant.orders.put(whole)


def opened(value: Any) -> Any:
    """Return JSON with every `{"elements": [...]}` replaced by its list."""
    if isinstance(value, dict):
        if "elements" in value and value.keys() <= {"elements", "href"}:
            return [opened(each) for each in value["elements"]]
        return {name: opened(each) for name, each in value.items()}
    if isinstance(value, list):
        return [opened(each) for each in value]
    return value
