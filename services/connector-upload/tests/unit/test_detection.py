"""What a shop would lose: a month read as a day, thousands read as cents, or a question that nobody asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from suppli_connector_upload.domain.detected import Detected, Trust
from suppli_connector_upload.domain.detection import detect
from suppli_connector_upload.domain.files import FileRefused, TextSample
from suppli_connector_upload.domain.plan import DateOrder, Field, Plan, PlanProblem, Shape
from suppli_connector_upload.domain.plans import make_plan, remembered_for
from suppli_connector_upload.reading import open_rows, take_sample

ANSWERS = {"timezone": "Europe/Berlin", "currency": "EUR", "location_id": "shop", "prices_include_tax": "no"}


def seen(text: str, encoding: str = "utf-8", **answers: str) -> Detected:
    content = text.encode(encoding)
    return detect(TextSample(content, (), len(content)), answers)


def asked(found: Detected) -> dict[str, str | None]:
    return {question.about: question.suggestion for question in found.questions}


GERMAN = "Datum;Uhrzeit;Artikel;Menge;Preis;Summe\n" + "".join(
    f"{day:02}.06.2024;12:{day:02};Käse {day % 3};{day % 4 + 1};1.{day:03},50;x\n" for day in range(1, 28)
)


@pytest.mark.parametrize(
    ("encoding", "named"), [("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("cp1252", "cp1252")]
)
def test_a_german_export_is_understood(encoding: str, named: str) -> None:
    found = seen(GERMAN, encoding)
    assert (found.layout.encoding, found.layout.delimiter) == (named, ";")
    assert (found.date_order, found.decimal_mark) == (DateOrder.DMY, ",")
    assert found.columns == {
        Field.DATE: "Datum",
        Field.TIME: "Uhrzeit",
        Field.ITEM: "Artikel",
        Field.QUANTITY: "Menge",
        Field.UNIT_PRICE: "Preis",
    }
    assert ("encoding" in asked(found)) == (encoding == "cp1252")
    assert all(finding.because for finding in found.findings)


def test_utf16_with_tabs_is_read() -> None:
    """Excel's "Unicode text"."""
    found = seen("Date\tItem\tTotal\n2024-06-01\tTea\t1\n", "utf-16")
    assert (found.layout.encoding, found.layout.delimiter) == ("utf-16", "\t")


def test_the_first_line_may_name_the_delimiter() -> None:
    found = seen("sep=;\nDate;Item;Total\n2024-06-01;Tea;1,5\n2024-06-02;Tea;1,5\n")
    assert (found.layout.delimiter, found.layout.header_line) == (";", 2)


@pytest.mark.parametrize(
    ("dates", "order", "sure"),
    [
        (["03/04/24", "13/04/24"], DateOrder.DMY, True),
        (["03/04/24", "03/14/24"], DateOrder.MDY, True),
        (["2024-01-02 10:00:00.5", "3/13/2024"], DateOrder.MDY, True),
        (["01/06/24", "02/06/24", "03/06/24"], DateOrder.DMY, False),
        (["06/01/24", "06/02/24", "06/03/24"], DateOrder.MDY, False),
        (["4 June 2024"], DateOrder.YMD, True),
    ],
)
def test_dates_are_asked_for_where_they_do_not_tell(dates: list[str], order: DateOrder, sure: bool) -> None:
    """A wrong guess would put every sale of the first twelve days into another month."""
    rows = "".join(f'"{day}",Tea,1.50\n' for day in dates for _ in range(5))
    found = seen("Date,Item,Total\n" + rows)
    assert found.date_order is order
    assert ("date_order" not in asked(found)) == sure


@pytest.mark.parametrize(
    ("amounts", "mark", "sure"),
    [
        (["1,234.50"], ".", True),
        (["1.234,50", "2.000"], ",", True),
        (["1.234", "5"], ",", False),
        (["7"], ".", True),
    ],
)
def test_decimal_marks(amounts: list[str], mark: str, sure: bool) -> None:
    found = seen("Date\tItem\tTotal\n" + "".join(f"2024-06-01\tTea\t{amount}\n" for amount in amounts))
    assert found.decimal_mark == mark
    shown = {finding.about: finding.value for finding in found.findings}
    apart = {"1,234.50": "comma", "1.234,50": "point", "1.234": "point"}
    assert (shown["decimal_mark"], shown["thousands"]) == (mark, apart.get(amounts[0], "none"))
    assert ("decimal_mark" not in asked(found)) == sure


@pytest.mark.parametrize(
    ("for_two", "field"), [("3.00", Field.NET), ("1.50", Field.UNIT_PRICE)], ids=["of the line", "of one"]
)
def test_what_a_price_is_of_is_told_by_items_sold_several_at_a_time(for_two: str, field: Field) -> None:
    """Read wrongly, every sale of more than one would be too large or too small."""
    rows = "".join(f"2024-06-01,Tea {n},1,1.50\n2024-06-01,Tea {n},2,{for_two}\n" for n in range(4))
    found = seen("Date,Item,Qty,Price\n" + rows)
    assert found.columns[field] == "Price"
    assert "price" not in asked(found)


def test_what_a_price_is_of_is_asked_where_nothing_tells() -> None:
    found = seen("Date,Item,Qty,Price\n2024-06-01,Tea,2,3.00\n")
    assert asked(found)["price"] == "one"
    assert make_plan(found, ANSWERS | {"price": "line"}).columns[Field.NET] == "Price"


def test_a_total_of_the_order_is_not_taken_for_the_line() -> None:
    rows = "".join(f"2024-06-01,{n},Tea,1,{n}.50,99.00\n" for n in range(1, 9))
    found = seen("Date,Order No,Item,Qty,Unit Price,Total\n" + rows)
    assert found.columns[Field.UNIT_PRICE] == "Unit Price"
    assert Field.NET not in found.columns


def test_the_day_ends_where_it_is_quiet() -> None:
    hours = [20, 21, 22, 23, 0, 1, 2, 2, 3, 9, 10, 11] * 20
    rows = "".join(f"2024-06-01 {hour:02}:30,Tea,1\n" for hour in hours)
    assert asked(seen("Sold at,Item,Total\n" + rows))["day_cutoff"] == "04:00"


def test_ids_that_are_damaged_are_said_before_anything_is_imported() -> None:
    rows = "".join(f"2024-06-01 10:{n:02},{n}00,Tea,1\n" for n in range(30, 59))
    found = seen("Sold at,Order Id,Item,Total\n" + rows)
    assert found.order_ids is Trust.DAMAGED
    assert [notice.code for notice in found.notices] == ["order_ids_rounded"]
    assert not make_plan(found, ANSWERS).use_order_ids


def test_ids_of_items_that_stand_for_many_items_are_not_used() -> None:
    rows = "".join(f"2024-06-01,{n % 3}00000,{n:05},Dish {n},1\n" for n in range(40))
    found = seen("Sold at,Item Id,SKU,Item,Total\n" + rows)
    assert Field.ITEM_ID not in found.columns
    assert found.columns[Field.SKU] == "SKU"
    assert [notice.code for notice in found.notices] == ["item_ids_alike"]


def test_a_file_without_dates_is_refused_with_the_reason() -> None:
    found = seen("Item,Sold,Total\n" + "Tea,5,10.00\nSoup,6,12.00\n")
    assert found.refusal is not None
    assert found.refusal.code == "no_dates"
    with pytest.raises(FileRefused, match="No column holds dates"):
        make_plan(found, ANSWERS)


def test_lines_that_nothing_divides_are_refused() -> None:
    with pytest.raises(FileRefused) as refused:
        seen("just\nsome words\n")
    assert refused.value.code == "one_column"


def test_a_table_below_other_lines_and_doubled_names() -> None:
    text = 'Sales report\n"June 1, 2024"\n\nDate,Name,Name,Total\n2024-06-01,Tea,x,1\n2024-06-02,Tea,y,2\n'
    found = seen(text)
    assert found.layout.header_line == 4
    assert found.layout.columns == ("Date", "Name", "Name (2)", "Total")


def test_a_person_may_say_where_the_table_is() -> None:
    found = seen("2024-06-01;Tea;1,50\n2024-06-02;Tea;1,50\n", header_line="0", delimiter=";")
    assert found.layout.columns == ("Column 1", "Column 2", "Column 3")
    plan = make_plan(found, ANSWERS | {"columns.net": "Column 3", "columns.item": "Column 2"})
    assert plan.columns[Field.DATE] == "Column 1"
    with pytest.raises(PlanProblem, match="no encoding"):
        detect(TextSample(b"a,b\n1,2\n", (), 8), {"encoding": "zip"})


@pytest.mark.parametrize(
    ("answers", "about"),
    [
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"day_cutoff": "4"}, "day_cutoff"),
        ({"currency": "euro"}, "currency"),
        ({"location_id": ""}, "location_id"),
        ({"columns.sku": "Nowhere"}, "columns.sku"),
        ({"columns.nothing": "Total"}, "columns.nothing"),
        ({"columns.item": ""}, "columns.item"),
        ({"prices_include_tax": "perhaps"}, "prices_include_tax"),
        ({"prices_include_tax": "yes"}, "tax_percent"),
        ({"prices_include_tax": "yes", "tax_percent": "-5"}, "tax_percent"),
        ({"only_location": "North"}, "only_location"),
        ({"date_order": "random"}, "date_order"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(answers: dict[str, str], about: str) -> None:
    """Rather than the import failing row by row."""
    found = seen("Date,Item,Total\n2024-06-01,Tea,1\n2024-06-02,Tea,2\n")
    with pytest.raises(PlanProblem) as problem:
        make_plan(found, ANSWERS | answers)
    assert problem.value.about == about


def test_a_plan_is_remembered_for_the_next_file_of_its_shape() -> None:
    """Other sequence of columns, other encoding, header lower down: the answers still hold."""
    first = seen("Date,Item,Total\n2024-06-01,Tea,1\n2024-06-02,Tea,2\n")
    plan = make_plan(first, ANSWERS)
    assert isinstance(plan, Plan)
    later = seen("Report\n\nitem;TOTAL;date\nTea;1;2024-07-01\nTea;2;2024-07-02\n", "cp1252")
    assert later.fingerprint == first.fingerprint
    again = remembered_for(plan, later)
    assert again.columns == {Field.DATE: "date", Field.ITEM: "item", Field.NET: "TOTAL"}
    assert (again.layout, again.timezone) == (later.layout, "Europe/Berlin")
    with pytest.raises(PlanProblem):
        remembered_for(plan, seen("Day,Item,Total\n2024-06-01,Tea,1\n2024-06-02,Tea,2\n"))


def test_the_sample_reaches_to_the_end_of_a_large_file(tmp_path: Path) -> None:
    """The first date that tells day from month may come late."""
    path = tmp_path / "sales.csv"
    with path.open("w") as stream:
        stream.write("Date,Item,Total\n")
        for n in range(120_000):
            stream.write(f"{'03/04/24' if n < 119_000 else '13/04/24'},Tea,{n % 7}.50\n")
    found = detect(take_sample(path))
    assert found.date_order is DateOrder.DMY
    assert "date_order" not in asked(found)
    assert found.shape is Shape.GENERIC
    assert next(iter(open_rows(path, found.layout)))[1] == ["03/04/24", "Tea", "0.50"]
