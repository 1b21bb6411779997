"""What the control API of the local Clover takes. Unknown fields are refused."""

from typing import Literal

import msgspec

PERMISSIONS = ("merchant", "orders", "inventory", "payments")


class _Spec(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class CloverMerchantSpec(_Spec):
    """A merchant to create: at Clover a merchant is one place of business.

    `vat`: its prices include tax.
    """

    name: str
    id: str | None = None
    timezone: str = "America/New_York"
    currency: str = "USD"
    locale: str = "en-US"
    vat: bool = False


class CloverMerchantSettings(_Spec):
    """How the sandbox treats a merchant; what is left out stays as it is.

    `access_token_seconds`, `refresh_token_seconds`: lives of new tokens. `permissions`: what the app
    may read (a call that needs another answers 401). `clamp_days`: a longer time window silently returns its
    most recent days only. `clamped_fields`: the times that this holds for. `nested_cap`: most elements of a
    nested list. `over_limit`: whether a limit above 1,000 is clamped or refused. `most_expands`: more than so
    many expanded fields are refused. `state_passthrough`: whether `state` comes back from the consent page.
    `line_items_paging`: whether `/line_items` obeys limit and offset, or is cut like a nested list.
    """

    access_token_seconds: int | None = None
    refresh_token_seconds: int | None = None
    permissions: tuple[str, ...] | None = None
    clamp_days: int | None = None
    clamped_fields: tuple[str, ...] | None = None
    nested_cap: int | None = None
    over_limit: Literal["clamp", "refuse"] | None = None
    most_expands: int | None = None
    state_passthrough: bool | None = None
    line_items_paging: bool | None = None


class CloverApplicationSpec(_Spec):
    """The registered application and its limits; what is left out stays as it is. A limit of 0 is none.

    Limits are calls a second and calls in flight, for one token and for all of them.
    """

    client_id: str | None = None
    client_secret: str | None = None
    redirect_urls: tuple[str, ...] | None = None
    token_limit: int | None = None
    token_concurrent_limit: int | None = None
    cross_token_limit: int | None = None
    cross_token_concurrent_limit: int | None = None


class ApiTokenSpec(_Spec):
    """A merchant API token to make, as its owner does on the dashboard: it does not expire."""

    permissions: tuple[str, ...] = PERMISSIONS


class CloverGenerateSpec(_Spec):
    """Orders to generate: the same seed and span give the same orders. Instants are RFC 3339."""

    count: int
    seed: int = 1
    start_at: str | None = None
    end_at: str | None = None


class CloverRefundSpec(_Spec):
    """Money to give back on an order: whole lines by id, or an amount (minor units) that names no line.

    `credit`: as a manual refund that no payment stands behind.
    """

    lines: tuple[str, ...] = ()
    amount: int | None = None
    credit: bool = False
    reason: str = "Returned goods"


class CloverEvent(_Spec):
    """One webhook message: `object_id` with its key, e.g. `O:<order>`, and what happened to it."""

    merchant_id: str
    object_id: str
    type: Literal["CREATE", "UPDATE", "DELETE"] = "UPDATE"
    ts: int | None = None


class CloverWebhookSpec(_Spec):
    """Deliveries to make: many messages a call, each delivery `copies` times, shuffled with a seed.

    `drop`: every so many-th delivery never leaves, as delivery is not guaranteed (0: all leave).
    """

    url: str
    auth_code: str
    events: tuple[CloverEvent, ...]
    batch: int = 100
    copies: int = 1
    shuffle_seed: int | None = None
    drop: int = 0


class Rates(msgspec.Struct, kw_only=True):
    """What the limits saw: most calls within one second and most in flight, one token's and all tokens'."""

    token_per_second: int = 0
    token_in_flight: int = 0
    cross_token_per_second: int = 0
    cross_token_in_flight: int = 0
    refused: int = 0


class CloverTokens(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What OAuth answers with; expirations are Unix seconds."""

    access_token: str
    access_token_expiration: int
    refresh_token: str | None = None
    refresh_token_expiration: int | None = None
