"""Suggestions save the owner the search."""

from suppli_mapping.domain.mappings import Product
from suppli_mapping.domain.suggest import Suggester

SUGGESTER = Suggester(
    [
        Product("p1", name="Coca Cola 330 ml", sku="COLA-330", barcode="5449000000996"),
        Product("p2", name="Flat White"),
        Product("p3", name="Green Tea", deleted=True),
        Product("p4", name="Tea, Green", sku="TEA"),
    ]
)


def test_sku_first_then_barcode_then_name() -> None:
    """The best suggestion comes first, or people stop looking at them."""
    found = SUGGESTER.suggest(sku=" tea ", barcode="5449000000996", name="flat white")
    assert [(each.product_id, each.by) for each in found] == [
        ("p4", "sku"),
        ("p1", "barcode"),
        ("p2", "name"),
    ]
    assert found[0].score == 1.0


def test_like_names_and_no_deleted_products() -> None:
    """A deleted product cannot be mapped to, so it is no suggestion."""
    assert [each.product_id for each in SUGGESTER.suggest(name="Green tea")] == ["p4"]
    assert SUGGESTER.suggest(name="Lawn mower") == ()
    assert SUGGESTER.suggest() == ()
