"""Raw sales as connectors read them, and product sales as mapping says them.

Money is an integer in the currency's minor unit (ISO 4217). Quantities are decimals as strings.
Everything is signed: a return's quantity and money are negative, so sums are plain sums.
"""

from __future__ import annotations

from datetime import date
from typing import ClassVar
from uuid import UUID

from suppli_contracts.events.base import Event, Instant, OpenEnum, Part


class OrderState(OpenEnum):
    """Where the provider's order stands. `deleted` = gone or merged away at the provider."""

    OPEN = "open"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DRAFT = "draft"
    DELETED = "deleted"
    UNKNOWN = "unknown"


class Disposition(OpenEnum):
    """What became of a line.

    `sold`, `comped` and `returned` make product sales, the rest is kept and shown.
    """

    SOLD = "sold"
    COMPED = "comped"
    RETURNED = "returned"
    VOID_NOT_MADE = "void_not_made"
    VOID_MADE = "void_made"
    VOID_UNKNOWN = "void_unknown"
    WASTE = "waste"
    NOT_YET = "not_yet"
    CANCELLED = "cancelled"
    TEST = "test"
    UNKNOWN = "unknown"


class Restock(OpenEnum):
    """Whether a returned thing went back on the shelf."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class AdjustmentKind(OpenEnum):
    """Money of an order that belongs to no line."""

    SERVICE_CHARGE = "service_charge"
    TIP = "tip"
    DELIVERY = "delivery"
    GIFT_CARD = "gift_card"
    ROUNDING = "rounding"
    REFUND_AMOUNT = "refund_amount"
    UNEXPLAINED = "unexplained"
    UNKNOWN = "unknown"


class LineKind(OpenEnum):
    """An item of the catalog or typed at the till, or only an amount."""

    ITEM = "item"
    CUSTOM_AMOUNT = "custom_amount"
    UNKNOWN = "unknown"


class ModifierKind(OpenEnum):
    """Something added to a line, or left out."""

    EXTRA = "extra"
    NO = "no"
    UNKNOWN = "unknown"


class Modifier(Part, frozen=True, kw_only=True):
    """A choice that belongs to a line.

    Attributes:
        modifier_id: unique within the line.
        external_id: the provider's catalog id; None where it was typed (then no name either).
        quantity: in total, already times the line's; signed like the line's.
        gross: already inside the line's gross.
    """

    modifier_id: str
    external_id: str | None = None
    name: str | None = None
    kind: ModifierKind = ModifierKind.EXTRA
    quantity: str = "1"
    gross: int = 0


class ReturnedLine(Part, frozen=True, kw_only=True):
    """The sale line that a return takes back, where the provider says."""

    order_id: str
    line_id: str | None = None


class SaleLine(Part, frozen=True, kw_only=True):
    """One line of an order. All money is without tax; a return's quantity and money are negative.

    Attributes:
        line_id: unique and stable within the order.
        item_id: the provider's item, `variation_id` its variation.
        sku: only where the order itself carries it; the catalog's is joined in mapping
            (likewise barcode and category).
        quantity: decimal as a string; "0" on a return where only money went back.
        unit: `each`, or a unit of mass, volume, length, area or time, e.g. `lb`, `kg`, `l`.
        gross: with modifiers, before discount.
        discount: its own and its share of the order's, positive for a sale.
        net: gross - discount, or the provider's own where that differs.
        tax: for reading; never part of gross or net.
        tax_included: whether the price at the till had the tax in it.
        occurred_at: when this line happened; a return's own instant.
        business_date: the shop's day that it counts on.
        reason: the provider's reason for a void, comp or return.
    """

    line_id: str
    occurred_at: Instant
    business_date: date
    disposition: Disposition
    quantity: str
    gross: int
    discount: int
    net: int
    tax: int = 0
    unit: str = "each"
    kind: LineKind = LineKind.ITEM
    item_id: str | None = None
    variation_id: str | None = None
    sku: str | None = None
    barcode: str | None = None
    name: str | None = None
    variation_name: str | None = None
    category: str | None = None
    tax_included: bool = False
    modifiers: tuple[Modifier, ...] = ()
    reason: str | None = None
    restock: Restock | None = None
    returns: ReturnedLine | None = None


class Adjustment(Part, frozen=True, kw_only=True):
    """Money of the order that fits no line, so that lines + adjustments = total less tax, always."""

    adjustment_id: str
    kind: AdjustmentKind
    amount: int
    business_date: date
    occurred_at: Instant


class SaleTotals(Part, frozen=True, kw_only=True):
    """The order's sums as the provider gives them, returns subtracted.

    Attributes:
        total: with tax, tips and charges.
        tax: within `total`.
    """

    total: int
    tax: int = 0
    discount: int = 0
    tip: int = 0
    service_charge: int = 0


class SaleRecorded(Event, frozen=True, kw_only=True):
    """One order as it now is (topic `suppli.sales.raw.v1`).

    Versions compare as (`source_version`, `observed`), the greater wins.

    Attributes:
        order_id: the provider's id.
        location_id: the provider's location.
        source_version: the provider's last-modified instant, microseconds since 1970 UTC.
        observed: lease fence and page sequence as one growing integer; breaks ties of `source_version`.
        content_hash: over what sales need; an unchanged order is not said again.
        normaliser_revision: which reading of the provider's order this is.
        channel: where it was sold, as the provider names it, e.g. `Kiosk App`.
    """

    event_type: ClassVar[str] = "suppli.SaleRecorded.v1"

    connection_id: UUID
    provider: str
    account_id: str
    location_id: str
    order_id: str
    state: OrderState
    currency: str
    source_version: int
    observed: int
    content_hash: str
    run_id: UUID
    recorded_at: Instant
    totals: SaleTotals
    lines: tuple[SaleLine, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    channel: str | None = None
    normaliser_revision: int = 1

    def topic_key(self) -> str:
        """Key by connection and order."""
        return f"{self.connection_id}:{self.order_id}"


class Cause(OpenEnum):
    """Why a product sale was said."""

    SALE = "sale"
    EDIT = "edit"
    RETURN = "return"
    VOID = "void"
    MAPPING = "mapping"
    SUPERSEDED = "superseded"
    UNDO = "undo"
    UNKNOWN = "unknown"


class Amounts(Part, frozen=True, kw_only=True):
    """Figures of an entry; quantities in the product's stock unit with at most 6 decimals.

    Attributes:
        quantity: sold less returned.
        consumed: what left the shelf.
        gross: minor units without tax; likewise discount and net.
    """

    quantity: str = "0"
    consumed: str = "0"
    gross: int = 0
    discount: int = 0
    net: int = 0


class ProductSaleRecorded(Event, frozen=True, kw_only=True):
    """What one part of one order line now means for one product (topic `suppli.sales.products.v1`).

    Upsert by `entry_key`, the highest `entry_version` wins; or add the deltas of event ids not seen before.

    Attributes:
        entry_key: UUIDv5 of (line key, component, product, Suppli location, business date, unit, currency).
        entry_version: +1 per event of this entry, whatever the cause.
        line_id: the raw sale's line; `component` is `line`, `split:<n>` or `modifier:<id>`.
        location_id: the Suppli location.
        unit: the product's stock unit.
        standing: as it now stands; `delta` against the entry's previous version.
        raw_event_id: the raw sale behind it; `run_id` the run that read it.
        historical: from before the connection's first day.
    """

    event_type: ClassVar[str] = "suppli.ProductSaleRecorded.v1"

    entry_key: UUID
    entry_version: int
    connection_id: UUID
    order_id: str
    line_id: str
    component: str
    product_id: str
    location_id: str
    business_date: date
    unit: str
    currency: str
    occurred_at: Instant
    recorded_at: Instant
    standing: Amounts
    delta: Amounts
    mapping_revision: int
    cause: Cause
    channel: str | None = None
    historical: bool = False
    raw_event_id: str | None = None
    run_id: UUID | None = None

    def topic_key(self) -> str:
        """Key by tenant and product."""
        return f"{self.tenant_id}:{self.product_id}"
