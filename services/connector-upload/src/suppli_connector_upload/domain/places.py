"""Where the fields of a row stand, and what the words of its event or state mean."""

from __future__ import annotations

from msgspec import Struct
from suppli_contracts.events.sales import Disposition

from suppli_connector_upload.domain.files import Cell
from suppli_connector_upload.domain.remembered import Remembered
from suppli_connector_upload.domain.texts import plain_text

_EVENTS = (
    ("refund", Disposition.RETURNED),
    ("return", Disposition.RETURNED),
    ("void", Disposition.VOID_UNKNOWN),
    ("cancel", Disposition.CANCELLED),
    ("comp", Disposition.COMPED),
    ("waste", Disposition.WASTE),
    ("test", Disposition.TEST),
    ("open", Disposition.NOT_YET),
    ("draft", Disposition.NOT_YET),
)
_NOT_EVENT = "complete"


class Places(Struct, frozen=True):
    """The index of each field's column; see `Field`."""

    datetime: int
    date: int
    time: int
    business_date: int
    order_id: int
    line_id: int
    item_id: int
    sku: int
    barcode: int
    item: int
    variation: int
    category: int
    quantity: int
    unit: int
    unit_price: int
    gross: int
    discount: int
    net: int
    tax: int
    voided: int
    event: int
    kind: int
    deferred: int
    tax_included: int
    channel: int
    location: int
    currency: int


class Events(Remembered[Disposition]):
    """What the words of an event or state mean; any other word is a sale."""

    def find(self, cell: Cell) -> Disposition:
        """Return what a cell's word means."""
        word = plain_text(cell).lower()
        found = Disposition.SOLD
        if not word.startswith(_NOT_EVENT):
            found = next((meant for start, meant in _EVENTS if word.startswith(start)), found)
        return found
