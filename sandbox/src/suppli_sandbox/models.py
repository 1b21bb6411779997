"""What the control API takes and gives, shared by the server and its client. Unknown fields are refused."""

from typing import Any, Literal

import msgspec

Json = dict[str, Any]
RefreshKind = Literal["by_flow", "reusable", "single_use"]

READ_SCOPES = ("ITEMS_READ", "MERCHANT_PROFILE_READ", "ORDERS_READ", "PAYMENTS_READ")


class _Spec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class LocationSpec(_Spec):
    """A location to create. `currency` defaults to the merchant's."""

    name: str
    id: str | None = None
    timezone: str = "America/New_York"
    currency: str | None = None
    country: str | None = None
    status: Literal["ACTIVE", "INACTIVE"] = "ACTIVE"


class MerchantSpec(_Spec):
    """A merchant to create, with its locations; the first one is the main location."""

    name: str
    id: str | None = None
    locations: tuple[LocationSpec, ...] = ()
    country: str = "US"
    currency: str = "USD"
    language: str = "en-US"


class MerchantSettings(_Spec):
    """How the sandbox treats a merchant; what is left out stays as it is.

    `refresh_kind`: `by_flow` (code flow reusable, PKCE single use) or forced.
    `access_token_seconds`: life of new access tokens. `cursor_mode`: `keyset`, or `offset`, where a
    change during paging shifts pages. `legacy_oauth_errors`: flat error bodies on /oauth2/*.
    """

    access_token_seconds: int | None = None
    refresh_kind: RefreshKind | None = None
    cursor_mode: Literal["keyset", "offset"] | None = None
    legacy_oauth_errors: bool | None = None


class GenerateSpec(_Spec):
    """Orders to generate: the same seed, span and locations give the same orders.

    `start_at` and `end_at` are RFC 3339; `locations` are ids, all of the merchant's when left out. `encoded`
    renders each order once and keeps its bytes (some 2.6 kB), for whoever measures how fast they are read.
    """

    count: int
    seed: int = 1
    start_at: str | None = None
    end_at: str | None = None
    locations: tuple[str, ...] | None = None
    encoded: bool = False


class TokenSpec(_Spec):
    """Tokens to issue without the consent page."""

    scopes: tuple[str, ...] = READ_SCOPES
    single_use: bool = False
    access_token_seconds: int | None = None


class RefundSpec(_Spec):
    """A return to record as an order of its own: by amount (minor units), or by line (uid -> quantity).

    Without both, everything that the order holds is returned. `linked` false leaves out what it returns.
    """

    amount: int | None = None
    lines: dict[str, str] | None = None
    linked: bool = True
    reason: str = "Returned goods"


class CsvSpec(_Spec):
    """Where a Square "Items detail" export lies on the sandbox's machine, and its currency."""

    path: str
    currency: str | None = None


FaultKind = Literal[
    "rate_limit",
    "server_error",
    "slow",
    "reset",
    "truncated_json",
    "html",
    "token_expired",
    "token_revoked",
    "lost_reply",
    "cursor_expired",
    "scope_removed",
    "legacy_error",
    "touch_orders",
    "late_orders",
    "delete_orders",
]


class FaultSpec(_Spec):
    """One fault: what happens (`kind`), to which calls, when (`after` calls), how often (`times`).

    `operation` is a name such as `SearchOrders`, `ObtainToken` or `*`. `times` null means for ever.
    `retry_after` is sent as it is given. `touch_orders` bumps `order_ids`, or `count` orders drawn with
    `seed`, to the present before the call is answered; `late_orders` puts `orders` into the merchant's book;
    `delete_orders` deletes `order_ids`, or `count` drawn ones (Clover).
    """

    kind: FaultKind
    operation: str = "*"
    after: int = 0
    times: int | None = 1
    status: int = 503
    retry_after: str | None = None
    delay_seconds: float = 1.0
    scopes: tuple[str, ...] = ()
    order_ids: tuple[str, ...] = ()
    count: int = 1
    seed: int = 1
    orders: tuple[Json, ...] = ()


class FaultState(msgspec.Struct, kw_only=True):
    """A fault with its counters: matching calls seen, and how often it struck."""

    fault: FaultSpec
    seen: int = 0
    struck: int = 0


class ApplicationSpec(_Spec):
    """The registered application; what is left out stays as it is."""

    client_id: str | None = None
    client_secret: str | None = None
    redirect_urls: tuple[str, ...] | None = None
    square_version: str | None = None


class ClockState(_Spec):
    """The sandbox's present instant (RFC 3339), and whether it stands still."""

    now: str
    frozen: bool = False


class WebhookEvent(_Spec):
    """One event; `object` goes under `data.object`, keyed as Square keys that type."""

    merchant_id: str
    type: str
    object_id: str
    object: Json = {}
    event_id: str | None = None


class WebhookSpec(_Spec):
    """Deliveries to make: each event `copies` times, shuffled with a seed, marked as retries if numbered."""

    notification_url: str
    signature_key: str
    events: tuple[WebhookEvent, ...]
    copies: int = 1
    shuffle_seed: int | None = None
    retry_number: int = 0
    retry_reason: Literal["http_timeout", "http_error", "ssl_error", "other_error"] = "http_error"


class Tokens(msgspec.Struct, kw_only=True):
    """What a token call answers with, as far as tests need it."""

    access_token: str
    refresh_token: str
    expires_at: str
    merchant_id: str
