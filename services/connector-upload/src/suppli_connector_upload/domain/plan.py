"""How a file is to be understood: what was found out and what a person confirmed."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from suppli_connector_upload.domain.files import Layout

ENCODINGS = frozenset(
    [
        "utf-8",
        "utf-8-sig",
        "utf-16",
        "cp1250",
        "cp1251",
        "cp1252",
        "cp1253",
        "cp1254",
        "cp1255",
        "cp1256",
        "cp1257",
    ]
    + ["cp437", "cp850", "cp866", "mac_roman", "koi8-r", "shift_jis", "gb18030", "big5", "euc-kr"]
    + [f"iso-8859-{part}" for part in (1, 2, 5, 7, 8, 9, 15)]
)


def is_delimiter(text: str) -> bool:
    """Return whether a text file's columns can be divided by this."""
    return len(text) == 1 and text not in '"\r\n\0'


class Shape(StrEnum):
    """Exports that are known by their columns; everything else is `generic`."""

    SQUARE_ITEMS = "square_items_detail"
    TOAST_ITEMS = "toast_item_selection"
    SHOPIFY_ORDERS = "shopify_orders"
    CLOVER_REVENUE_ITEMS = "clover_revenue_item_sales"
    TOAST_MODIFIERS = "toast_modifier_selection"
    TOAST_ORDERS = "toast_order_details"
    TOAST_ALL_ITEMS = "toast_all_items_report"
    GENERIC = "generic"


class Field(StrEnum):
    """What a column can hold, each at most one column.

    `gross`, `discount`, `net` and `tax` are of the whole line, `unit_price` is for one. A sale needs one of
    `datetime`, `date` and `business_date`, one of `item`, `sku` and `item_id`, and one of `unit_price`,
    `gross` and `net`. `business_date` is the till's own day, which no cut-off shifts. `event` tells refunds,
    voids and the like by word, `voided` by yes or no; `kind` tells gift cards by word, `deferred` by yes or
    no; `tax_included` tells, line by line, that the till's price had the tax in it: no figure depends on it.
    """

    DATETIME = "datetime"
    DATE = "date"
    TIME = "time"
    BUSINESS_DATE = "business_date"
    ORDER_ID = "order_id"
    LINE_ID = "line_id"
    ITEM_ID = "item_id"
    SKU = "sku"
    BARCODE = "barcode"
    ITEM = "item"
    VARIATION = "variation"
    CATEGORY = "category"
    QUANTITY = "quantity"
    UNIT = "unit"
    UNIT_PRICE = "unit_price"
    GROSS = "gross"
    DISCOUNT = "discount"
    NET = "net"
    TAX = "tax"
    VOIDED = "voided"
    EVENT = "event"
    KIND = "kind"
    DEFERRED = "deferred"
    TAX_INCLUDED = "tax_included"
    CHANNEL = "channel"
    LOCATION = "location"
    CURRENCY = "currency"


class DateOrder(StrEnum):
    """In which sequence a date's numbers stand."""

    YMD = "ymd"
    DMY = "dmy"
    MDY = "mdy"


class Plan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that reading a file's sales needs. It is JSON, and can be remembered for the next file.

    Attributes:
        fingerprint: which columns the file has (`fingerprint_of`): files of one fingerprint share a plan.
        columns: the name of the column that holds a field; `layout.columns` has it.
        decimal_mark: `.` or `,` of numbers that are text.
        timezone: IANA name of the zone of the shop, in which times without a zone are written.
        day_cutoff: `HH:MM`, when the shop's day begins: what is earlier belongs to the day before.
        currency: ISO 4217, of every row, unless a column says it.
        prices_include_tax: whether gross, net and unit price have the tax in them.
        tax_percent: e.g. `20`, what to take out of prices that include tax where no column says how much;
            None = nothing is taken out.
        location_id: where the sales are counted: every sale has it as its external location.
        only_location: import only rows whose location column says so; None = all rows.
        use_order_ids: whether the order column tells which rows belong together; else each row is a sale of
            its own.
        use_line_ids: whether the line column names lines; else they are named by their content.
    """

    shape: Shape
    fingerprint: str
    layout: Layout
    columns: dict[Field, str]
    timezone: str
    currency: str
    location_id: str
    day_cutoff: str = "00:00"
    date_order: DateOrder = DateOrder.YMD
    decimal_mark: str = "."
    prices_include_tax: bool = False
    tax_percent: str | None = None
    only_location: str | None = None
    use_order_ids: bool = True
    use_line_ids: bool = True


class PlanProblem(Exception):
    """A plan that cannot be carried out.

    Attributes:
        about: the question or the plan's attribute that is wrong.
        reason: a sentence for a person.
    """

    def __init__(self, about: str, reason: str) -> None:
        super().__init__(f"{about}: {reason}")
        self.about = about
        self.reason = reason
