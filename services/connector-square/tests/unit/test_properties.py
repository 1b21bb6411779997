"""Whatever a till rings up: the money adds up, and nothing personal gets through."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from suppli_connector_kit.domain.sale import assured
from suppli_connector_kit.protocol import LocationContext, Sale, Zone
from suppli_connector_square.domain.models import READER
from suppli_connector_square.domain.normalise import normalise

CONTEXT = LocationContext("LOC1", "USD", (Zone("America/New_York", "04:00"),))
CANARY = "jane.roe@example.com"
PERSONAL = {
    "note": CANARY,
    "customer_id": CANARY,
    "ticket_name": CANARY,
    "reference_id": CANARY,
    "metadata": {"who": CANARY},
    "fulfillments": [{"pickup_details": {"recipient": {"display_name": CANARY, "phone_number": CANARY}}}],
    "refunds": [{"reason": CANARY}],
    "applied_discounts": [{"name": CANARY}],
}
amounts = st.integers(0, 100_000)
quantities = st.sampled_from(["0", "1", "2", "12", "0.5", "0.125", "3.00000"])
taxes = st.sampled_from([None, "ADD", "INCL", "UNKNOWN"])


def money(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


@st.composite
def line(
    draw: st.DrawFn, gross_name: str = "gross_sales_money", modifiers: str = "modifiers"
) -> dict[str, Any]:
    gross = draw(amounts)
    discount = draw(st.integers(0, gross))
    inside = draw(st.booleans())
    tax = draw(st.integers(0, gross - discount))
    known = draw(st.booleans())
    extra = draw(st.integers(0, gross))
    return {
        "uid": draw(st.sampled_from(["A", "B", "C", None])),
        "name": "Tea" if known else f"Party of {CANARY}, +1 (202) 555-0101",
        "catalog_object_id": "VAR" if known else None,
        "item_type": draw(st.sampled_from(["ITEM", "CUSTOM_AMOUNT", "GIFT_CARD", None])),
        "quantity": draw(quantities),
        modifiers: [{"name": CANARY, "total_price_money": money(extra), "quantity": draw(quantities)}],
        "applied_taxes": [{"tax_uid": draw(taxes), "applied_money": money(tax)}],
        "base_price_money": money(gross),
        gross_name: money(gross),
        "total_discount_money": money(discount),
        "total_tax_money": money(tax),
        "total_money": money(gross - discount + (0 if inside else tax)),
        "note": CANARY,
        "metadata": {"who": CANARY},
        "source_line_item_uid": draw(st.sampled_from(["A", None])),
    }


@st.composite
def order(draw: st.DrawFn) -> dict[str, Any]:
    lines = draw(st.lists(line(), max_size=5))
    back = draw(st.lists(line("gross_return_money", "return_modifiers"), max_size=3))
    returns = [{"source_order_id": "S", "return_line_items": back, "note": CANARY}] if back else []
    kinds = [{"uid": "INCL", "type": "INCLUSIVE", "percentage": "20"}, {"uid": "ADD", "type": "ADDITIVE"}]
    optional = {
        "total_tip_money": money(draw(amounts)),
        "service_charges": [{"uid": "A", "name": CANARY, "applied_money": money(draw(amounts))}] * 2,
        "rounding_adjustment": {"amount_money": money(draw(st.integers(-5, 5)))},
        "return_amounts": {"total_money": money(draw(amounts)), "tax_money": money(draw(amounts))},
        "net_amounts": {"total_money": money(draw(st.integers(-(10**6), 10**6)))},
        "tenders": [{"amount_money": money(draw(amounts)), "note": CANARY, "customer_id": CANARY}],
    }
    chosen = draw(st.sets(st.sampled_from(sorted(optional))))
    return {
        "id": "O",
        "location_id": "LOC1",
        "updated_at": "2026-03-08T20:00:00Z",
        "state": draw(st.sampled_from(["OPEN", "COMPLETED", "CANCELED", "DRAFT", "NEW"])),
        "line_items": lines,
        "returns": returns,
        "taxes": kinds,
        "total_money": money(draw(st.integers(0, 10**6))),
        "total_tax_money": money(draw(amounts)),
        **PERSONAL,
        **{name: optional[name] for name in chosen},
    }


def read(content: dict[str, Any]) -> Sale:
    (ref,), _ = READER.read(json.dumps({"orders": [content]}).encode())
    assert ref.raw is not None, (ref.problem, ref.problem_path)
    sale = normalise(ref.raw, CONTEXT)
    assert all(each.name is None for one in sale.lines for each in one.modifiers if each.external_id is None)
    return assured(sale, CONTEXT, ref.modified_us)


@settings(max_examples=300, deadline=None)
@given(order())
def test_money_adds_up_and_ids_are_unique(content: dict[str, Any]) -> None:
    """A day must never differ from the provider's own by a cent, nor a line hide another."""
    sale = read(content)
    explained = sum(each.net for each in sale.lines) + sum(each.amount for each in sale.adjustments)
    assert explained == sale.totals.total - sale.totals.tax
    ids = [each.line_id for each in sale.lines] + [each.adjustment_id for each in sale.adjustments]
    assert len(ids) == len(set(ids))
    for each in sale.lines:
        sign = 1 if each.restock is None else -1
        assert sign * float(each.quantity) >= 0
        assert len({modifier.modifier_id for modifier in each.modifiers}) == len(each.modifiers)


@settings(max_examples=300, deadline=None)
@given(order())
def test_nothing_personal_gets_through(content: dict[str, Any]) -> None:
    """Guests' names, e-mails and notes must never leave the connector, whatever field they were in."""
    said = msgspec.json.encode(read(content)).decode()
    assert "jane" not in said
    assert "-0101" not in said


@settings(max_examples=100, deadline=None)
@given(order(), st.data())
def test_any_damage_is_contained(content: dict[str, Any], data: st.DataObject) -> None:
    """One field of the wrong type sets one order aside, and its value is not repeated anywhere."""
    field = data.draw(st.sampled_from(sorted(content)))
    damaged = {**content, field: {"jane": ["jane.roe@example.com"]}}
    refs, _ = READER.read(json.dumps({"orders": [damaged, content]}).encode())
    assert len(refs) == 2
    assert refs[1].raw is not None
    assert "jane" not in f"{refs[0].problem} {refs[0].problem_path}"
