"""Seeded, realistic orders: one line a unit, weighed goods, discounts, tips, refunds, credits, open ones."""

import random
from collections.abc import Iterator
from typing import Any

from suppli_sandbox.clover.changes import payment_of
from suppli_sandbox.clover.menu import GIFT_CARD, MODIFIERS, menu, shaped
from suppli_sandbox.clover.models import CloverGenerateSpec
from suppli_sandbox.clover.pricing import totals
from suppli_sandbox.clover.world import Merchant, World
from suppli_sandbox.serving import ControlError
from suppli_sandbox.times import DAY, parse_us

Json = dict[str, Any]

_SAME_INSTANT = 0.04  # how many orders share their predecessor's modifiedTime
_LATE_BUMP = 0.03  # how many are touched again hours later
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
_KINDS = {
    "sale": 74,
    "service charge": 3,
    "tip": 8,
    "refunded": 4,
    "refund by amount": 2,
    "credit": 1,
    "open": 4,
    "exchange": 1,
    "manual": 1,
    "test": 1,
    "gift card": 1,
}


def generate(world: World, merchant: Merchant, spec: CloverGenerateSpec) -> int:
    """Add `spec.count` orders and return how many; an inventory is put where there is none.

    Without a span they lie in the last 30 days. Raises ControlError 422 for a bad span or count.
    """
    now = world.clock.now_us()
    try:
        end = parse_us(spec.end_at) if spec.end_at else now
        start = parse_us(spec.start_at) if spec.start_at else end - 30 * DAY
    except ValueError as error:
        raise ControlError(422, str(error)) from error
    if start >= end or spec.count < 1:
        raise ControlError(422, "start_at must be before end_at, and count at least 1")
    put_menu(world, merchant)
    made = _Maker(merchant, random.Random(f"{merchant.id}/{spec.seed}"))  # noqa: S311 - repeatable, not secret
    return merchant.orders.put_many(made.orders(spec.count, start // 1000, end // 1000))


def put_menu(world: World, merchant: Merchant) -> None:
    """Put the small shop's inventory into a merchant that has none."""
    if merchant.inventory["items"]:
        return
    for kind, elements in menu(world.now_ms()).items():
        merchant.inventory[kind].update({each["id"]: each for each in elements})


class _Maker:
    """One call of the generator."""

    def __init__(self, merchant: Merchant, draw: random.Random) -> None:
        self._merchant, self._draw = merchant, draw
        self._items = [
            item
            for item in merchant.inventory["items"].values()
            if not item.get("deleted") and item["id"] != GIFT_CARD
        ]

    def orders(self, count: int, start_ms: int, end_ms: int) -> Iterator[Json]:
        """Yield orders, ascending in the time of sale; stamps are whole seconds."""
        draw = self._draw
        steps = sorted(draw.random() for _ in range(count))
        previous = start_ms
        for step in steps:
            at = start_ms + int(step * (end_ms - start_ms)) // 1000 * 1000
            at = previous if draw.random() < _SAME_INSTANT else max(at, start_ms)
            previous = at
            yield self._order(at, end_ms)

    def _order(self, at: int, end: int) -> Json:
        draw, merchant = self._draw, self._merchant
        kind = draw.choices(list(_KINDS), list(_KINDS.values()))[0]
        order_id = self._id()
        order: Json = {
            "id": order_id,
            "currency": merchant.currency,
            "employee": {"id": "EMPAAAAAAAAA1", "name": "Sam"},
            "orderType": {"id": "OTYPEAAAAAAA1", "label": "Dine-in"},
            "title": str(draw.randint(1, 99)),
            "taxRemoved": False,
            "isVat": merchant.vat,
            "state": "locked",
            "paymentState": "PAID",
            "payType": "FULL",
            "manualTransaction": kind == "manual",
            "groupLineItems": True,
            "testMode": kind == "test",
            "createdTime": at + 2000,
            "clientCreatedTime": at,
            "modifiedTime": min(end, at + int(draw.random() * 2 * DAY / 1000) // 1000 * 1000)
            if draw.random() < _LATE_BUMP
            else at + 2000,
            "lineItems": self._lines(kind, order_id, at),
        }
        if draw.random() < 0.06 and kind == "sale":
            off: Json = {"percentage": 10} if draw.random() < 0.5 else {"amount": -100}
            order["discounts"] = [{"id": self._id(), "name": "Staff", **off}]
        if kind == "service charge":
            order["serviceCharge"] = {"id": "SVCCHARGEAAA1", "name": "Service", "percentageDecimal": 180_000}
        sums = totals(order)
        order["total"] = sums.total
        if kind == "open":
            return order | {"state": "open", "paymentState": "OPEN"}
        tip = draw.choice((100, 150, 237)) if kind == "tip" else 0
        payment = payment_of(order_id, sums.total, sums.tax, at + 2000, tip=tip, payment_id=self._id())
        order["payments"] = [payment]
        self._given_back(kind, order, at)
        return order

    def _given_back(self, kind: str, order: Json, at: int) -> None:
        if kind not in ("refunded", "refund by amount", "credit"):
            return
        sums, line = totals(order), order["lineItems"][0]
        given: Json = {
            "id": self._id(),
            "orderRef": {"id": order["id"]},
            "amount": max(1, sums.total // 2),
            "taxAmount": 0,
            "createdTime": at + 60_000,
            "clientCreatedTime": at + 60_000,
            "status": "SUCCESS",
        }
        if kind == "credit":
            order |= {"credits": [given], "paymentState": "CREDITED"}
            return
        given["payment"] = {"id": order["payments"][0]["id"]}
        if kind == "refunded":
            line["refunded"] = True
            tax = sums.taxes[0]
            given |= {"amount": sums.lines[0] + (0 if sums.vat else tax), "taxAmount": tax}
            given["lineItems"] = [{"id": line["id"]}]
        whole = kind == "refunded" and len(order["lineItems"]) == 1
        order |= {"refunds": [given], "paymentState": "REFUNDED" if whole else "PARTIALLY_REFUNDED"}

    def _lines(self, kind: str, order_id: str, at: int) -> list[Json]:
        draw = self._draw
        if kind == "manual":
            return [
                self._line(order_id, at, {"name": "Manual Transaction", "price": draw.randint(100, 9000)})
            ]
        lines = []
        for _ in range(draw.choices((1, 2, 3, 5), (45, 30, 18, 7))[0]):
            if draw.random() < 0.03:
                lines.append(self._line(order_id, at, {"name": "Custom item", "price": 300}))
                continue
            item = draw.choice(self._items)
            pieces = 1 if "unitName" in item else draw.choices((1, 2, 3), (80, 15, 5))[0]
            lines += [self._sold(order_id, at, item) for _ in range(pieces)]
        if kind == "exchange":
            new = {**lines[0], "id": self._id(), "exchangedLineItem": {"id": lines[0]["id"]}}
            lines[0] = {**lines[0], "exchanged": True}
            lines.append(new)
        if kind == "gift card":
            card = {"item": {"id": GIFT_CARD}, "name": "Gift card", "price": 2500, "isRevenue": False}
            lines.append(self._line(order_id, at, card))
        return lines

    def _sold(self, order_id: str, at: int, item: Json) -> Json:
        draw = self._draw
        sold: Json = {"item": {"id": item["id"]}, "name": item["name"], "price": item["price"]}
        if "unitName" in item:
            sold |= {
                "unitQty": draw.randint(100, 2500),
                "unitName": item["unitName"],
                "unitQtyDecimalDigits": 2,
            }
        if item.get("taxRates"):
            sold["taxRates"] = [dict(each) for each in item["taxRates"]]
        if "modifierGroups" in item and draw.random() < 0.35:
            sold["modifications"] = [
                {"id": self._id(), "name": name, "amount": amount, "modifier": {"id": shaped("MOD", name)}}
                for name, amount in draw.sample(MODIFIERS, draw.randint(1, 2))
            ]
        off = draw.random()
        if off < 0.06:
            discount = (
                {"name": "Comp", "percentage": 100} if off < 0.015 else {"name": "10%", "percentage": 10}
            )
            sold["discounts"] = [{"id": self._id(), **discount}]
        return self._line(order_id, at, sold)

    def _line(self, order_id: str, at: int, sold: Json) -> Json:
        return {
            "id": self._id(),
            "orderRef": {"id": order_id},
            "printed": True,
            "createdTime": at,
            "orderClientCreatedTime": at,
            "exchanged": False,
            "refunded": False,
            "isRevenue": True,
            **sold,
        }

    def _id(self) -> str:
        return "".join(self._draw.choices(_ALPHABET, k=13))
