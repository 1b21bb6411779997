"""What happened to the mapping of external items."""

from __future__ import annotations

from datetime import date
from typing import ClassVar
from uuid import UUID

from suppli_contracts.events.base import Event, Instant, OpenEnum, Part
from suppli_contracts.events.catalog import ItemKind


class Suggestion(Part, frozen=True, kw_only=True):
    """A product that an item might be; `score` from 0 to 1, `by` says what matched (sku, barcode, name)."""

    product_id: str
    name: str
    score: float
    by: str


class MappingState(OpenEnum):
    """What sales of an external item become."""

    UNMAPPED = "unmapped"
    MAPPED = "mapped"
    IGNORED = "ignored"
    UNKNOWN = "unknown"


class MappingTarget(Part, frozen=True, kw_only=True):
    """One product that an external item stands for.

    Attributes:
        factor: stock units per external unit, a decimal (`0.5`) or a fraction (`1/3`);
            may be negative for a modifier.
        share: this target's share of the line's net, a decimal or fraction; None = equal shares.
    """

    product_id: str
    factor: str = "1"
    share: str | None = None


class ItemUnmapped(Event, frozen=True, kw_only=True):
    """Sales of an item wait for somebody to say which product it is; said once per item."""

    event_type: ClassVar[str] = "suppli.ItemUnmapped.v1"

    connection_id: UUID
    item_id: UUID
    item_key: str
    at: Instant
    kind: ItemKind = ItemKind.ITEM
    name: str | None = None
    variation_name: str | None = None
    sku: str | None = None
    barcode: str | None = None
    suggestions: tuple[Suggestion, ...] = ()

    def topic_key(self) -> str:
        """Key by tenant and external item."""
        return f"{self.tenant_id}:{self.item_id}"


class MappingChanged(Event, frozen=True, kw_only=True):
    """Somebody decided what an item is.

    Attributes:
        revision: the mapping's own counter.
        from_date: the first business date that it holds for; None = since ever.
        actor: who decided.
    """

    event_type: ClassVar[str] = "suppli.MappingChanged.v1"

    connection_id: UUID
    item_id: UUID
    item_key: str
    revision: int
    state: MappingState
    at: Instant
    targets: tuple[MappingTarget, ...] = ()
    from_date: date | None = None
    actor: str | None = None

    def topic_key(self) -> str:
        """Key by tenant and external item."""
        return f"{self.tenant_id}:{self.item_id}"
