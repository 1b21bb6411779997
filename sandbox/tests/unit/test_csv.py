"""A merchant's own export must come in whole, or be refused with the line that is wrong."""

import gzip
from typing import Any

import pytest
from suppli_sandbox.csv_rows import CsvError, read_rows
from suppli_sandbox.models import MerchantSpec
from suppli_sandbox.square.csv_import import import_sales
from suppli_sandbox.square.world import Merchant, World

HEADER = (
    "Date,Time,Time Zone,Category,Item,Qty,Price Point Name,SKU,Modifiers Applied,Gross Sales,Discounts,"
    "Net Sales,Tax,Transaction ID,Payment ID,Event Type,Location,Unit,Itemization Type\n"
)
PACIFIC = "2023-11-30,20:46:56,Pacific Time (US & Canada)"
ITEM = "Shop,ea,Physical Item\n"
MONEY = '"$1,016.95",-$2.00,"$1,014.95",$1.46'
SALE = f'{PACIFIC},Tea,Chai,2.0,Large,SKU1,"HOT, Oat",{MONEY},T1,P1,Payment,{ITEM}'
VOID = f"{PACIFIC},None,Naan (Voided),3.0,,,,$0.00,$0.00,$0.00,$0.00,T1,P1,Payment,Shop,ea,Physical Item\n"
BACK = f"{PACIFIC},Tea,Chai,-1.0,Large,SKU1,,-$508.00,$1.00,-$507.00,-$0.73,T2,P1,Refund,{ITEM}"
WEIGHED = f"{PACIFIC},Tea,Leaves,0.75,,,,$12.00,$0.00,$12.00,$0.00,T3,P3,Payment,Shop,lb,Physical Item\n"


def loaded(content: bytes) -> tuple[Merchant, dict[str, Any]]:
    world = World()
    merchant = world.create_merchant(MerchantSpec(id="M1", name="Shop"))
    return merchant, import_sales(world, merchant, content, None)


def test_sales_voids_refunds_and_weights_become_orders() -> None:
    """A row that turned into something else would make totals differ from the shop's own report."""
    merchant, summary = loaded((HEADER + SALE + VOID + BACK + WEIGHED).encode())
    assert summary["orders"] == 3
    assert (summary["gross"], summary["discount"], summary["net"], summary["tax"]) == (52095, -100, 51995, 73)
    assert (summary["quantity"], summary["voided_quantity"]) == ("1.75", "3")
    sale = merchant.order("T1").decoded()
    assert sale["closed_at"] == "2023-12-01T04:46:56Z"
    chai, void = sale["line_items"]
    assert chai["total_money"]["amount"] == 101495 + 146
    assert chai["total_discount_money"]["amount"] == 200
    assert [m["name"] for m in chai["modifiers"]] == ["HOT", "Oat"]
    assert (void["name"], void["quantity"], void["total_money"]["amount"]) == ("Naan (Voided)", "3", 0)
    returned = merchant.order("T2").decoded()["returns"][0]
    assert returned["source_order_id"] == "T1"
    line = returned["return_line_items"][0]
    assert (line["quantity"], line["gross_return_money"]["amount"], line["total_money"]["amount"]) == (
        "1",
        50800,
        50773,
    )
    assert merchant.order("T3").decoded()["line_items"][0]["quantity_unit"]["measurement_unit"] == {
        "weight_unit": "IMPERIAL_POUND",
        "type": "TYPE_WEIGHT",
    }
    variation = merchant.catalog.get(chai["catalog_object_id"])
    assert variation is not None
    assert variation["item_variation_data"]["sku"] == "SKU1"


def test_gzip_and_byte_order_mark_are_read() -> None:
    """An export that was compressed or saved by a spreadsheet is still an export."""
    content = "\ufeff".encode() + (HEADER + SALE).encode()
    assert len(read_rows(gzip.compress(content), "USD")) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Date,Time\n", r"line 1: column\(s\) missing: Time Zone, .*Items detail"),
        (HEADER, "no rows"),
        (HEADER + SALE.replace("$1.46", "1.4x"), r"line 2, column Tax: '1.4x' is not money"),
        (HEADER + SALE.replace("$1.46", "$1.465"), r"line 2, column Tax: .*more decimals"),
        (HEADER + SALE + VOID.replace("3.0", "three"), r"line 3, column Qty: 'three' is not a number"),
        (HEADER + SALE.replace("2023-11-30", "30/11/23"), r"line 2, column Date"),
        (HEADER + SALE.replace("Pacific Time (US & Canada)", "Mars"), r"line 2, column Time Zone: 'Mars'"),
        (HEADER + SALE.replace("Payment,", "Sale,"), r"line 2, column Event Type"),
        (HEADER + SALE + "2023-11-30,cut\n", r"line 3: 2 cells where the header has 19"),
        (HEADER + SALE.replace("T1", ""), r"line 2, column Transaction ID: '' is empty"),
    ],
)
def test_a_wrong_file_is_refused_with_line_column_and_advice(content: str, message: str) -> None:
    """Without the line, nobody finds the bad cell among thousands."""
    with pytest.raises(CsvError, match=message):
        loaded(content.encode())


def test_a_damaged_file_is_named_as_such() -> None:
    """A half-copied archive must not look like a bug of the sandbox."""
    with pytest.raises(CsvError, match="gzip file is damaged"):
        read_rows(gzip.compress(b"x" * 100)[:-9], "USD")
    with pytest.raises(CsvError, match="not UTF-8"):
        read_rows(HEADER.encode() + b"\xff", "USD")
