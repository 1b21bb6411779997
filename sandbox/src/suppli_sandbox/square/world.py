"""The sandbox's state: application, merchants, locations, catalog, orders. No I/O."""

import secrets
import string
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from suppli_sandbox.faults import FaultBook
from suppli_sandbox.meter import Meter
from suppli_sandbox.models import ApplicationSpec, LocationSpec, MerchantSettings, MerchantSpec
from suppli_sandbox.serving import ControlError
from suppli_sandbox.square.catalog import CatalogBook
from suppli_sandbox.square.errors import SquareError
from suppli_sandbox.square.orders import OrderBook, StoredOrder
from suppli_sandbox.square.tokens import ACCESS_LIFE_SECONDS, TokenBook
from suppli_sandbox.times import MovableClock, format_us, parse_us

Json = dict[str, Any]

DEFAULT_CLIENT_ID = "sandbox-sq0idb-suppli"
DEFAULT_VERSION = "2026-09-16"
_ALPHABET = string.ascii_uppercase + string.digits


def new_id(prefix: str = "", length: int = 22) -> str:
    """Return a random id in the shape of Square's."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length - len(prefix)))


@dataclass(slots=True)
class Application:
    """The one registered application of this sandbox."""

    client_id: str = DEFAULT_CLIENT_ID
    client_secret: str = "sandbox-sq0csb-secret"  # noqa: S105 - a fixed value for a local stand-in
    redirect_urls: tuple[str, ...] = ()
    square_version: str = DEFAULT_VERSION

    def update(self, spec: ApplicationSpec) -> None:
        """Take over what a specification names."""
        self.client_id = spec.client_id or self.client_id
        self.client_secret = spec.client_secret or self.client_secret
        self.square_version = spec.square_version or self.square_version
        if spec.redirect_urls is not None:
            self.redirect_urls = spec.redirect_urls


@dataclass(slots=True)
class Merchant:
    """A seller with everything that belongs to it."""

    profile: Json
    locations: dict[str, Json] = field(default_factory=dict)
    orders: OrderBook = field(default_factory=OrderBook)
    catalog: CatalogBook = field(default_factory=CatalogBook)
    access_token_seconds: int = ACCESS_LIFE_SECONDS
    refresh_kind: str = "by_flow"
    cursor_mode: str = "keyset"
    legacy_oauth_errors: bool = False

    @property
    def id(self) -> str:
        """The merchant's id."""
        return str(self.profile["id"])

    @property
    def currency(self) -> str:
        """The merchant's ISO 4217 currency."""
        return str(self.profile["currency"])

    def configure(self, settings: MerchantSettings) -> None:
        """Take over the settings that are given."""
        for name in settings.__struct_fields__:
            value = getattr(settings, name)
            if value is not None:
                setattr(self, name, value)

    def location(self, location_id: str) -> Json:
        """Return a location. Raises ControlError 404."""
        place = self.locations.get(location_id)
        if place is None:
            raise ControlError(404, f"merchant {self.id} has no location {location_id}")
        return place

    def order(self, order_id: str) -> StoredOrder:
        """Return a stored order. Raises ControlError 404."""
        order = self.orders.get(order_id)
        if order is None:
            raise ControlError(404, f"merchant {self.id} has no order {order_id}")
        return order


@dataclass(slots=True)
class World:
    """Everything the sandbox knows."""

    application: Application = field(default_factory=Application)
    clock: MovableClock = field(default_factory=MovableClock)
    tokens: TokenBook = field(default_factory=TokenBook)
    merchants: dict[str, Merchant] = field(default_factory=dict)
    faults: FaultBook = field(default_factory=FaultBook)
    calls: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    meter: Meter = field(default_factory=Meter)

    def reset(self) -> None:
        """Forget everything but the application."""
        self.clock.reset()
        self.tokens = TokenBook()
        self.merchants.clear()
        self.faults.clear(None)
        self.calls.clear()
        self.meter.clear()

    def merchant(self, merchant_id: str) -> Merchant:
        """Return a merchant. Raises ControlError 404."""
        merchant = self.merchants.get(merchant_id)
        if merchant is None:
            raise ControlError(404, f"there is no merchant {merchant_id}; create it first")
        return merchant

    def merchant_of_token(self, merchant_id: str) -> Merchant:
        """Return the merchant a token belongs to. Raises 401 when it was deleted."""
        merchant = self.merchants.get(merchant_id)
        if merchant is None:
            raise SquareError(401, "UNAUTHORIZED", "The merchant of this token no longer exists.")
        return merchant

    def revoke(self, merchant_id: str) -> None:
        """Revoke every token of a merchant, as the seller or the application may."""
        self.tokens.revoke_merchant(merchant_id)

    def create_merchant(self, spec: MerchantSpec) -> Merchant:
        """Create a merchant with its locations. Raises ControlError 409 (id in use), 422 (bad zone)."""
        merchant_id = spec.id or new_id("ML", 13)
        if merchant_id in self.merchants:
            raise ControlError(409, f"merchant {merchant_id} exists already")
        merchant = Merchant(
            {
                "id": merchant_id,
                "business_name": spec.name,
                "country": spec.country,
                "language_code": spec.language,
                "currency": spec.currency,
                "status": "ACTIVE",
                "created_at": format_us(self.clock.now_us()),
            }
        )
        for place in spec.locations:
            self.put_location(merchant, place)
        self.merchants[merchant_id] = merchant
        return merchant

    def completed(self, merchant: Merchant, order: Json, now_us: int | None = None) -> Json:
        """Return an order with id, location, state and times. Raises ControlError 404, 422."""
        now = format_us(self.clock.now_us() if now_us is None else now_us)
        place = order.get("location_id") or merchant.profile.get("main_location_id", "")
        merchant.location(place)
        state = order.get("state", "COMPLETED")
        created = order.get("created_at", now)
        whole = {"id": new_id(), **order, "location_id": place, "state": state, "created_at": created}
        whole.setdefault("updated_at", now)
        if state in ("COMPLETED", "CANCELED"):
            whole.setdefault("closed_at", whole["updated_at"])
        for name in ("created_at", "updated_at", "closed_at"):
            try:
                parse_us(whole.get(name, now))
            except (ValueError, TypeError) as error:
                raise ControlError(422, f"order {whole['id']}: {name} is no RFC 3339 instant") from error
        return whole

    def put_order(self, merchant: Merchant, order: Json) -> Json:
        """Put an order into a merchant's book and return it whole."""
        whole = self.completed(merchant, order)
        merchant.orders.put(StoredOrder.of(whole))
        return whole

    def put_location(self, merchant: Merchant, spec: LocationSpec) -> Json:
        """Create or replace a location. Raises ControlError 422 for an unknown time zone."""
        try:
            ZoneInfo(spec.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ControlError(422, f"timezone {spec.timezone!r} is no IANA zone") from error
        location_id = spec.id or new_id("L", 13)
        location = {
            "id": location_id,
            "name": spec.name,
            "merchant_id": merchant.id,
            "status": spec.status,
            "timezone": spec.timezone,
            "currency": spec.currency or merchant.currency,
            "country": spec.country or merchant.profile["country"],
            "language_code": merchant.profile["language_code"],
            "type": "PHYSICAL",
            "business_name": merchant.profile["business_name"],
            "capabilities": ["CREDIT_CARD_PROCESSING"],
            "created_at": format_us(self.clock.now_us()),
        }
        merchant.locations[location_id] = location
        merchant.profile.setdefault("main_location_id", location_id)
        return location
