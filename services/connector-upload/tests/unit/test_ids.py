"""Ids of sales and lines must be the same in every release: others would count every file again."""

from __future__ import annotations

from suppli_connector_upload.domain.plan import Field
from suppli_connector_upload.testing.reading import a_plan, read

COLUMNS = {
    Field.DATETIME: "at",
    Field.ORDER_ID: "order",
    Field.LINE_ID: "line",
    Field.ITEM: "item",
    Field.SKU: "sku",
    Field.QUANTITY: "qty",
    Field.GROSS: "gross",
    Field.NET: "net",
    Field.TAX: "tax",
    Field.CATEGORY: "category",
}
ROW = ("2024-06-01 10:15", "77", "L1", "Latte", "S-1", "2", "10.00", "9.00", "0.72", "Coffee")


def test_ids_stay_what_they_are() -> None:
    by_content = read(a_plan(COLUMNS, use_order_ids=False, use_line_ids=False), [ROW, ROW])
    name = "546a1d38ed61c308abdc1b63"
    assert by_content.ids() == {f"row-{name}": {name}, f"row-{name}~2": {name}}
    by_ids = read(a_plan(COLUMNS), [ROW, ROW])  # one line id twice: both count
    assert by_ids.ids() == {"77@2024-06-01": {"L1", "L1~2"}}


def test_what_is_not_imported_makes_no_difference() -> None:
    """Another note on a row, another column, another sequence of columns, other writing: the same sale."""
    plan = a_plan(COLUMNS, use_order_ids=False, use_line_ids=False)
    names = [*reversed(list(COLUMNS.values())), "note"]
    other = a_plan(COLUMNS, names, use_order_ids=False, use_line_ids=False, decimal_mark=",")
    first = read(plan, [ROW]).ids()
    row = [
        "Coffee",
        "0,72",
        "9",
        "$10,00",
        "2,0",
        "S-1",
        " Latte ",
        "L1",
        "77",
        "2024-06-01T10:15:00",
        "a note",
    ]
    assert read(other, [row]).ids() == first
