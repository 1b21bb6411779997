"""Return orders: what a refund at the till, by item or by amount, leaves behind."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from suppli_sandbox.square.money import amounts, money, rounded
from suppli_sandbox.square.orders import OWN_ID, PAID_AT, PLACE
from suppli_sandbox.square.pricing import totals

Json = dict[str, Any]

_KEPT = (
    "name", "variation_name", "catalog_object_id", "catalog_version", "item_type", "quantity_unit",
    "base_price_money",
)  # fmt: skip
_BY_AMOUNT = "RA1"


def return_of(sale: Json, lines: Sequence[Json], *, source_id: str | None, reason: str) -> Json:
    """Return the body of a COMPLETED order that takes back these line items of a sale.

    All amounts are positive; the order's own totals are zero. `source_id` None makes an unlinked return.
    """
    currency = sale["total_money"]["currency"]
    returned = [
        _return_line(line, number, linked=source_id is not None) for number, line in enumerate(lines, 1)
    ]
    rollup = amounts(
        currency,
        total=_sum(returned, "total_money"),
        tax=_sum(returned, "total_tax_money"),
        discount=_sum(returned, "total_discount_money"),
    )
    part: Json = {"uid": "R1", "return_line_items": returned, "return_amounts": rollup}
    if source_id is not None:
        part["source_order_id"] = source_id
    order: Json = {
        "state": "COMPLETED",
        "returns": [part],
        "return_amounts": rollup,
        "net_amounts": {name: money(-value["amount"], currency) for name, value in rollup.items()},
        **totals(amounts(currency, total=0)),
        "net_amount_due_money": money(0, currency),
    }
    if rollup["total_money"]["amount"]:
        order["refunds"] = [_refund(sale, rollup["total_money"], source_id, reason)]
    return order


def amount_line(amount: int, currency: str) -> Json:
    """Return the line that a refund by amount (minor units) leaves: a custom amount, no item."""
    zero = money(0, currency)
    return {
        "uid": _BY_AMOUNT,
        "item_type": "CUSTOM_AMOUNT",
        "quantity": "1",
        "base_price_money": money(amount, currency),
        "gross_sales_money": money(amount, currency),
        "total_tax_money": zero,
        "total_discount_money": zero,
        "total_money": money(amount, currency),
    }


def part_of(line: Json, quantity: str) -> Json:
    """Return a line item as if only this quantity of it had been sold. Raises ValueError when it had less."""
    share, whole = Decimal(quantity), Decimal(line["quantity"])
    if not 0 < share <= whole:
        raise ValueError(f"line {line['uid']} has {whole}: cannot return {quantity}")
    if share == whole:
        return line
    scaled = {name: _scaled(value, share / whole) for name, value in line.items() if name.endswith("_money")}
    modifiers = [
        {**entry, "total_price_money": _scaled(entry["total_price_money"], share / whole)}
        for entry in line.get("modifiers", [])
    ]
    part = {**line, **scaled, "base_price_money": line["base_price_money"], "quantity": quantity}
    return part | ({"modifiers": modifiers} if modifiers else {})


def _scaled(value: Json, by: Decimal) -> Json:
    return money(rounded(value["amount"] * by), value["currency"])


def _return_line(line: Json, number: int, *, linked: bool) -> Json:
    returned: Json = {"uid": f"RL{number}", "quantity": line["quantity"]}
    returned |= {name: line[name] for name in _KEPT if name in line}
    if linked and line["uid"] != _BY_AMOUNT:
        returned["source_line_item_uid"] = line["uid"]
    if "modifiers" in line:
        returned["return_modifiers"] = [
            {**modifier, "uid": f"RM{number}-{index}", "source_modifier_uid": modifier["uid"]}
            for index, modifier in enumerate(line["modifiers"], 1)
        ]
    if "variation_total_price_money" in line:
        returned["variation_total_price_money"] = line["variation_total_price_money"]
    zero = money(0, line["total_money"]["currency"])
    return {
        **returned,
        "gross_return_money": line["gross_sales_money"],
        "total_tax_money": line.get("total_tax_money", zero),
        "total_discount_money": line.get("total_discount_money", zero),
        "total_money": line["total_money"],
    }


def _sum(lines: Sequence[Json], name: str) -> int:
    return sum(line[name]["amount"] for line in lines)


def _refund(sale: Json, total: Json, source_id: str | None, reason: str) -> Json:
    tender = f"PAY{source_id}" if source_id else f"PAY{OWN_ID}"
    tenders = sale.get("tenders", [])
    if tenders and OWN_ID not in tenders[0]["id"]:
        tender = tenders[0]["id"]
    return {
        "id": f"RF{OWN_ID}",
        "location_id": PLACE,
        "tender_id": tender,
        "transaction_id": source_id or OWN_ID,
        "created_at": PAID_AT,
        "reason": reason,
        "amount_money": total,
        "status": "APPROVED",
    }
