"""Items as providers sell them, products and locations as Suppli knows them (all compacted)."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from suppli_contracts.events.base import Event, OpenEnum


class ItemKind(OpenEnum):
    """What an external item is."""

    ITEM = "item"
    MODIFIER = "modifier"
    CUSTOM_AMOUNT = "custom_amount"
    UNKNOWN = "unknown"


class ExternalItemChanged(Event, frozen=True, kw_only=True):
    """One thing that a provider's catalog sells (topic `suppli.catalog.external.v1`).

    Attributes:
        external_id: the id that sales lines carry: the variation's or the modifier's.
        parent_id: the item of a variation, the list of a modifier.
        name: the item's or modifier's name; `variation_name` apart.
        category: the reporting category's name.
        unit: the unit that quantities are in, e.g. `each`, `lb`, `kg`; None = each.
        revision: grows per key; drop lower ones.
        deleted: gone at the provider; lines that name it still join here.
    """

    event_type: ClassVar[str] = "suppli.ExternalItemChanged.v1"

    connection_id: UUID
    provider: str
    external_id: str
    revision: int
    kind: ItemKind = ItemKind.ITEM
    parent_id: str | None = None
    name: str | None = None
    variation_name: str | None = None
    sku: str | None = None
    barcode: str | None = None
    category: str | None = None
    unit: str | None = None
    deleted: bool = False

    def topic_key(self) -> str:
        """Key by connection and item."""
        return f"{self.connection_id}:{self.external_id}"


class ProductChanged(Event, frozen=True, kw_only=True):
    """A Suppli product (topic `suppli.catalog.products.v1`).

    Attributes:
        unit: the stock unit, e.g. `each`, `kg`, `l`.
        replaced_by: the product that this one was merged into; its mappings move there.
    """

    event_type: ClassVar[str] = "suppli.ProductChanged.v1"

    product_id: str
    revision: int
    name: str = ""
    sku: str | None = None
    barcode: str | None = None
    unit: str = "each"
    replaced_by: str | None = None
    deleted: bool = False

    def topic_key(self) -> str:
        """Key by tenant and product."""
        return f"{self.tenant_id}:{self.product_id}"


class LocationChanged(Event, frozen=True, kw_only=True):
    """A Suppli location (topic `suppli.catalog.locations.v1`).

    Attributes:
        restock_unknown: whether a return that does not say so goes back on the shelf
            (restaurant: no, shop: yes).
    """

    event_type: ClassVar[str] = "suppli.LocationChanged.v1"

    location_id: str
    revision: int
    name: str = ""
    timezone: str | None = None
    restock_unknown: bool = False
    deleted: bool = False

    def topic_key(self) -> str:
        """Key by tenant and location."""
        return f"{self.tenant_id}:{self.location_id}"
