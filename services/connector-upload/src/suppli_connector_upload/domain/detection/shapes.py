"""Exports that are known by their columns, and why some of them hold no sales that could be imported."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from suppli_connector_upload.domain.detected import Refusal
from suppli_connector_upload.domain.plan import DateOrder, Field, Shape


class KnownShape(NamedTuple):
    """An export that is known.

    Attributes:
        title: for people.
        signature: columns that only this export has all of.
        columns: which column holds which field.
        date_order: of its dates, where it is always the same.
        refusal: why it is not imported.
    """

    shape: Shape
    title: str
    signature: frozenset[str]
    columns: dict[Field, str]
    date_order: DateOrder | None = None
    refusal: Refusal | None = None


_SQUARE = KnownShape(
    Shape.SQUARE_ITEMS,
    "Square, Items detail",
    frozenset(
        {"Date", "Time", "Item", "Qty", "Price Point Name", "Gross Sales", "Net Sales", "Transaction ID"}
    ),
    {
        Field.DATE: "Date",
        Field.TIME: "Time",
        Field.ORDER_ID: "Transaction ID",
        Field.ITEM: "Item",
        Field.VARIATION: "Price Point Name",
        Field.SKU: "SKU",
        Field.BARCODE: "GTIN",
        Field.CATEGORY: "Category",
        Field.QUANTITY: "Qty",
        Field.UNIT: "Unit",
        Field.GROSS: "Gross Sales",
        Field.DISCOUNT: "Discounts",
        Field.NET: "Net Sales",
        Field.TAX: "Tax",
        Field.EVENT: "Event Type",
        Field.KIND: "Itemization Type",
        Field.CHANNEL: "Dining Option",
        Field.LOCATION: "Location",
    },
)
_TOAST_ITEMS = KnownShape(
    Shape.TOAST_ITEMS,
    "Toast, Item selection details",
    frozenset({"Order Id", "Sent Date", "Item Selection Id", "Menu Item", "Net Price", "Qty", "Void?"}),
    {
        Field.DATETIME: "Sent Date",
        Field.ORDER_ID: "Order Id",
        Field.LINE_ID: "Item Selection Id",
        Field.ITEM_ID: "Item Id",
        Field.SKU: "SKU",
        Field.ITEM: "Menu Item",
        Field.CATEGORY: "Sales Category",
        Field.QUANTITY: "Qty",
        Field.GROSS: "Gross Price",
        Field.DISCOUNT: "Discount",
        Field.NET: "Net Price",
        Field.TAX: "Tax",
        Field.VOIDED: "Void?",
        Field.DEFERRED: "Deferred",
        Field.CHANNEL: "Dining Option",
        Field.LOCATION: "Location",
    },
    DateOrder.MDY,
)
_SHOPIFY = KnownShape(
    Shape.SHOPIFY_ORDERS,
    "Shopify, Orders",
    frozenset(
        {"Name", "Financial Status", "Created at", "Lineitem quantity", "Lineitem name", "Lineitem price"}
    ),
    {
        Field.DATETIME: "Created at",
        Field.ORDER_ID: "Name",
        Field.ITEM: "Lineitem name",
        Field.SKU: "Lineitem sku",
        Field.QUANTITY: "Lineitem quantity",
        Field.UNIT_PRICE: "Lineitem price",
        Field.DISCOUNT: "Lineitem discount",
        Field.CURRENCY: "Currency",
        Field.CHANNEL: "Source",
    },
    DateOrder.YMD,
)
_CLOVER = KnownShape(
    Shape.CLOVER_REVENUE_ITEMS,
    "Clover, Revenue item sales",
    frozenset({"Category Name", "Name", "Gross Sales", "Net Sales", "Sold", "Refunded", "Modifier Name"}),
    {},
    refusal=Refusal(
        code="no_dates",
        reason="This is Clover's Revenue Item Sales report: sums for a whole period, with no date or time on"
        " its rows, so no sale can be told from it. Connect Clover, or export a report with one row per item"
        " sold.",
    ),
)
_TOAST_MODIFIERS = KnownShape(
    Shape.TOAST_MODIFIERS,
    "Toast, Modifier selection details",
    frozenset({"Modifier Id", "Modifier", "Option Group Name", "Parent Menu Selection", "Net Price"}),
    {},
    refusal=Refusal(
        code="modifiers_only",
        reason="These are Toast's modifiers: their prices are already inside the prices of their items, and"
        " would count twice. Upload ItemSelectionDetails.csv of the same day instead.",
    ),
)
_TOAST_ORDERS = KnownShape(
    Shape.TOAST_ORDERS,
    "Toast, Order details",
    frozenset({"Order Id", "Opened", "Checks", "Amount", "Total", "Order Source"}),
    {},
    refusal=Refusal(
        code="no_items",
        reason="These are Toast's orders without their items: what was sold is not in this file. Upload"
        " ItemSelectionDetails.csv of the same day instead.",
    ),
)
_TOAST_ALL_ITEMS = KnownShape(
    Shape.TOAST_ALL_ITEMS,
    "Toast, All items report",
    frozenset({"Menu Name", "Menu Group", "Menu Item", "Item Qty (incl voids)", "Net Amount"}),
    {},
    refusal=Refusal(
        code="sums_only",
        reason="This is Toast's All Items report: sums of menus, groups and items mixed, without dates, so"
        " that adding it up counts each sale several times. Upload ItemSelectionDetails.csv instead.",
    ),
)
KNOWN = (_SQUARE, _TOAST_ITEMS, _SHOPIFY, _CLOVER, _TOAST_MODIFIERS, _TOAST_ORDERS, _TOAST_ALL_ITEMS)


def known_shape(names: Collection[str]) -> KnownShape | None:
    """Return the export that has these columns."""
    there = set(names)
    return next((known for known in KNOWN if known.signature <= there), None)
