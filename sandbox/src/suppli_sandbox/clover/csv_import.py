"""Turns the rows of an "Items detail" export into Clover orders: one line a unit, refunds on their order.

The rows are another provider's, so that one file can be loaded into both and the sums compared. What Clover
cannot hold is done as its own till would: voided rows are lines that were taken off, a refund of a sale that
is not in the file is a manual credit.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from suppli_sandbox.clover.changes import payment_of
from suppli_sandbox.clover.pricing import apportioned
from suppli_sandbox.clover.world import Merchant, World
from suppli_sandbox.csv_rows import SaleRow, read_rows
from suppli_sandbox.times import format_us

Json = dict[str, Any]

_PIECES = ("", "ea", "each")
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


def import_sales(world: World, merchant: Merchant, content: bytes, currency: str | None) -> Json:
    """Load an export into a merchant and return what came in. Raises CsvError for what cannot be read."""
    rows = read_rows(content, currency or merchant.currency)
    merchant.currency, merchant.timezone = currency or merchant.currency, rows[0].zone
    _put_items(world, merchant, [row for row in rows if not _custom(row)])
    orders: dict[str, Json] = {}
    by_payment: dict[str, Json] = {}
    transactions: dict[str, list[SaleRow]] = defaultdict(list)
    for row in rows:
        transactions[row.transaction_id].append(row)
    for transaction_id, sold in transactions.items():
        sales = [row for row in sold if not row.refund]
        if sales:
            order = _order(merchant, transaction_id, sales)
            orders[order["id"]] = order
            by_payment.update({row.payment_id: order for row in sales if row.payment_id})
    manual = _give_back(merchant, [row for row in rows if row.refund], by_payment)
    for order in [*orders.values(), *manual]:
        world.put_order(merchant, order)
    merchant.voided_lines += [_voided(row) for row in rows if row.voided]
    live = [row for row in rows if not row.voided]
    return {
        "rows": len(rows),
        "locations": [merchant.id],
        "first_at": format_us(min(row.at_us for row in rows)),
        "orders": len(orders) + len(manual),
        "lines": sum(len(order["lineItems"]) for order in orders.values()),
        "refund_rows": sum(row.refund for row in rows),
        "voided_rows": len(rows) - len(live),
        "credits": len(manual),
        "gross": sum(row.gross for row in rows),
        "discount": sum(row.discount for row in rows),
        "net": sum(row.net for row in rows),
        "tax": sum(row.tax for row in rows),
        "quantity": f"{sum((row.quantity for row in live), Decimal(0)).normalize():f}",
    }


def item_id(name: str, variation: str) -> str:
    """Return the item id that a (name, price point) of an export gets: the same in every import."""
    return _stable_id("item", name, variation or "Regular")


def _stable_id(*parts: str) -> str:
    number = int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest()[:10], "big")
    letters = []
    for _ in range(13):
        number, place = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[place])
    return "".join(letters)


def _custom(row: SaleRow) -> bool:
    return row.item_name == "Custom Amount" and not row.kind


def _name(row: SaleRow) -> str:
    plain = row.variation in ("", "Regular")
    return row.item_name if plain else f"{row.item_name} ({row.variation})"


def _put_items(world: World, merchant: Merchant, rows: Sequence[SaleRow]) -> None:
    items, categories = merchant.inventory["items"], merchant.inventory["categories"]
    now = world.now_ms()
    for row in rows:
        key = item_id(row.item_name, row.variation)
        item = items.setdefault(
            key,
            {
                "id": key,
                "name": _name(row),
                "price": _unit_price(row),
                "priceType": "FIXED",
                "hidden": False,
                "available": True,
                "deleted": False,
                "isRevenue": True,
                "modifiedTime": now,
            },
        )
        if row.sku:
            item.setdefault("sku", row.sku)
        if row.category:
            category = _stable_id("category", row.category)
            named = {"id": category, "name": row.category}
            categories.setdefault(category, {**named, "deleted": False, "modifiedTime": now})
            item.setdefault("categories", [named])


def _unit_price(row: SaleRow) -> int:
    return int(abs(row.gross) / abs(row.quantity)) if row.quantity else 0


def _order(merchant: Merchant, transaction_id: str, rows: Sequence[SaleRow]) -> Json:
    order_id = _stable_id("order", transaction_id)
    at = max(row.at_us for row in rows) // 1000
    live = [row for row in rows if not row.voided]
    lines = [line for number, row in enumerate(live) for line in _lines(order_id, number, row, at)]
    total, tax = sum(row.net + row.tax for row in live), sum(row.tax for row in live)
    payment = payment_of(order_id, total, tax, at, payment_id=_stable_id("payment", transaction_id))
    return {
        "id": order_id,
        "currency": merchant.currency,
        "total": total,
        "paymentState": "PAID",
        "state": "locked",
        "payType": "FULL",
        "testMode": False,
        "manualTransaction": False,
        "isVat": False,
        "createdTime": at,
        "clientCreatedTime": at,
        "modifiedTime": at,
        "lineItems": lines,
        "payments": [payment],
    }


def _lines(order_id: str, number: int, row: SaleRow, at: int) -> list[Json]:
    """Return the lines of a row: one a unit; what is weighed, or was sold in no whole number, is one line."""
    whole = row.quantity == row.quantity.to_integral_value() and row.unit.lower() in _PIECES
    pieces = max(1, int(row.quantity)) if whole else 1
    weights = [1] * pieces
    grosses, discounts, taxes = (
        apportioned(amount, weights) for amount in (row.gross, -row.discount, row.tax)
    )
    lines = []
    for piece in range(pieces):
        line: Json = {
            "id": _stable_id("line", order_id, str(number), str(piece)),
            "orderRef": {"id": order_id},
            "name": _name(row),
            "price": grosses[piece],
            "createdTime": at,
            "orderClientCreatedTime": at,
            "exchanged": False,
            "refunded": False,
            "isRevenue": row.kind != "Gift Card",
        }
        if not _custom(row):
            line["item"] = {"id": item_id(row.item_name, row.variation)}
        if not whole:
            line |= _measured(row)
        if row.modifiers and piece == 0:
            line["modifications"] = [
                {
                    "id": _stable_id("modification", line["id"], name),
                    "name": name,
                    "amount": 0,
                    "modifier": {"id": _stable_id("modifier", name)},
                }
                for name in row.modifiers
            ]
        if discounts[piece]:
            off = {"id": _stable_id("discount", line["id"]), "name": "Discount", "amount": -discounts[piece]}
            line["discounts"] = [off]
        if taxes[piece]:
            line["taxRates"] = [{"id": "TAXFLATAAAAA1", "name": "Sales tax", "taxAmount": taxes[piece]}]
        lines.append(line)
    return lines


def _measured(row: SaleRow) -> Json:
    """Return the unit fields of a weighed line, where its price divides evenly; else it stays a whole."""
    price = Decimal(row.gross) / row.quantity
    if price != price.to_integral_value():
        return {}
    return {"price": int(price), "unitQty": int(row.quantity * 1000), "unitName": row.unit or "each"}


def _give_back(merchant: Merchant, rows: Sequence[SaleRow], by_payment: dict[str, Json]) -> list[Json]:
    """Mark refunded lines on the orders they were sold with; return credits for what was sold elsewhere."""
    manual = []
    for number, row in enumerate(rows):
        amount, tax, at = -(row.net + row.tax), -row.tax, row.at_us // 1000
        given: Json = {
            "id": _stable_id("refund", row.transaction_id, str(number)),
            "amount": amount,
            "taxAmount": tax,
            "createdTime": at,
            "clientCreatedTime": at,
            "status": "SUCCESS",
        }
        order = by_payment.get(row.payment_id)
        lines = [] if order is None else _lines_of(order, row)
        if order is None or not lines:
            manual.append(_credit_order(merchant, row, given, at))
            continue
        for line in lines:
            line["refunded"] = True
        given |= {"orderRef": {"id": order["id"]}, "payment": {"id": order["payments"][0]["id"]}}
        given["lineItems"] = [{"id": line["id"]} for line in lines]
        order.setdefault("refunds", []).append(given)
        whole = all(each["refunded"] for each in order["lineItems"])
        order |= {"paymentState": "REFUNDED" if whole else "PARTIALLY_REFUNDED"}
        order["modifiedTime"] = max(order["modifiedTime"], at)
    return manual


def _lines_of(order: Json, row: SaleRow) -> list[Json]:
    """Return the lines, to be marked, that a refund row means: same item, number and money; or none."""
    pieces = max(1, int(-row.quantity))
    sold = [line for line in order["lineItems"] if line["name"] == _name(row) and not line["refunded"]]
    for start in range(len(sold) - pieces + 1):
        some = sold[start : start + pieces]
        if sum(_net(line) for line in some) == -row.net:
            return some
    return []


def _net(line: Json) -> int:
    off: int = sum(each["amount"] for each in line.get("discounts", ()))
    price: int = line["price"]
    return price + off


def _credit_order(merchant: Merchant, row: SaleRow, given: Json, at: int) -> Json:
    order_id = _stable_id("credit", row.transaction_id, given["id"])
    given |= {"orderRef": {"id": order_id}, "tender": {"id": "TENDERCASH001"}}
    return {
        "id": order_id,
        "currency": merchant.currency,
        "total": 0,
        "paymentState": "CREDITED",
        "state": "locked",
        "createdTime": at,
        "clientCreatedTime": at,
        "modifiedTime": at,
        "manualTransaction": True,
        "testMode": False,
        "isVat": False,
        "credits": [given],
    }


def _voided(row: SaleRow) -> Json:
    return {
        "id": _stable_id("voided", row.transaction_id, str(row.line)),
        "orderId": _stable_id("order", row.transaction_id),
        "lineItem": {"name": row.item_name, "price": _unit_price(row)},
        "quantity": str(row.quantity),
        "deletedTime": row.at_us // 1000,
        "clientEventType": "DELETED_LINE_ITEM",
    }
