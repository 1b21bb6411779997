"""What a shop would lose: a sale counted twice, a repeat counted once, a correction that changes others."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from suppli_connector_upload.domain import sales
from suppli_connector_upload.domain.plan import DateOrder, Field
from suppli_connector_upload.testing.reading import a_plan, read
from suppli_contracts.events.sales import Disposition, OrderState, Restock

COLUMNS = {
    Field.DATETIME: "at",
    Field.ORDER_ID: "order",
    Field.ITEM: "item",
    Field.QUANTITY: "qty",
    Field.NET: "net",
}
PLAN = a_plan(COLUMNS)
BY_ROW = a_plan(COLUMNS, use_order_ids=False)

_rows = st.lists(
    st.tuples(
        st.sampled_from(["2024-06-01 10:00", "2024-06-01 23:59", "2024-06-02 00:01", "2024-06-03"]),
        st.sampled_from(["1", "2", "17", "9.0E+17"]),
        st.sampled_from(["Soup", "Tea", "Tea (VOID)"]),
        st.sampled_from(["1", "2.5", "-1"]),
        st.sampled_from(["5.00", "$7.25", "-3", "0"]),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(rows=_rows, seed=st.integers(0, 10), by_order=st.booleans())
def test_the_sequence_of_rows_makes_no_difference(
    rows: list[tuple[str, ...]], seed: int, by_order: bool
) -> None:
    """An export sorted otherwise is the same export: every id, every figure."""
    plan = PLAN if by_order else BY_ROW
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    once, again = read(plan, rows), read(plan, shuffled)
    assert {found.sale.order_id: found.sale for found in once.sales} == {
        found.sale.order_id: found.sale for found in again.sales
    }
    assert once.totals == again.totals
    assert once.totals.all.rows + once.totals.ignored + once.totals.errors == len(rows)


@settings(max_examples=60, deadline=None)
@given(rows=_rows.filter(len), index=st.integers(0, 100), by_order=st.booleans())
def test_a_changed_row_changes_only_its_own_sale(
    rows: list[tuple[str, ...]], index: int, by_order: bool
) -> None:
    """A corrected re-export must not touch what it did not correct."""
    plan = PLAN if by_order else BY_ROW
    at = index % len(rows)
    corrected = list(rows)
    corrected[at] = (*rows[at][:4], "99.99")
    before = {found.sale.order_id: found.sale for found in read(plan, rows).sales}
    after = {found.sale.order_id: found.sale for found in read(plan, corrected).sales}
    gone = [order for order in before if before[order] != after.get(order)]
    new = [order for order in after if after[order] != before.get(order)]
    assert len(gone) <= 1
    assert len(new) <= 1


def test_equal_rows_all_count_and_have_ids_of_their_own() -> None:
    """Two cups in the same minute are two cups; the file once more is the same two cups."""
    rows = [("2024-06-01 10:15", "", "Latte", "1", "38.7")] * 3
    found = read(BY_ROW, rows)
    assert found.totals.all.quantity == 3
    assert len({sale.sale.order_id for sale in found.sales}) == 3
    assert found.ids() == read(BY_ROW, rows).ids()
    one_more = read(BY_ROW, [*rows, rows[0]])
    assert set(found.ids()) < set(one_more.ids())


def test_rows_of_an_order_meet_wherever_they_stand() -> None:
    """An order cut in two would be published twice under one id, and the later half would win."""
    rows = [(f"2024-06-01 10:{minute:02}", str(minute % 7), "Soup", "1", "1.00") for minute in range(60)]
    found = read(PLAN, rows)
    assert found.totals.all.orders == 7
    assert sum(len(sale.sale.lines) for sale in found.sales) == 60


def test_a_number_that_restarts_every_day_is_another_order_every_day() -> None:
    """Order 1 of Saturday and order 1 of Sunday would otherwise take each other's place."""
    found = read(
        PLAN, [("2024-06-01 10:00", "1", "Soup", "1", "1"), ("2024-06-02 10:00", "1", "Soup", "1", "1")]
    )
    assert [(sale.sale.order_id, sale.business_date) for sale in found.sales] == [
        ("1@2024-06-01", date(2024, 6, 1)),
        ("1@2024-06-02", date(2024, 6, 2)),
    ]


def test_after_midnight_counts_on_the_day_before() -> None:
    plan = a_plan(COLUMNS, day_cutoff="04:00", timezone="America/Chicago")
    found = read(
        plan, [("2024-07-01 00:16", "1", "Soup", "1", "1"), ("2024-07-01 04:00", "1", "Soup", "1", "1")]
    )
    assert [sale.business_date for sale in found.sales] == [date(2024, 6, 30), date(2024, 7, 1)]
    assert found.lines()[0].occurred_at.isoformat() == "2024-07-01T05:16:00+00:00"


@pytest.mark.parametrize(
    ("ids", "notice"),
    [
        (["9000000000"] * 25, "order_ids_alike"),
        ([str(100 * n) for n in range(100, 130)], "order_ids_rounded"),
        (["9.00000000019805e+17"] * 3 + [str(n) for n in range(30)], "order_ids_broken"),
    ],
)
def test_ids_that_a_spreadsheet_damaged_are_no_keys(ids: list[str], notice: str) -> None:
    """Used as keys they would make one order of many, of which each export says another part."""
    rows = [(f"2024-06-01 10:{n:02}", order, "Soup", "1", "1.00") for n, order in enumerate(ids)]
    found = read(PLAN, rows)
    assert [each.code for each in found.notices] == [notice]
    assert found.totals.all.orders == len(rows)
    assert not any("e+" in sale.sale.order_id or "00@" in sale.sale.order_id for sale in found.sales)


def test_rounded_ids_of_items_are_no_keys_either() -> None:
    """Twenty-one dishes under one id would be one dish."""
    columns = COLUMNS | {Field.ITEM_ID: "id", Field.SKU: "sku"}
    rows = [
        ("2024-06-01", "1", "Mayo", "1", "1", "9.00000000019805e+17", "12E45"),
        ("2024-06-01", "1", "Ranch", "1", "1", 9.00000000019805e17, "A-1"),
        ("2024-06-01", "1", "Soup", "1", "1", "900000000019755902", "9.0E+17"),
    ]
    found = read(a_plan(columns), rows)
    by_name = {line.name: (line.item_id, line.sku) for line in found.lines()}
    assert by_name == {"Mayo": (None, "12E45"), "Ranch": (None, "A-1"), "Soup": ("900000000019755902", None)}
    assert [notice.code for notice in found.notices] == ["item_ids_broken"]


def test_good_ids_are_not_taken_for_damaged_ones() -> None:
    """Then no row would find its order."""
    rows = [(f"2024-06-01 10:{n % 60:02}", str(1_000 + n), "Soup", "1", "1.00") for n in range(300)]
    assert read(PLAN, rows).notices == []
    assert read(PLAN, rows).totals.all.orders == 300
    one_order = [("2024-06-01 10:00", "77", f"Soup {n}", "1", "1.00") for n in range(25)]
    assert read(PLAN, one_order).totals.all.orders == 1


def test_a_day_of_many_rows_is_gathered_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts must cut neither an order nor a pair of equal rows."""
    rows = [(f"2024-06-01 10:{n % 60:02}", str(n % 40), "Soup", "1", "1.00") for n in range(400)]
    whole, whole_by_row = read(PLAN, rows), read(BY_ROW, rows)
    monkeypatch.setattr(sales, "DAY_ROWS", 20)
    assert read(PLAN, rows).ids() == whole.ids()
    assert read(PLAN, rows).totals == whole.totals
    assert read(BY_ROW, rows).ids() == whole_by_row.ids()


def test_good_rows_go_in_and_bad_ones_say_where_they_are_wrong() -> None:
    rows = [
        ("2024-06-01 10:00", "1", "Soup", "1", "5"),
        ("31/06/2024", "1", "Soup", "1", "5"),
        ("2024-06-01 10:00", "1", "Soup", "one", "5"),
        ("2024-06-01 10:00", "1", "Soup", "1", "12%"),
        ("2024-06-01 10:00", "1", "Soup", "1", ""),
        ("2024-06-01 10:00", "1", "Soup", "1", "5", "extra"),
        ("", "", "", "", ""),
        ("Total", "", "", "5", "25"),
    ]
    found = read(PLAN, rows)
    assert [(error.line, error.column, error.value) for error in found.errors] == [
        (3, "at", "31/06/2024"),
        (4, "qty", "one"),
        (5, "net", "12%"),
        (6, "net", ""),
        (7, None, ""),
    ]
    assert found.totals.ignored == 2
    assert found.totals.all.rows == 1


def test_what_became_of_a_line() -> None:
    plan = a_plan(COLUMNS | {Field.GROSS: "gross", Field.EVENT: "event", Field.VOIDED: "void"})
    rows = [
        ("2024-06-01", "1", "Soup", "2", "10", "10", "Payment", "False"),
        ("2024-06-01", "2", "Soup", "1", "0", "5", "", ""),
        ("2024-06-01", "3", "Soup", "1", "5", "5", "Refund", ""),
        ("2024-06-01", "4", "Soup", "-1", "-5", "-5", "", ""),
        ("2024-06-01", "5", "Soup", "-71", "0", "0", "", ""),
        ("2024-06-01", "6", "Soup (Voided)", "1", "0", "0", "", ""),
        ("2024-06-01", "7", "Soup", "1", "8", "8", "", "True"),
        ("2024-06-01", "8", "Soup", "1", "8", "8", "Cancelled", ""),
        ("2024-06-01", "9", "Soup", "0", "0", "0", "", ""),
    ]
    found = read(plan, rows)
    assert [(line.disposition, line.quantity, line.net, line.restock) for line in found.lines()] == [
        (Disposition.SOLD, "2", 1000, None),
        (Disposition.COMPED, "1", 0, None),
        (Disposition.RETURNED, "-1", -500, Restock.UNKNOWN),
        (Disposition.RETURNED, "-1", -500, Restock.UNKNOWN),
        (Disposition.RETURNED, "-71", 0, Restock.NO),
        (Disposition.VOID_UNKNOWN, "1", 0, None),
        (Disposition.VOID_UNKNOWN, "1", 800, None),
        (Disposition.CANCELLED, "1", 800, None),
    ]
    assert {line.name for line in found.lines()} == {"Soup"}
    assert found.sales[-1].sale.state is OrderState.CANCELLED
    assert (found.totals.all.quantity, found.totals.all.net) == (Decimal(-70), 0)
    assert (found.totals.all.left_out_rows, found.totals.all.left_out_net) == (3, 1600)


def test_money_adds_up_in_every_sale() -> None:
    """Lines + adjustments = total less tax, also where the price has the tax in it."""
    columns = COLUMNS | {Field.GROSS: "gross", Field.TAX: "tax", Field.KIND: "kind"}
    rows = [
        ("2024-06-01", "1", "Soup", "1", "9.60", "12.00", "1.60", ""),
        ("2024-06-01", "1", "Card", "1", "20", "20", "0", "Gift Card"),
        ("2024-06-01", "2", "Tea", "-1", "-2.40", "-2.40", "-0.40", ""),
        ("2024-06-01", "3", "Net beside gross", "1", "10.00", "12.00", "2.00", ""),
    ]
    found = read(a_plan(columns, prices_include_tax=True, currency="GBP"), rows)
    for each in found.sales:
        sale = each.sale
        beside = sum(adjustment.amount for adjustment in sale.adjustments)
        assert sum(line.net for line in sale.lines) + beside == sale.totals.total - sale.totals.tax
    assert [(line.gross, line.discount, line.net, line.tax) for line in found.lines()] == [
        (1000, 200, 800, 160),
        (-200, 0, -200, -40),
        (1000, 0, 1000, 200),
    ]
    assert found.totals.all.adjustments == 2000


def test_tax_is_taken_out_by_percent_where_no_column_says_it() -> None:
    plan = a_plan(COLUMNS, prices_include_tax=True, tax_percent="20")
    found = read(
        plan, [("2024-06-01", "1", "Soup", "1", "12.00"), ("2024-06-01", "1", "Soup", "-1", "-12.00")]
    )
    assert sorted((line.net, line.tax) for line in found.lines()) == [(-1000, -200), (1000, 200)]


def test_what_could_point_to_a_person_stays_here() -> None:
    found = read(PLAN, [("2024-06-01", "1", "For ann@example.com +1 555 123 4567", "1", "5")])
    assert found.lines()[0].name == "For"


def test_only_one_location_of_a_file_is_read() -> None:
    plan = a_plan(COLUMNS | {Field.LOCATION: "where"}, only_location="North")
    rows = [("2024-06-01", "1", "Soup", "1", "5", where) for where in ("North", "South", "North ")]
    found = read(plan, rows)
    assert (found.totals.all.rows, found.totals.elsewhere) == (2, 1)


def test_day_first_and_month_first() -> None:
    rows = [("03/08/19 20:25", "1", "Soup", "1", "5")]
    assert read(a_plan(COLUMNS, date_order=DateOrder.DMY), rows).sales[0].business_date == date(2019, 8, 3)
    assert read(a_plan(COLUMNS, date_order=DateOrder.MDY), rows).sales[0].business_date == date(2019, 3, 8)
