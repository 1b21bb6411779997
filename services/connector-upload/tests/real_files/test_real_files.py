"""Real exports, held against totals that others worked out (the folder's README has them)."""

from __future__ import annotations

import csv
import gzip
import os
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from suppli_connector_upload.domain.detected import Detected, Trust
from suppli_connector_upload.domain.detection import detect
from suppli_connector_upload.domain.outcomes import ControlTotals, Notice
from suppli_connector_upload.domain.plan import DateOrder, Shape
from suppli_connector_upload.domain.plans import make_plan
from suppli_connector_upload.domain.sales import SalesReader
from suppli_connector_upload.reading import DiskSpool, open_rows, take_sample

SHARED = Path(os.environ.get("SUPPLI_SHARED_DATA", Path(__file__).parents[5] / "shared" / "data"))
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not SHARED.exists(), reason=f"{SHARED} is missing: set SUPPLI_SHARED_DATA"),
]


@dataclass
class Imported:
    shape: Shape
    totals: ControlTotals
    notices: list[Notice]
    order_ids: list[str]


def imported(path: Path, detected: Detected | None = None, **answers: str) -> Imported:
    """Import a file with the suggestions that it gets, and `answers` to what it cannot say."""
    detected = detected or detect(take_sample(path))
    plan = make_plan(detected, {"location_id": "shop", "prices_include_tax": "no"} | answers)
    reader = SalesReader(plan, DiskSpool)
    try:
        errors = list(reader.take(open_rows(path, plan.layout)))
        order_ids = []
        for found in reader.sales():
            order_ids.append(found.sale.order_id)
            beside = sum(each.amount for each in found.sale.adjustments)
            lines = sum(line.net for line in found.sale.lines)
            assert lines + beside == found.sale.totals.total - found.sale.totals.tax
    finally:
        reader.close()
    assert not errors
    assert len(set(order_ids)) == len(order_ids) == reader.totals.all.orders
    return Imported(plan.shape, reader.totals, reader.notices, order_ids)


def unpacked(name: str, folder: Path) -> Path:
    path = folder / name.removesuffix(".gz")
    path.write_bytes(gzip.decompress((SHARED / "datasets" / name).read_bytes()))
    return path


def test_square_items_detail() -> None:
    found = imported(SHARED / "pos_exports" / "square_items_detail_us_2023-11.csv")
    whole = found.totals.all
    assert found.shape is Shape.SQUARE_ITEMS
    assert (whole.rows, whole.orders, len(found.totals.by_day)) == (3_452, 647, 25)
    assert (whole.gross, whole.discount, whole.net, whole.tax) == (3_732_143, 35_972, 3_696_171, 327_749)
    assert (whole.left_out_rows, whole.left_out_net) == (222, 0)
    assert whole.quantity + whole.left_out_quantity == 4_012
    assert whole.quantity == 3_748
    assert found.totals.currencies == {"USD"}


def test_toast_item_selection_details() -> None:
    folder = SHARED / "pos_exports" / "toast_export_2024-04-10"
    found = imported(folder / "ItemSelectionDetails.csv", timezone="America/Chicago", currency="USD")
    whole = found.totals.all
    assert found.shape is Shape.TOAST_ITEMS
    assert (whole.gross, whole.net, whole.tax, whole.quantity) == (36_982, 35_882, 2_258, 89)
    assert (whole.left_out_rows, whole.left_out_net) == (1, 800)
    assert "900000004019159011@2024-04-10" in found.order_ids


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("toast_export_2024-04-10/ModifiersSelectionDetails.csv", "modifiers_only"),
        ("toast_export_2024-04-10/OrderDetails.csv", "no_items"),
        ("toast_export_2024-04-10/AllItemsReport.csv", "sums_only"),
        ("clover_revenue_item_sales_2025-08.csv", "no_dates"),
    ],
)
def test_reports_that_hold_no_sales_are_refused(name: str, code: str) -> None:
    """Imported, each sale would count several times, or on no day."""
    refusal = detect(take_sample(SHARED / "pos_exports" / name)).refusal
    assert refusal is not None
    assert refusal.code == code


@pytest.mark.parametrize(
    ("name", "rows", "orders", "cancelled"),
    [
        ("shopify_orders_export_a.csv", 55, 50, 0),
        ("shopify_orders_export_b.csv", 50, 50, 12),
        ("shopify_orders_export_c_lf.csv", 10, 10, 0),
    ],
)
def test_shopify_orders(name: str, rows: int, orders: int, cancelled: int) -> None:
    found = imported(SHARED / "pos_exports" / name, timezone="Asia/Dhaka")
    whole = found.totals.all
    assert found.shape is Shape.SHOPIFY_ORDERS
    assert (whole.rows, whole.orders, whole.left_out_rows) == (rows, orders, cancelled)
    assert found.totals.currencies == {"BDT"}
    with (SHARED / "pos_exports" / name).open(newline="", encoding="utf-8") as stream:
        firsts = [row for row in csv.DictReader(stream) if row["Subtotal"]]
    assert whole.net + whole.left_out_net == 100 * sum(Decimal(row["Subtotal"]) for row in firsts)
    shipping = sum(Decimal(row["Shipping"]) for row in firsts if not row["Cancelled at"])
    assert whole.adjustments == 100 * shipping  # nothing was refunded in these files


def test_takeaway_orders(tmp_path: Path) -> None:
    path = unpacked("restaurant_takeaway_orders_uk.csv.gz", tmp_path)
    detected = detect(take_sample(path))
    assert detected.date_order is DateOrder.DMY
    whole = imported(path, detected, timezone="Europe/London", currency="GBP").totals.all
    assert (whole.rows, whole.orders) == (74_818, 13_397)
    assert (whole.net, whole.quantity) == (44_651_745, 93_041)


def test_online_retail(tmp_path: Path) -> None:
    found = imported(
        unpacked("online_retail_uk_sample.csv.gz", tmp_path), timezone="Europe/London", currency="GBP"
    )
    whole = found.totals.all
    assert (whole.rows, whole.net, whole.quantity) == (20_000, 36_764_491, 192_994)


def test_coffee_machine() -> None:
    """15 exact duplicates are cups too."""
    path = SHARED / "datasets" / "coffee_vending_machine_1.csv"
    assert detect(take_sample(path)).date_order is DateOrder.MDY
    whole = imported(path, timezone="Europe/Kyiv", currency="UAH").totals.all
    assert (whole.rows, whole.net, whole.quantity) == (3_636, 11_543_158, Decimal(3_636))


def test_workbook_of_a_toast_export() -> None:
    """Its order ids were rounded, its days end at four in the morning, and it has a pivot table in front."""
    path = SHARED / "pos_exports" / "toast_item_selection_2024-06_workbook.xlsx"
    detected = detect(take_sample(path))
    suggested = {question.about: question.suggestion for question in detected.questions}
    assert (detected.order_ids, suggested["day_cutoff"]) == (Trust.DAMAGED, "04:00")
    found = imported(path, detected, timezone="America/Chicago", currency="USD")
    whole = found.totals.all
    assert (whole.rows, whole.net) == (76_027, 53_000_802)
    assert date(2024, 7, 1) not in found.totals.by_day  # sold at 00:16, on the evening of 30 June
    assert len(found.totals.by_day) == 30
