"""Turns the rows of a Square "Items detail" export into the catalog, locations and orders they came from.

Real Square does not carry voided lines in orders; the export shows them with a name that ends in
" (Voided)" and no money. They are kept here as lines of exactly that name, so that the file's own totals
can be found again downstream.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from suppli_sandbox.csv_rows import SaleRow, read_rows
from suppli_sandbox.models import LocationSpec
from suppli_sandbox.square.money import amounts, money
from suppli_sandbox.square.orders import StoredOrder
from suppli_sandbox.square.units import unit_of
from suppli_sandbox.square.world import Merchant, World
from suppli_sandbox.times import format_us

Json = dict[str, Any]

_TAX, _DEFAULT_VARIATION = "tax", "Regular"


def import_sales(world: World, merchant: Merchant, content: bytes, currency: str | None) -> Json:
    """Load an export into a merchant and return what came in.

    Locations are found by name, or made with the file's zone. Raises CsvError for a file that cannot be read.
    """
    rows = read_rows(content, currency or merchant.currency)
    places = _places(world, merchant, rows, currency or merchant.currency)
    _put_catalog(world, merchant, rows, currency or merchant.currency)
    sale_of_payment = {
        row.payment_id: row.transaction_id for row in rows if not row.refund and row.payment_id
    }
    transactions: dict[str, list[SaleRow]] = defaultdict(list)
    for row in rows:
        transactions[row.transaction_id].append(row)
    for transaction in transactions.values():
        builder = _OrderBuilder(transaction, currency or merchant.currency, places[transaction[0].location])
        merchant.orders.put(StoredOrder.of(builder.build(sale_of_payment)))
    return _summary(rows, transactions, sorted(places.values()))


def variation_id(item: str, variation: str) -> str:
    """Return the catalog id that a (name, price point) of an export gets: the same in every import."""
    return _stable_id("VAR", item, variation or _DEFAULT_VARIATION)


def _stable_id(prefix: str, *parts: str) -> str:
    return prefix + hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:19].upper()


def _places(world: World, merchant: Merchant, rows: Sequence[SaleRow], currency: str) -> dict[str, str]:
    by_name = {place["name"]: place["id"] for place in merchant.locations.values()}
    for row in rows:
        if row.location not in by_name:
            place_id = _stable_id("L", merchant.id, row.location)[:13]
            spec = LocationSpec(id=place_id, name=row.location, timezone=row.zone, currency=currency)
            by_name[row.location] = world.put_location(merchant, spec)["id"]
    return {row.location: by_name[row.location] for row in rows}


def _put_catalog(world: World, merchant: Merchant, rows: Sequence[SaleRow], currency: str) -> None:
    now = world.clock.now_us()
    items: dict[str, list[SaleRow]] = defaultdict(list)
    for row in rows:
        if not _custom(row):
            items[row.item_name].append(row)
    for category in sorted({row.category for row in rows if row.category}):
        data = {"name": category, "category_type": "REGULAR_CATEGORY", "is_top_level": True}
        merchant.catalog.put(
            {"type": "CATEGORY", "id": _stable_id("CAT", category), "category_data": data}, now
        )
    modifiers = sorted({name for row in rows for name in row.modifiers})
    if modifiers:
        merchant.catalog.put(_modifier_list(modifiers, currency), now)
    for name, sold in items.items():
        merchant.catalog.put(_item(name, sold, currency), now)


def _modifier_list(names: Sequence[str], currency: str) -> Json:
    list_id = _stable_id("MODLIST")
    modifiers = [
        {
            "type": "MODIFIER",
            "id": _stable_id("MOD", name),
            "modifier_data": {"name": name, "price_money": money(0, currency), "modifier_list_id": list_id},
        }
        for name in names
    ]
    data = {"name": "Modifiers", "selection_type": "MULTIPLE", "modifiers": modifiers}
    return {"type": "MODIFIER_LIST", "id": list_id, "modifier_list_data": data}


def _item(name: str, sold: Sequence[SaleRow], currency: str) -> Json:
    item_id = _stable_id("ITM", name)
    by_variation: dict[str, list[SaleRow]] = defaultdict(list)
    for row in sold:
        by_variation[row.variation or _DEFAULT_VARIATION].append(row)
    variations = [_variation(item_id, name, point, rows, currency) for point, rows in by_variation.items()]
    data: Json = {"name": name, "product_type": "REGULAR", "is_archived": False, "variations": variations}
    category = next((row.category for row in sold if row.category), None)
    if category is not None:
        entry = {"id": _stable_id("CAT", category), "ordinal": 0}
        data |= {"categories": [entry], "reporting_category": entry}
    if any(row.modifiers for row in sold):
        data["modifier_list_info"] = [{"modifier_list_id": _stable_id("MODLIST"), "enabled": True}]
    return {"type": "ITEM", "id": item_id, "item_data": data}


def _variation(item_id: str, item: str, point: str, rows: Sequence[SaleRow], currency: str) -> Json:
    prices = Counter(_unit_price(row) for row in rows if row.gross and row.quantity)
    data: Json = {"item_id": item_id, "name": point, "sellable": True, "stockable": True}
    sku = next((row.sku for row in rows if row.sku), None)
    if sku is not None:
        data["sku"] = sku
    if prices:
        price = prices.most_common(1)[0][0]
        data |= {"pricing_type": "FIXED_PRICING", "price_money": money(price, currency)}
    else:
        data["pricing_type"] = "VARIABLE_PRICING"
    return {"type": "ITEM_VARIATION", "id": variation_id(item, point), "item_variation_data": data}


def _custom(row: SaleRow) -> bool:
    return row.item_name == "Custom Amount" and not row.kind


def _unit_price(row: SaleRow) -> int:
    return int(abs(row.gross) / abs(row.quantity)) if row.quantity else 0


class _OrderBuilder:
    """Makes the order of one transaction."""

    def __init__(self, rows: Sequence[SaleRow], currency: str, location_id: str) -> None:
        self._currency, self._location_id = currency, location_id
        self._id = rows[0].transaction_id
        self._sales = [row for row in rows if not row.refund]
        self._returns = [row for row in rows if row.refund]
        self._at = format_us(max(row.at_us for row in rows))
        self._customer = next((row.customer_id for row in rows if row.customer_id), "")

    def build(self, sale_of_payment: dict[str, str]) -> Json:
        """Return the order: lines for sales, returns for refunds, both for an exchange."""
        sold, taxed = sum(row.net for row in self._sales), sum(row.tax for row in self._sales)
        discount = -sum(row.discount for row in self._sales)
        back = -sum(row.net + row.tax for row in self._returns)
        tax_back = -sum(row.tax for row in self._returns)
        discount_back = sum(row.discount for row in self._returns)
        order: Json = {
            "id": self._id,
            "location_id": self._location_id,
            "state": "COMPLETED",
            "created_at": self._at,
            "updated_at": self._at,
            "closed_at": self._at,
            **self._totals(sold + taxed, taxed, discount),
            "net_amounts": amounts(
                self._currency,
                total=sold + taxed - back,
                tax=taxed - tax_back,
                discount=discount - discount_back,
            ),
            "net_amount_due_money": money(0, self._currency),
        }
        if self._customer and "," not in self._customer:
            order["customer_id"] = self._customer
        if self._sales:
            order |= self._sale_part()
        if self._returns:
            rollup = amounts(self._currency, total=back, tax=tax_back, discount=discount_back)
            order |= {"returns": [self._return_part(sale_of_payment, rollup)], "return_amounts": rollup}
        if back and not self._sales:
            order["refunds"] = [self._refund(back, sale_of_payment)]
        return order

    def _totals(self, total: int, tax: int, discount: int) -> Json:
        return {
            "total_money": money(total, self._currency),
            "total_tax_money": money(tax, self._currency),
            "total_discount_money": money(discount, self._currency),
            "total_tip_money": money(0, self._currency),
            "total_service_charge_money": money(0, self._currency),
        }

    def _sale_part(self) -> Json:
        part: Json = {"line_items": [self._line(index, row) for index, row in enumerate(self._sales, 1)]}
        tax = sum(row.tax for row in self._sales)
        if tax:
            entry = {"uid": _TAX, "name": "Sales tax", "type": "ADDITIVE", "scope": "LINE_ITEM"}
            part["taxes"] = [{**entry, "applied_money": money(tax, self._currency)}]
        discounts = [
            {
                "uid": f"discount-{index}",
                "name": "Discount",
                "type": "FIXED_AMOUNT",
                "scope": "LINE_ITEM",
                "amount_money": money(-row.discount, self._currency),
                "applied_money": money(-row.discount, self._currency),
            }
            for index, row in enumerate(self._sales, 1)
            if row.discount
        ]
        if discounts:
            part["discounts"] = discounts
        payment_id = next((row.payment_id for row in self._sales if row.payment_id), None)
        if payment_id is not None:
            part["tenders"] = [self._tender(payment_id)]
        return part

    def _tender(self, payment_id: str) -> Json:
        return {
            "id": payment_id,
            "payment_id": payment_id,
            "location_id": self._location_id,
            "transaction_id": self._id,
            "created_at": self._at,
            "type": "CARD",
            "amount_money": money(sum(row.net + row.tax for row in self._sales), self._currency),
            "tip_money": money(0, self._currency),
        }

    def _line(self, index: int, row: SaleRow) -> Json:
        line: Json = self._common(f"line-{index}", row)
        if row.modifiers:
            line["modifiers"] = self._modifiers(row)
        if row.note:
            line["note"] = row.note[:2000]
        if row.tax:
            line["applied_taxes"] = [
                {"uid": f"{_TAX}-{index}", "tax_uid": _TAX, "applied_money": money(row.tax, self._currency)}
            ]
        if row.discount:
            applied = {"uid": f"applied-{index}", "discount_uid": f"discount-{index}"}
            line["applied_discounts"] = [{**applied, "applied_money": money(-row.discount, self._currency)}]
        return {
            **line,
            "gross_sales_money": money(row.gross, self._currency),
            "total_service_charge_money": money(0, self._currency),
            **self._line_totals(row, 1),
        }

    def _return_part(self, sale_of_payment: dict[str, str], rollup: Json) -> Json:
        part: Json = {"uid": "return-1", "return_amounts": rollup}
        source = sale_of_payment.get(self._returns[0].payment_id)
        if source is not None and source != self._id:
            part["source_order_id"] = source
        lines = []
        for index, row in enumerate(self._returns, 1):
            line = self._common(f"return-line-{index}", row)
            if row.modifiers:
                line["return_modifiers"] = self._modifiers(row)
            line["gross_return_money"] = money(-row.gross, self._currency)
            lines.append({**line, **self._line_totals(row, -1)})
        return {**part, "return_line_items": lines}

    def _refund(self, amount: int, sale_of_payment: dict[str, str]) -> Json:
        payment_id = self._returns[0].payment_id
        return {
            "id": f"{payment_id}_{self._id}",
            "location_id": self._location_id,
            "transaction_id": sale_of_payment.get(payment_id, self._id),
            "tender_id": payment_id,
            "created_at": self._at,
            "reason": "Refund",
            "amount_money": money(amount, self._currency),
            "status": "APPROVED",
        }

    def _common(self, uid: str, row: SaleRow) -> Json:
        each = _unit_price(row)
        line: Json = {
            "uid": uid,
            "quantity": f"{abs(row.quantity).normalize():f}",
            "base_price_money": money(each, self._currency),
            "variation_total_price_money": money(abs(row.gross), self._currency),
        }
        unit = unit_of(row.unit)
        if unit is not None:
            line["quantity_unit"] = unit
        if _custom(row):
            line["item_type"] = "CUSTOM_AMOUNT"
            return line | ({"name": row.item} if row.voided else {})
        line |= {"name": row.item, "item_type": "GIFT_CARD" if row.kind == "Gift Card" else "ITEM"}
        line |= {"catalog_object_id": variation_id(row.item_name, row.variation)}
        return line | ({"variation_name": row.variation} if row.variation else {})

    def _modifiers(self, row: SaleRow) -> list[Json]:
        return [
            {
                "uid": f"modifier-{index}",
                "catalog_object_id": _stable_id("MOD", name),
                "name": name,
                "quantity": "1",
                "base_price_money": money(0, self._currency),
                "total_price_money": money(0, self._currency),
            }
            for index, name in enumerate(row.modifiers, 1)
        ]

    def _line_totals(self, row: SaleRow, sign: int) -> Json:
        return {
            "total_discount_money": money(-row.discount * sign, self._currency),
            "total_tax_money": money(row.tax * sign, self._currency),
            "total_money": money((row.net + row.tax) * sign, self._currency),
        }


def _summary(rows: Sequence[SaleRow], transactions: dict[str, list[SaleRow]], places: list[str]) -> Json:
    live = [row for row in rows if not row.voided]
    return {
        "rows": len(rows),
        "orders": len(transactions),
        "refund_rows": sum(row.refund for row in rows),
        "voided_rows": len(rows) - len(live),
        "voided_quantity": f"{sum((row.quantity for row in rows if row.voided), Decimal(0)).normalize():f}",
        "gross": sum(row.gross for row in rows),
        "discount": sum(row.discount for row in rows),
        "net": sum(row.net for row in rows),
        "tax": sum(row.tax for row in rows),
        "quantity": f"{sum((row.quantity for row in live), Decimal(0)).normalize():f}",
        "first_at": format_us(min(row.at_us for row in rows)),
        "last_at": format_us(max(row.at_us for row in rows)),
        "locations": places,
    }
