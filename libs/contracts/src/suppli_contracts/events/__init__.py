"""The events, one module per area; `ALL` lists them for the registry and the schemas."""

from suppli_contracts.events.base import Event
from suppli_contracts.events.catalog import ExternalItemChanged, LocationChanged, ProductChanged
from suppli_contracts.events.connections import ConnectionChanged
from suppli_contracts.events.days import SalesDayStated
from suppli_contracts.events.mapping import ItemUnmapped, MappingChanged
from suppli_contracts.events.sales import ProductSaleRecorded, SaleRecorded
from suppli_contracts.events.sync import (
    CancelSync,
    NextSyncScheduled,
    ReauthRequired,
    RunSync,
    SyncRunChanged,
)

ALL: tuple[type[Event], ...] = (
    ConnectionChanged,
    RunSync,
    CancelSync,
    SyncRunChanged,
    NextSyncScheduled,
    ReauthRequired,
    SaleRecorded,
    ExternalItemChanged,
    ProductChanged,
    LocationChanged,
    ProductSaleRecorded,
    SalesDayStated,
    ItemUnmapped,
    MappingChanged,
)

__all__ = [
    "ALL",
    "CancelSync",
    "ConnectionChanged",
    "Event",
    "ExternalItemChanged",
    "ItemUnmapped",
    "LocationChanged",
    "MappingChanged",
    "NextSyncScheduled",
    "ProductChanged",
    "ProductSaleRecorded",
    "ReauthRequired",
    "RunSync",
    "SaleRecorded",
    "SalesDayStated",
    "SyncRunChanged",
]
