"""The kinds of orders a till makes, drawn by a seeded generator and priced whole."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from suppli_sandbox.square.money import money
from suppli_sandbox.square.orders import OWN_ID, PAID_AT, PLACE, SOURCE_ID
from suppli_sandbox.square.pricing import Extra, Rung, Ticket, price, totals
from suppli_sandbox.square.returns import amount_line, return_of
from suppli_sandbox.square.units import unit_of

Json = dict[str, Any]

_KINDS = (
    ("sale", 78),
    ("paid_open", 3),
    ("unpaid_open", 3),
    ("draft", 1),
    ("canceled", 3),
    ("return", 5),
    ("exchange", 2),
    ("unlinked_return", 1),
    ("refund_by_amount", 3),
    ("gift_card", 1),
)
_NAMES, _WEIGHTS = zip(*_KINDS, strict=True)
_EXTRAS = (("MOD_OAT_MILK", "Oat milk", 75), ("MOD_EXTRA_SHOT", "Extra shot", 100), (None, "Name: Sam", 0))
_UNITS = {"UNIT_LB": "lb", "UNIT_OZ": "oz"}


@dataclass(frozen=True, slots=True)
class Variety:
    """One kind of order: its body, which earlier variety it returns, and whether it can be returned."""

    order: Json
    returns: int | None = None
    returnable: bool = False


class TemplateMaker:
    """Draws varieties; a return is made of a sale drawn before it."""

    def __init__(
        self, currency: str, country: str, draw: random.Random, variations: Sequence[tuple[Json, Json]]
    ) -> None:
        self._currency, self._country, self._draw, self._variations = currency, country, draw, variations
        self._made: list[Variety] = []
        self._sales: list[int] = []

    def make(self) -> Variety:
        """Return the next variety."""
        kind = self._draw.choices(_NAMES, _WEIGHTS)[0]
        if kind in ("return", "exchange", "refund_by_amount") and not self._sales:
            kind = "sale"
        variety = self._of(kind)
        if variety.returnable:
            self._sales.append(len(self._made))
        self._made.append(variety)
        return variety

    def _of(self, kind: str) -> Variety:
        if kind == "sale":
            return Variety(self._paid(price(self._ticket()), "COMPLETED"), returnable=True)
        if kind == "gift_card":
            card = Rung("eGift", 2500, item_type="GIFT_CARD", taxed=False)
            return Variety(self._paid(price(self._ticket((card,))), "COMPLETED"))
        if kind == "paid_open":
            order = self._paid(price(self._ticket()), "OPEN")
            return Variety(order | {"version": 5, "source": {"name": "Square Online"}})
        if kind in ("unpaid_open", "draft", "canceled"):
            order = price(self._ticket())
            state = {"unpaid_open": "OPEN", "draft": "DRAFT", "canceled": "CANCELED"}[kind]
            due = order["total_money"] if state != "CANCELED" else money(0, self._currency)
            return Variety({"state": state, **order, "net_amount_due_money": due})
        return self._return(kind)

    def _return(self, kind: str) -> Variety:
        if kind == "unlinked_return":
            sale = self._paid(price(self._ticket()), "COMPLETED")
            return Variety(return_of(sale, sale["line_items"], source_id=None, reason="Returned goods"))
        index = self._draw.choice(self._sales)
        sale = self._made[index].order
        if kind == "refund_by_amount":
            amount = max(1, sale["total_money"]["amount"] // 2)
            by_amount = amount_line(amount, self._currency)
            return Variety(return_of(sale, [by_amount], source_id=SOURCE_ID, reason="Spilled"), index)
        lines = self._draw.sample(sale["line_items"], self._draw.randint(1, len(sale["line_items"])))
        order = return_of(sale, lines, source_id=SOURCE_ID, reason="Returned goods")
        return Variety(self._exchanged(order) if kind == "exchange" else order, index)

    def _exchanged(self, returned: Json) -> Json:
        sale = price(self._ticket())
        back, new = returned["return_amounts"], sale["net_amounts"]
        net = {name: money(new[name]["amount"] - back[name]["amount"], self._currency) for name in new}
        order = {**returned, **sale, **totals(new), "net_amounts": net}
        order.pop("refunds", None)
        due = net["total_money"]["amount"]
        return order | {"tenders": [self._tender("CARD", due, 0)]} if due > 0 else order

    def _ticket(self, lines: tuple[Rung, ...] | None = None) -> Ticket:
        draw = self._draw
        inclusive = self._country not in ("US", "CA") or draw.random() < 0.1
        order_discount = draw.random()
        return Ticket(
            lines or tuple(self._rung() for _ in range(draw.choices((1, 2, 3, 5), (45, 30, 18, 7))[0])),
            self._currency,
            self._country,
            tax_percent="20" if inclusive else "8.25",
            tax_inclusive=inclusive,
            discount_percent="10" if order_discount < 0.05 else None,
            discount_amount=200 if 0.05 <= order_discount < 0.08 else 0,
            service_percent="18" if draw.random() < 0.04 else None,
            tip=draw.choice((100, 150, 237)) if draw.random() < 0.2 else 0,
            round_to=5 if draw.random() < 0.02 else 1,
        )

    def _rung(self) -> Rung:
        draw = self._draw
        if draw.random() < 0.03 or not self._variations:
            return Rung(None, draw.choice((300, 512, 1999)), item_type="CUSTOM_AMOUNT", taxed=False)
        item, variation = draw.choice(self._variations)
        data = variation["item_variation_data"]
        unit = _UNITS.get(data.get("measurement_unit_id", ""))
        pieces = draw.choices(("1", "2", "3"), (80, 15, 5))[0]
        extras: tuple[Extra, ...] = ()
        if "modifier_list_info" in item["item_data"] and draw.random() < 0.35:
            extras = tuple(Extra(*extra) for extra in draw.sample(_EXTRAS, draw.randint(1, 2)))
        discount, deleted = draw.random(), draw.random() < 0.01
        return Rung(
            name=item["item_data"]["name"],
            base=data.get("price_money", {"amount": 500})["amount"],
            quantity=f"{draw.randint(10, 250) / 100:.2f}" if unit else pieces,
            variation=data["name"],
            variation_id=variation["id"] + ("_DELETED" if deleted else ""),
            extras=extras,
            unit=unit_of(unit, 2, data["measurement_unit_id"]) if unit else None,
            discount_percent="100" if discount < 0.015 else "15" if discount < 0.06 else None,
            note="extra napkins please" if draw.random() < 0.03 else None,
        )

    def _paid(self, order: Json, state: str) -> Json:
        kind = self._draw.choices(("CARD", "CASH", "SQUARE_GIFT_CARD", "OTHER"), (75, 20, 2, 3))[0]
        tip, total = order["total_tip_money"]["amount"], order["total_money"]["amount"]
        paid = {"state": state, **order, "net_amount_due_money": money(0, self._currency)}
        return paid | {"tenders": [self._tender(kind, total, tip)]} if total else paid

    def _tender(self, kind: str, total: int, tip: int) -> Json:
        return {
            "id": f"PAY{OWN_ID}",
            "payment_id": f"PAY{OWN_ID}",
            "location_id": PLACE,
            "transaction_id": OWN_ID,
            "created_at": PAID_AT,
            "type": kind,
            "amount_money": money(total, self._currency),
            "tip_money": money(tip, self._currency),
        }
