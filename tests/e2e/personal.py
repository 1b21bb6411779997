"""Orders with customers' personal data in every place where a till, a web shop or a person can put it."""

from __future__ import annotations

import secrets
from string import ascii_lowercase
from typing import Any

from tests.e2e.test_changes import order

Json = dict[str, Any]

LATTE = "VAR_TEST_LATTE"


def letters() -> str:
    """Return a word that occurs nowhere else; without digits, which a redaction may take."""
    return "".join(secrets.choice(ascii_lowercase) for _ in range(14))


class Canaries:
    """Hands out texts that occur nowhere else, and remembers which place got which."""

    def __init__(self) -> None:
        self.by_place: dict[str, str] = {}

    def text(self, place: str) -> str:
        """Return a word for a place."""
        self.by_place[place] = letters()
        return f"Dear {self.by_place[place]}, ring twice"

    def word(self, place: str) -> str:
        """Return a word for a place that takes nothing but a word."""
        self.by_place[place] = letters()
        return self.by_place[place]

    def mail(self, place: str) -> str:
        """Return an e-mail address."""
        return f"{self.word(place)}@example.com"

    def phone(self, place: str) -> str:
        """Return a phone number as people write them."""
        number = f"(415) 555-{secrets.randbelow(10_000):04}"
        self.by_place[place] = number
        return f"+1 {number}"

    def digits(self, place: str) -> str:
        """Return a long number, such as a card's."""
        self.by_place[place] = "".join(str(secrets.randbelow(10)) for _ in range(16))
        return self.by_place[place]


def personal_order(location: str, number: int, at: str, who: Canaries, where: str) -> Json:
    """Return a paid order full of personal data; `where` names it in the places' names."""

    def text(place: str) -> str:
        return who.text(f"{where}: {place}")

    whole = order(location, number, at, (LATTE, "1", 450, 0), (LATTE, "1", 450, 0))
    line, other = whole["line_items"]
    line["note"] = text("line note")
    line["metadata"] = {"for": text("line metadata")}
    line["modifiers"] = [{"uid": "m1", "name": text("typed modifier"), "quantity": "1"}]
    other["applied_discounts"] = [{"uid": "a1", "discount_uid": "d1"}]
    whole["tenders"][0] |= {
        "note": text("tender note"),
        "customer_id": who.word(f"{where}: tender customer id"),
        "card_details": {"card": {"cardholder_name": text("card holder")}},
    }
    whole |= {
        "ticket_name": text("ticket name"),
        "reference_id": text("reference id"),
        "customer_id": who.word(f"{where}: customer id"),
        "note": text("order note"),
        "metadata": {who.word(f"{where}: metadata key"): text("metadata value")},
        "discounts": [{"uid": "d1", "name": text("discount name"), "scope": "LINE_ITEM"}],
        "fulfillments": _fulfillments(who, where),
        "refunds": [{"id": "r1", "reason": text("refund reason"), "amount_money": _usd(0)}],
    }
    return whole


def custom_lines(location: str, number: int, at: str, who: Canaries, marks: tuple[str, str]) -> Json:
    """Return an order with two lines whose names were typed, with a `marks` word each that may be kept."""
    whole = order(location, number, at, (LATTE, "1", 450, 0), (LATTE, "1", 450, 0))
    for line, mark, kind in zip(whole["line_items"], marks, ("ITEM", "CUSTOM_AMOUNT"), strict=True):
        del line["catalog_object_id"]
        place = f"{kind} typed name"
        line["item_type"] = kind
        line["name"] = (
            f"Cake {mark} {who.mail(f'{place}: mail')} {who.phone(f'{place}: phone')}"
            f" card {who.digits(f'{place}: digits')}"
        )
        line["variation_name"] = who.mail(f"{kind} typed variation: mail")
        line["note"] = who.text(f"{kind} note")
    return whole


def not_understood(location: str, number: int, at: str, who: Canaries) -> list[Json]:
    """Return orders that cannot be read, each broken by a personal text in another place."""
    broken = [personal_order(location, number + step, at, who, f"set aside {step}") for step in range(4)]
    broken[0]["line_items"][0]["quantity"] = who.text("set aside: quantity")
    broken[1]["line_items"][0]["name"] = {"text": who.text("set aside: name of another type")}
    broken[2]["line_items"][0]["total_money"] = {"amount": who.text("set aside: amount")}
    broken[3]["line_items"] = who.text("set aside: lines of another type")
    return broken


def _fulfillments(who: Canaries, where: str) -> list[Json]:
    found = []
    for kind in ("pickup", "delivery", "shipment"):
        place = f"{where}: {kind}"
        recipient = {
            "display_name": who.text(f"{place} recipient"),
            "email_address": who.mail(f"{place} mail"),
            "phone_number": who.phone(f"{place} phone"),
            "customer_id": who.word(f"{place} customer id"),
            "address": {
                "address_line_1": who.text(f"{place} address"),
                "first_name": who.word(f"{place} first name"),
            },
        }
        details = {"recipient": recipient, "note": who.text(f"{place} note")}
        found.append({"uid": kind, "type": kind.upper(), "state": "COMPLETED", f"{kind}_details": details})
    return found


def _usd(amount: int) -> Json:
    return {"amount": amount, "currency": "USD"}
