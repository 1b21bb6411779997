"""What the sandbox's orders come to, line by line. Shares no code with the connector or with mapping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from suppli_contracts.events import ProductSaleRecorded

Order = Mapping[str, Any]
LineKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Figures:
    """Quantity and net (minor units without tax) of a line; a return's are negative."""

    quantity: Decimal
    net: int


def truth(orders: Iterable[Order]) -> dict[LineKey, Figures]:
    """Return what every sold or returned catalog line should come to, by (order id, line uid)."""
    lines: dict[LineKey, Figures] = {}
    for order in orders:
        if is_sold(order):
            for line in order.get("line_items", ()):
                if counts(line):
                    lines[order["id"], line["uid"]] = Figures(Decimal(line["quantity"]), net_of(line))
        if order["state"] == "COMPLETED":
            for returned in order.get("returns", ()):
                for line in returned.get("return_line_items", ()):
                    if counts(line):
                        lines[order["id"], line["uid"]] = Figures(-Decimal(line["quantity"]), -net_of(line))
    return {key: figures for key, figures in lines.items() if figures != Figures(Decimal(0), 0)}


def is_sold(order: Order) -> bool:
    """A completed order, or an open one that is paid in full."""
    if order["state"] == "COMPLETED":
        return True
    paid = order.get("tenders") and not cents(order, "net_amount_due_money")
    return order["state"] == "OPEN" and bool(paid) and cents(order, "total_money") > 0


def counts(line: Mapping[str, Any]) -> bool:
    """A line of the catalog: gift cards are a liability, open amounts are ignored by default, voids apart."""
    return (
        line.get("item_type", "ITEM") == "ITEM"
        and bool(line.get("catalog_object_id"))
        and not line.get("name", "").endswith(" (Voided)")
    )


def cents(holder: Mapping[str, Any], name: str) -> int:
    """Return the amount of a money field, 0 where it is absent."""
    return int(holder.get(name, {}).get("amount", 0))


def net_of(line: Mapping[str, Any]) -> int:
    """Return a line's money without tax: its total holds the tax, whether that was added or was inside.

    The gross cannot be used: in some countries it holds an inclusive tax, in others it does not.
    """
    return (
        cents(line, "total_money")
        - cents(line, "total_tax_money")
        - cents(line, "total_service_charge_money")
    )


def said(events: Iterable[tuple[str, ProductSaleRecorded]]) -> dict[LineKey, Figures]:
    """Return what the product sales on Kafka come to, by (order id, line id), and check their own promises.

    Repeats of an event id are one event; per entry versions have no hole and deltas add up to what stands.
    """
    distinct: dict[str, ProductSaleRecorded] = {}
    for event_id, sale in events:
        assert distinct.setdefault(event_id, sale) == sale, (
            f"event {event_id} was said twice with different content"
        )
    entries: dict[UUID, list[ProductSaleRecorded]] = {}
    for sale in distinct.values():
        entries.setdefault(sale.entry_key, []).append(sale)
    lines: dict[LineKey, Figures] = {}
    for versions in entries.values():
        versions.sort(key=lambda sale: sale.entry_version)
        assert [sale.entry_version for sale in versions] == list(range(1, len(versions) + 1)), versions
        last = versions[-1]
        quantity = sum((Decimal(sale.delta.quantity) for sale in versions), Decimal(0))
        net = sum(sale.delta.net for sale in versions)
        assert (quantity, net) == (Decimal(last.standing.quantity), last.standing.net), versions
        if not last.component.startswith("modifier"):
            before = lines.get((last.order_id, last.line_id), Figures(Decimal(0), 0))
            lines[last.order_id, last.line_id] = Figures(before.quantity + quantity, before.net + net)
    return {key: figures for key, figures in lines.items() if figures != Figures(Decimal(0), 0)}


def differences(wanted: Mapping[LineKey, Figures], got: Mapping[LineKey, Figures]) -> list[str]:
    """Return a sentence per line that is missing, too much, or differs."""
    return [
        f"{key}: wanted {wanted.get(key)}, got {got.get(key)}"
        for key in sorted(wanted.keys() | got.keys())
        if wanted.get(key) != got.get(key)
    ]
