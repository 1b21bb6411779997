"""Decisions: which one holds on a day, and which are refused."""

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suppli_contracts.events.mapping import MappingState, MappingTarget
from suppli_mapping.domain.entries import split_money
from suppli_mapping.domain.mappings import Product, Rule, current_product, faults, rule_on

PRODUCTS = {
    "a": Product("a"),
    "gone": Product("gone", deleted=True),
    "old": Product("old", replaced_by="a"),
    "x": Product("x", replaced_by="y"),
    "y": Product("y", replaced_by="x"),
}


def target(product: str = "a", factor: str = "1", share: str | None = None) -> MappingTarget:
    return MappingTarget(product_id=product, factor=factor, share=share)


def test_later_decision_holds_from_its_day_on() -> None:
    """Otherwise re-mapping from a date would rewrite the days before it."""
    rules = [
        Rule(1, MappingState.MAPPED, (target(),)),
        Rule(2, MappingState.IGNORED, from_date=date(2026, 5, 10)),
        Rule(3, MappingState.MAPPED, (target(),), from_date=date(2026, 5, 5)),
    ]
    days = {4: 1, 5: 3, 9: 3, 10: 3, 31: 3}
    for day, revision in days.items():
        held = rule_on(rules, date(2026, 5, day))
        assert held is not None
        assert held.revision == revision
    assert rule_on(rules[1:2], date(2026, 5, 9)) is None


@pytest.mark.parametrize(
    ("targets", "field"),
    [
        ((), "$.targets"),
        ((target("nowhere"),), "$.targets[0].product_id"),
        ((target("gone"),), "$.targets[0].product_id"),
        ((target("x"),), "$.targets[0].product_id"),
        ((target(factor="0"),), "$.targets[0].factor"),
        ((target(factor="many"),), "$.targets[0].factor"),
        ((target(factor="-1"),), "$.targets[0].factor"),
        ((target(share="0.5"), target(share="0.4")), "$.targets"),
        ((target(share="0.5"), target()), "$.targets"),
        ((target(share="1.5"), target(share="-0.5")), "$.targets[0].share"),
        ((target(share="half"), target(share="0.5")), "$.targets[0].share"),
    ],
)
def test_bad_decisions_name_the_field(targets: tuple[MappingTarget, ...], field: str) -> None:
    """A mapping that is wrong must be refused before it restates months of sales."""
    found = faults(MappingState.MAPPED, targets, is_modifier=False, products=PRODUCTS)
    assert field in [problem.field for problem in found]


def test_good_decisions_pass() -> None:
    """Thirds, merged products and negative modifiers are meant to work."""
    thirds = (target(share="1/3"), target("old", share="2/3"))
    assert faults(MappingState.MAPPED, thirds, is_modifier=False, products=PRODUCTS) == []
    assert faults(MappingState.MAPPED, (target(factor="-1"),), is_modifier=True, products=PRODUCTS) == []
    assert faults(MappingState.IGNORED, (), is_modifier=False, products=PRODUCTS) == []
    assert faults(MappingState.IGNORED, thirds, is_modifier=False, products=PRODUCTS) != []


def test_merged_products() -> None:
    """A mapping follows a merged product, and a circle of merges ends nowhere instead of never."""
    found = current_product("old", PRODUCTS)
    assert found is not None
    assert found.product_id == "a"
    assert current_product("x", PRODUCTS) is None
    assert current_product("gone", PRODUCTS) is None


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(1, 100), min_size=1, max_size=8))
def test_split_adds_up(amount: int, weights: list[int]) -> None:
    """A cent lost in a combo would break the day's proof."""
    shares = [Fraction(weight, sum(weights)) for weight in weights]
    parts = split_money(amount, shares)
    assert sum(parts) == amount
    assert split_money(-amount, shares) == [-part for part in parts]
    for part, share in zip(parts, shares, strict=True):
        assert abs(part - amount * share) < 1
