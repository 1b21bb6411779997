"""A made-up week of a café as a Square "Items detail" export, the same at every call."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

COLUMNS = (
    "Date", "Time", "Time Zone", "Category", "Item", "Qty", "Price Point Name", "SKU", "Modifiers Applied",
    "Gross Sales", "Discounts", "Net Sales", "Tax", "Transaction ID", "Payment ID", "Device Name", "Notes",
    "Details", "Event Type", "Location", "Dining Option", "Customer ID", "Customer Name",
    "Customer Reference ID", "Unit", "Count", "Itemization Type", "Commission", "Employee",
    "Fulfillment Note",
)  # fmt: skip

_MENU = (
    ("Coffee", "Espresso", "Regular", "ESP-1", 280),
    ("Coffee", "Latte", "Regular", "LAT-R", 420),
    ("Coffee", "Latte", "Large", "LAT-L", 480),
    ("Coffee", "Filter coffee", "Regular", "FIL-1", 300),
    ("Tea", "Chai", "Regular", "CHA-1", 390),
    ("Bakery", "Croissant", "Regular", "CRO-1", 340),
    ("Bakery", "Blueberry muffin", "Regular", "MUF-B", 360),
    ("Bakery", "Sourdough loaf", "Regular", "SOU-1", 750),
    ("Kitchen", "Avocado toast", "Regular", "AVO-1", 1150),
    ("Kitchen", "Soup of the day", "Regular", "SOU-P", 890),
    ("Retail", "House beans 250 g", "Regular", "BEA-250", 1400),
)
_MODIFIERS = ("", "", "", "Oat milk", "Extra shot", "No sugar")
_TAX = Decimal("0.0825")


@dataclass(frozen=True, slots=True)
class _Row:
    at: datetime
    transaction: str
    category: str
    item: str
    variation: str
    sku: str
    modifier: str
    quantity: int
    gross: int
    discount: int
    event: str = "Payment"
    kind: str = "Physical Item"

    def cells(self, location: str) -> tuple[str, ...]:
        net = self.gross - self.discount
        tax = int((Decimal(net) * _TAX).to_integral_value())
        return (
            self.at.date().isoformat(), self.at.time().isoformat(), "Eastern Time (US & Canada)",
            self.category, self.item, f"{self.quantity}.0", self.variation, self.sku, self.modifier,
            _dollars(self.gross), _dollars(-self.discount), _dollars(net), _dollars(tax),
            self.transaction, f"P{self.transaction.removeprefix('R')}", "Till 1", "", "", self.event,
            location, "For Here", "", "", "", "ea", str(self.quantity), self.kind, "$0.00", "", "",
        )  # fmt: skip


def _dollars(cents: int) -> str:
    sign = "-" if cents < 0 else ""
    return f"{sign}${abs(cents) // 100:,}.{abs(cents) % 100:02}"


def write_sample(
    path: Path, *, last_day: date, location: str = "Harbour Street", days: int = 7, seed: int = 20260308
) -> Path:
    """Write `days` days of sales that end with `last_day`; another `seed` makes another shop's.

    With discounts, modifiers, voids, refunds and open amounts, as a real export has them.
    """
    dice = random.Random(seed)  # noqa: S311 - a made-up café, not a secret
    rows: list[_Row] = []
    for back in range(days - 1, -1, -1):
        rows += _day(dice, last_day - timedelta(days=back))
    rows.sort(key=lambda row: row.at, reverse=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(row.cells(location) for row in rows)
    return path


def _day(dice: random.Random, day: date) -> list[_Row]:
    rows: list[_Row] = []
    at = datetime.combine(day, time(7, 30))
    for number in range(38):
        at += timedelta(seconds=dice.randint(300, 1100))
        transaction = f"{day:%m%d}{number:03}{dice.randrange(16**10):010X}"
        ticket = [_sale(dice, at, transaction) for _ in range(dice.randint(1, 4))]
        rows += ticket
        # A custom amount is refunded by amount, without the quantity and tax that the file has.
        if ticket[0].gross and dice.random() < 0.04 and ticket[0].item != "Custom Amount":
            rows.append(_refund(dice, at, ticket[0]))
    return rows


def _sale(dice: random.Random, at: datetime, transaction: str) -> _Row:
    if dice.random() < 0.02:
        amount = dice.randint(1, 40) * 25
        return _Row(at, transaction, "None", "Custom Amount", "", "", "", 1, amount, 0, kind="")
    category, item, variation, sku, price = dice.choice(_MENU)
    quantity = dice.choice((1, 1, 1, 1, 2, 3))
    if dice.random() < 0.03:
        return _Row(at, transaction, category, f"{item} (Voided)", variation, sku, "", quantity, 0, 0)
    modifier = dice.choice(_MODIFIERS) if category in {"Coffee", "Tea"} else ""
    gross = price * quantity
    discount = gross // 10 if dice.random() < 0.12 else 0
    return _Row(at, transaction, category, item, variation, sku, modifier, quantity, gross, discount)


def _refund(dice: random.Random, at: datetime, sold: _Row) -> _Row:
    return _Row(
        at + timedelta(minutes=dice.randint(5, 90)),
        f"R{sold.transaction}",
        sold.category,
        sold.item,
        sold.variation,
        sold.sku,
        "",
        -sold.quantity,
        -sold.gross,
        -sold.discount,
        event="Refund",
        kind=sold.kind,
    )
