"""What a shop would lose: a time that becomes a number, a sheet not seen, the service to a bomb."""

from __future__ import annotations

import random
import zipfile
from datetime import date, datetime, time
from pathlib import Path

import pytest
from suppli_connector_upload.domain.detection import detect
from suppli_connector_upload.domain.files import Cell, FileKind, FileRefused, Layout, WorkbookSample
from suppli_connector_upload.domain.plan import Field
from suppli_connector_upload.domain.plans import make_plan
from suppli_connector_upload.reading import Limits, open_rows, take_sample
from suppli_connector_upload.reading.xlsx_parts import Shown, shown_by
from suppli_connector_upload.testing.reading import read
from suppli_connector_upload.testing.workbooks import parts, sheet, written

OLD = Path(__file__).parents[1] / "fixtures" / "sales.xls"


def at(hour: int, minute: int) -> datetime:
    return datetime(2024, 6, 1, hour, minute)  # noqa: DTZ001 - a workbook has no zones


def rows_of(path: Path, header_line: int = 0) -> list[tuple[int, list[Cell] | None]]:
    return list(open_rows(path, Layout(kind=FileKind.XLSX, sheet="Sheet1", header_line=header_line)))


def test_cells_are_read_as_they_are_stored(tmp_path: Path) -> None:
    texts = ("<si><t>Soup</t></si>", "<si><r><t>Two </t></r><r><t>parts</t></r><rPh><t>no</t></rPh></si>")
    cells = (
        '<row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2" t="s"><v>1</v></c><c r="D2"><v>6.5</v></c>'
        '<c r="E2"><v>12</v></c><c r="F2" s="1"><v>45444.456944444442</v></c><c r="G2" s="2"><v>45444</v></c>'
        '<c r="H2" s="3"><v>0.5</v></c><c r="I2" t="str"><f>TEXT(F2,"ddd")</f><v>Sat</v></c>'
        '<c r="J2"><f>1+1</f></c><c r="K2" t="inlineStr"><is><t>Tea_x000D_</t></is></c>'
        '<c r="L2" t="b"><v>1</v></c><c r="M2" t="e"><v>#REF!</v></c><c r="N2"><v>900000004019159011</v></c>'
        "</row>"
        '<row r="4"><c><v>1</v></c><c><v>2</v></c></row><row r="5"><c r="A5" s="1"/></row>'
    )
    path = written(tmp_path / "a.xlsx", parts(sheet(cells), texts=texts))
    values: list[Cell] = ["Soup", "Two parts", "", 6.5, 12, at(10, 58), date(2024, 6, 1), time(12), "Sat", ""]
    values += ["Tea\r", "TRUE", "#REF!", 9.00000004019159e17]
    assert rows_of(path) == [(2, values), (4, [1, 2])]
    assert [line for line, _ in rows_of(path, header_line=2)] == [4]


def test_numbers_that_no_workbook_has_are_read_past(tmp_path: Path) -> None:
    """Python itself refuses to read a number of so many digits."""
    long = "9" * 6_000
    cells = f'<row r="{long}"><c r="A1" s="{long}"><v>1</v></c><c r="B1"><v>{long}</v></c></row>'
    path = written(tmp_path / "a.xlsx", parts(sheet(cells)))
    assert rows_of(path) == [(1, [1, float("inf")])]


def test_days_may_be_counted_from_1904(tmp_path: Path) -> None:
    content = parts(sheet('<row><c s="2"><v>1</v></c></row>'), workbook='<workbookPr date1904="1"/>')
    assert rows_of(written(tmp_path / "a.xlsx", content)) == [(1, [date(1904, 1, 2)])]


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("m/d/yy\\ h:mm;@", Shown.BOTH),
        ("[$-409]d\\-mmm\\-yy", Shown.DATE),
        ("[h]:mm:ss", Shown.TIME),
        ('#,##0.00 "days"', Shown.NUMBER),
        ("[Red]0.00", Shown.NUMBER),
        ("General", Shown.NUMBER),
        ("mmm", Shown.DATE),
        ("yyyy-mm-dd", Shown.DATE),
    ],
)
def test_formats_tell_dates_from_numbers(code: str, shown: Shown) -> None:
    assert shown_by(code) is shown


def test_the_sheet_with_sales_is_found(tmp_path: Path) -> None:
    """Analysts put a pivot table first."""
    pivot = sheet('<row><c t="inlineStr"><is><t>Row Labels</t></is></c></row><row><c><v>5</v></c></row>')
    names = "".join(
        f'<c t="inlineStr"><is><t>{name}</t></is></c>' for name in ("Sold at", "Item", "Net sales")
    )
    body = "".join(
        f'<row><c s="1"><v>45444.{n}</v></c><c t="inlineStr"><is><t>Tea</t></is></c>'
        f"<c><v>{n}.25</v></c></row>"
        for n in range(1, 9)
    )
    path = written(tmp_path / "a.xlsx", parts(pivot, sheet(f"<row>{names}</row>{body}")))
    found = detect(take_sample(path))
    assert (found.layout.sheet, found.layout.header_line) == ("Sheet2", 1)
    answers = {"timezone": "UTC", "currency": "USD", "location_id": "shop"}
    plan = make_plan(found, answers)
    outcome = read(plan, [cells for _, cells in open_rows(path, plan.layout) if cells is not None])
    assert (outcome.totals.all.rows, outcome.totals.all.net) == (8, 3_800)
    assert detect(take_sample(path), {"sheet": "Sheet1"}).layout.sheet == "Sheet1"


def test_an_old_workbook_is_read() -> None:
    sample = take_sample(OLD)
    assert isinstance(sample, WorkbookSample)
    found = detect(sample)
    assert (found.layout.sheet, found.layout.header_line) == ("Sales", 3)
    assert found.columns[Field.DATETIME] == "Sold at"
    rows = list(open_rows(OLD, found.layout))
    values: list[Cell] = [at(13, 30), at(0, 0), time(13, 30), "Café", 1, 2.5, "TRUE", "", 9.00000004019159e17]
    assert rows[0][1] == values
    plan = make_plan(found, {"timezone": "UTC", "currency": "EUR", "location_id": "shop"})
    outcome = read(plan, [cells for _, cells in rows if cells is not None])
    assert (outcome.totals.all.rows, outcome.totals.ignored, outcome.totals.all.net) == (3, 1, 500)


def test_cells_far_apart_take_no_memory(tmp_path: Path) -> None:
    """A library that holds the whole rectangle between them ends the process."""
    cells = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="A1048576"><v>2</v></c></row>'
    assert rows_of(written(tmp_path / "a.xlsx", parts(sheet(cells)))) == [(1, [1]), (1_048_576, [2])]
    with pytest.raises(FileRefused) as refused:
        rows_of(written(tmp_path / "b.xlsx", parts(sheet('<row><c r="XFD1"><v>1</v></c></row>'))))
    assert refused.value.code == "too_wide"


def _code(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(FileRefused) as refused:
        take_sample(path, limits)
    assert refused.value.reason.endswith(".")
    return refused.value.code


def test_what_would_burst_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    zeros = written(tmp_path / "a.xlsx", parts(sheet(" " * (60 << 20))))
    assert zeros.stat().st_size < 1 << 20
    assert _code(zeros) == "bomb"
    small = written(tmp_path / "b.xlsx", parts(sheet("")))
    assert _code(small, Limits(unpacked_bytes=500)) == "bomb"
    assert _code(small, Limits(parts=3)) == "bomb"
    assert _code(small, Limits(workbook_bytes=100)) == "too_large"
    assert _code(small, Limits(shared_text_bytes=10)) == "too_large"


def test_a_part_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.xlsx", parts(sheet("<row><c><v>1</v></c></row>" * 1000)))
    with zipfile.ZipFile(path) as package:
        size = package.getinfo("xl/worksheets/sheet1.xml").file_size
    content = path.read_bytes().replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(content)
    assert _code(path) == "damaged"


@pytest.mark.parametrize(
    "content",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><worksheet><sheetData/></worksheet>',
        "<a>" * 100,
        "<worksheet><sheetData><row>",
        "no xml",
        sheet('<row><c t="s"><v>7</v></c></row>'),
        sheet(f'<row><c t="s"><v>{"7" * 6_000}</v></c></row>'),
        "<worksheet x='" + "".join(random.Random(1).choices("abcdefgh ", k=6 << 20)) + "'/>",
    ],
    ids=["entities", "depth", "cut", "no xml", "no such text", "no such number", "endless"],
)
def test_damaged_and_hostile_xml_is_refused(tmp_path: Path, content: str) -> None:
    assert _code(written(tmp_path / "a.xlsx", parts(content))) == "damaged"


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["xl/workbook.bin"], "xlsb"),
        (["content.xml", "mimetype"], "ods"),
        (["word/document.xml"], "not_a_table"),
        (["a.csv"], "packed"),
    ],
)
def test_what_is_packed_but_no_workbook_says_what_to_do(tmp_path: Path, names: list[str], code: str) -> None:
    assert _code(written(tmp_path / "a.xlsx", dict.fromkeys(names, "x"))) == code


def test_a_password_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(OLD.read_bytes()[:2048] + "EncryptedPackage".encode("utf-16-le"))
    assert _code(path) == "password"
    locked = written(tmp_path / "b.xlsx", parts(sheet("")))
    locked.write_bytes(
        locked.read_bytes().replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")
    )
    assert _code(locked) == "password"


def test_an_old_workbook_that_is_too_large_is_refused() -> None:
    assert _code(OLD, Limits(old_workbook_bytes=1024)) == "too_large"
