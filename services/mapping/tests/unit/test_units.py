"""Units convert exactly, and never by guessing."""

from fractions import Fraction

import pytest
from suppli_contracts.events.mapping import MappingState, MappingTarget
from suppli_mapping.domain.entries import LineState, resolve, stock_units
from suppli_mapping.domain.mappings import Product, Rule
from suppli_mapping.domain.units import BadQuantity, conversion, decimal_text, exact, millionths


def test_pounds_become_kilograms() -> None:
    """The design's own example: 0.75 lb is 0.340194 kg."""
    ratio = conversion("lb", "kg")
    assert ratio is not None
    value = exact("0.75") * ratio
    assert decimal_text(millionths(value.numerator, value.denominator)) == "0.340194"


@pytest.mark.parametrize(
    ("source", "target", "ratio"),
    [
        ("Pounds", "oz", Fraction(16)),
        ("gal", "fl_oz", Fraction(128)),
        ("ml", "l", Fraction(1, 1000)),
        ("each", "each", Fraction(1)),
        ("bunch", "bunch", Fraction(1)),
        ("kg", "l", None),
        ("each", "kg", None),
        ("bunch", "each", None),
    ],
)
def test_conversion(source: str, target: str, ratio: Fraction | None) -> None:
    """A wrong ratio multiplies every quantity of an item."""
    assert conversion(source, target) == ratio


@pytest.mark.parametrize(
    ("unit", "mapped", "product", "ratio"),
    [
        ("lb", "lb", "kg", conversion("lb", "kg")),
        ("oz", "lb", "kg", conversion("oz", "kg")),
        ("each", "each", "kg", Fraction(1)),  # the factor says how many kg one is
        ("oz", "lb", "each", Fraction(1, 16)),  # the factor says how many one pound is
        ("lb", "each", "kg", None),  # the factor speaks of pieces
        ("each", "lb", "kg", None),
        ("bunch", "each", "each", None),
    ],
)
def test_stock_units(unit: str, mapped: str, product: str, ratio: Fraction | None) -> None:
    """A line in a unit that the mapping does not know must wait for a person."""
    assert stock_units(unit, mapped, product) == ratio


def test_line_in_unknown_unit_parks() -> None:
    """Guessing would book 0.75 pieces as kilograms."""
    rule = Rule(1, MappingState.MAPPED, (MappingTarget(product_id="p", factor="0.25"),), unit="each")
    products = {"p": Product("p", unit="kg")}
    assert resolve(rule, "lb", products).state is LineState.PARKED
    assert resolve(rule, "each", products).state is LineState.MAPPED


def test_rounding_mirrors() -> None:
    """A return must take back exactly what its sale added."""
    assert millionths(1, 3) == 333_333
    assert millionths(5, 10_000_000) == 1
    assert millionths(-5, 10_000_000) == -1


@pytest.mark.parametrize(
    "text", ["", "x", "1/0", "nan", "inf", "1e999999999", "9" * 40, "1//2", "99999999999999"]
)
def test_bad_quantity(text: str) -> None:
    """A hostile number must be refused at once, not computed."""
    with pytest.raises(BadQuantity):
        exact(text)


def test_decimal_text() -> None:
    """Quantities are read by other programs: plain decimals."""
    assert [decimal_text(n) for n in (0, 1, -1_500_000, 2_000_000)] == ["0", "0.000001", "-1.5", "2"]
