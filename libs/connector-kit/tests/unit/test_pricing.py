"""What a till worked out and does not say: shares that add up, and taxes inside and on top."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from suppli_connector_kit.domain.pricing import (
    Off,
    Priced,
    Rate,
    discounts_of,
    half_up,
    taken_off,
    tax_on,
    taxes_of,
)

AMOUNTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=8)


@given(AMOUNTS, st.integers(0, 10**7))
def test_an_orders_discount_is_shared_whole_and_never_more_than_there_is(
    grosses: list[int], amount: int
) -> None:
    """A cent more or less a line, and the day is not the shop's."""
    own: list[list[Off]] = [[] for _ in grosses]
    found = discounts_of(grosses, own, [Off(amount=amount)])
    assert sum(found) == min(amount, sum(grosses))
    assert all(0 <= off <= gross for off, gross in zip(found, grosses, strict=True))


def test_parts_come_before_amounts_and_round_half_up() -> None:
    """10 % and then a dollar is not a dollar and then 10 %."""
    assert taken_off(1005, [Off(amount=100), Off(Decimal("0.1"))]) == 201  # 100.5 rounds to 101, then 100
    assert taken_off(50, [Off(amount=80)]) == 50
    assert half_up(Decimal("0.5")) == 1


def test_a_tax_inside_the_price_is_what_is_left_without_it() -> None:
    """A shop with VAT would have its sales 20 % too high."""
    assert tax_on(1200, [Rate(Decimal("0.2"))], inside=True) == 200
    assert tax_on(1000, [Rate(Decimal("0.2"), 5)], inside=False) == 205
    money = Priced(1200, 600, 100).money(tax_inside=True)
    assert (money.gross, money.discount, money.net, money.tax) == (1000, 500, 500, 100)


@given(AMOUNTS, st.integers(0, 10**7))
def test_the_tax_that_was_paid_wins_over_what_rates_want(wanted: list[int], stated: int) -> None:
    """Lines would add up to another tax than the receipt's."""
    found = taxes_of(list(wanted), stated)
    assert sum(found) == (stated if any(wanted) else 0)
    assert taxes_of(list(wanted), None) == wanted
