"""What columns are called: names as they are compared, and which mean which field."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

from suppli_connector_upload.domain.files import Cell
from suppli_connector_upload.domain.plan import Field
from suppli_connector_upload.domain.texts import plain_text

_CAMEL = re.compile(r"(?<=[a-zà-ÿ])(?=[A-Z])")
_APART = re.compile(r"[^\w#%]+|_")
_LONGEST = 80

SYNONYMS: dict[Field, tuple[str, ...]] = {
    Field.BUSINESS_DATE: ("business date", "business day", "trading day", "trading date"),
    Field.DATETIME: (
        "datetime", "date time", "timestamp", "sent date", "order date", "ordered at", "created at",
        "transaction date", "sale date", "invoice date", "closed at", "paid at", "sold at", "opened",
        "date", "datum", "fecha", "data", "дата",
    ),
    Field.TIME: (
        "time", "order time", "transaction time", "sale time", "uhrzeit", "zeit", "hora", "heure", "ora",
    ),
    Field.ORDER_ID: (
        "order id", "transaction id", "order #", "order no", "order number", "receipt no",
        "receipt number", "receipt id", "receipt #", "receipt", "check id", "check #", "check number",
        "bill no", "bill number", "invoice no", "invoice number", "invoice id", "invoice", "ticket",
        "ticket number", "ticket id", "sale id", "transaction", "transaction no", "order", "bon",
        "bonnummer", "belegnummer", "beleg", "rechnungsnummer", "numero de ticket", "scontrino",
    ),
    Field.LINE_ID: ("line id", "line item id", "item selection id", "order line id", "position id"),
    Field.ITEM_ID: (
        "item id", "variation id", "variant id", "product id", "menu item id", "item variation id",
    ),
    Field.SKU: (
        "sku", "item sku", "product sku", "stock code", "item code", "product code", "artikelnummer",
        "code",
    ),
    Field.BARCODE: ("barcode", "ean", "upc", "gtin"),
    Field.ITEM: (
        "item", "item name", "product name", "product", "menu item", "description", "item description",
        "name", "coffee name", "title", "article", "artikel", "artikelname", "bezeichnung", "producto",
        "articulo", "produit", "prodotto", "articolo", "товар", "наименование",
    ),
    Field.VARIATION: (
        "variation", "variation name", "variant", "variant name", "price point name", "size",
    ),
    Field.CATEGORY: (
        "category", "sales category", "item category", "product category", "department", "group",
        "menu group", "warengruppe", "kategorie", "categoria", "categorie",
    ),
    Field.QUANTITY: (
        "quantity", "qty", "qty sold", "quantity sold", "units", "units sold", "item quantity", "menge",
        "anzahl", "stuck", "stück", "cantidad", "quantite", "quantité", "quantita", "quantità",
        "количество",
    ),
    Field.UNIT: ("unit", "uom", "unit of measure", "einheit"),
    Field.UNIT_PRICE: (
        "unit price", "price each", "price per unit", "item price", "product price", "price",
        "selling price", "einzelpreis", "preis", "precio unitario", "precio", "prix unitaire", "prix",
        "prezzo", "цена",
    ),
    Field.GROSS: ("gross sales", "gross price", "gross amount", "gross", "brutto", "bruttoumsatz"),
    Field.DISCOUNT: (
        "discount", "discounts", "discount amount", "total discount", "rabatt", "descuento", "remise",
    ),
    Field.NET: (
        "net sales", "net price", "net amount", "net", "net total", "line total", "item total",
        "total price", "sales amount", "sales", "amount", "total", "total amount", "revenue", "money",
        "netto", "nettoumsatz", "umsatz", "betrag", "gesamtpreis", "importe", "montant", "importo",
        "totale", "сумма",
    ),
    Field.TAX: (
        "tax", "taxes", "tax amount", "vat", "vat amount", "sales tax", "mwst", "iva", "tva", "gst",
    ),
    Field.VOIDED: ("void", "voided", "is void", "is voided", "storno", "storniert"),
    Field.EVENT: (
        "event type", "transaction type", "event", "type", "sale type", "status", "order status",
    ),
    Field.CHANNEL: ("dining option", "channel", "sales channel", "order source", "source", "order type"),
    Field.LOCATION: (
        "location", "location name", "store", "store name", "branch", "shop", "outlet", "filiale",
    ),
    Field.CURRENCY: ("currency", "currency code", "wahrung", "währung", "moneda", "devise"),
}  # fmt: skip


def compared(name: str) -> str:
    """Return a column's name as it is compared: `InvoiceNo`, `invoice_no` and `Invoice No.` are one."""
    return _APART.sub(" ", _CAMEL.sub(" ", name)).strip().lower()


def column_names(cells: Sequence[Cell], width: int) -> tuple[str, ...]:
    """Return a header's names, each once, for `width` columns; one without a name is `Column <n>`."""
    names: list[str] = []
    taken: set[str] = set()
    for at in range(max(width, len(cells))):
        text = " ".join(plain_text(cells[at]).split())[:_LONGEST] if at < len(cells) else ""
        name = wanted = text or f"Column {at + 1}"
        count = 1
        while name in taken:
            count += 1
            name = f"{wanted} ({count})"
        taken.add(name)
        names.append(name)
    return tuple(names)


def fingerprint_of(columns: Sequence[str]) -> str:
    """Return what two files with the same columns have in common, whatever the columns' sequence."""
    names = "\x1f".join(sorted(compared(name) for name in columns))
    return blake2b(names.encode(), digest_size=12).hexdigest()
