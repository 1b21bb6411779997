"""What a shop would lose: a tenth of its money, or a day, to the way that a program writes them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suppli_connector_kit.domain.instants import from_us
from suppli_connector_upload.domain.amounts import Amounts, CellProblem, Quantities, Quantity, number
from suppli_connector_upload.domain.detection.header import find_header
from suppli_connector_upload.domain.files import Cell
from suppli_connector_upload.domain.moments import Moments
from suppli_connector_upload.domain.plan import DateOrder
from suppli_connector_upload.domain.texts import Flags, Names, Units, plain_text


@pytest.mark.parametrize(
    ("text", "mark", "value"),
    [
        ("16.95", ".", "16.95"),
        ("$1,234.56", ".", "1234.56"),
        ("-$2.00", ".", "-2.00"),
        ("$-2.00", ".", "-2.00"),
        ("(2.00)", ".", "-2.00"),
        ("2.00-", ".", "-2.00"),
        ("\u22122.00", ".", "-2.00"),
        ("1.234,56 €", ",", "1234.56"),
        ("1 234,56", ",", "1234.56"),
        ("1\u00a0234,56 kr", ",", "1234.56"),
        ("1\u202f234,56", ",", "1234.56"),
        ("CHF 1'234.50", ".", "1234.50"),
        ("1,00,000.50", ".", "100000.50"),
        (".5", ".", "0.5"),
        ("$.50", ".", "0.50"),
        ("1E-05", ".", "0.00001"),
        ("USD 5", ".", "5"),
        ("5.", ".", "5"),
    ],
)
def test_numbers_as_people_write_them(text: str, mark: str, value: str) -> None:
    assert number(text, mark) == Decimal(value)


@pytest.mark.parametrize("text", ["", " ", "-", "–", "NA", "n/a", "NULL", "None"])
def test_nothing_is_nothing(text: str) -> None:
    assert number(text, ".") is None


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("12%", "."),
        ("1,23", "."),
        ("1.234.5", ","),
        ("1,2,3", "."),
        ("12 34", "."),
        ("Table 5", "."),
        ("5 pcs", "."),
        ("(5", "."),
        ("1" * 30, "."),
        ("=5", "."),
    ],
)
def test_what_is_no_number_is_said_to_be_none(text: str, mark: str) -> None:
    """Never guessed: "1,23" read with the wrong mark would be 123."""
    with pytest.raises(CellProblem):
        number(text, mark)


def test_a_cell_that_is_made_to_be_slow_is_no_number_and_no_date() -> None:
    """One such cell would hold the import for hours: the patterns try every way to divide it."""
    for text in ("1" + " " * 100_000 + "x", "1" * 100_000 + "x", "1," * 50_000, "1/1/1 " + "1:11" * 30_000):
        with pytest.raises(CellProblem):
            number(text, ".")
        with pytest.raises(CellProblem):
            moment(text)
        assert find_header([(1, ["Item", text]), (2, ["Tea", "5"])]).line in (0, 1)


def test_quantities_are_said_without_the_noise_of_floats() -> None:
    assert Quantities(".")[0.1 + 0.2] == Quantity(Decimal("0.300000000"), "0.3")
    assert Quantities(".")["1e-300"].text == "0"  # type: ignore[union-attr]


@given(minor=st.integers(-(10**11), 10**11), mark=st.sampled_from([".", ","]), grouped=st.booleans())
def test_money_comes_back_as_it_was_written(minor: int, mark: str, grouped: bool) -> None:
    text = f"{minor / 100:,.2f}" if grouped else f"{minor / 100:.2f}"
    if mark == ",":
        text = text.translate(str.maketrans(",.", ".,"))
    assert Amounts(mark, "EUR")[text] == minor


@pytest.mark.parametrize(("currency", "minor"), [("JPY", 1_235), ("USD", 123_457), ("KWD", 1_234_568)])
def test_minor_units_are_those_of_the_currency(currency: str, minor: int) -> None:
    assert Amounts(".", currency)["1,234.5675"] == minor
    assert Amounts(".", currency)[1234.5675] == minor


def test_a_price_is_rounded_once_for_the_line() -> None:
    """A cent lost at each piece of a hundred is a dollar."""
    quantity = Quantities(".")["100"]
    assert quantity == Quantity(Decimal(100), "100")
    assert Amounts(".", "USD").times("0.333", quantity) == 3_330


@pytest.mark.parametrize("cell", [float("inf"), float("nan"), 1e300])
def test_figures_beyond_all_shops_are_refused(cell: float) -> None:
    with pytest.raises(CellProblem):
        Amounts(".", "USD")[cell]
    with pytest.raises(CellProblem):
        Quantities(".")[cell]


def moment(
    cell: Cell, order: DateOrder = DateOrder.MDY, zone: str = "UTC", cutoff: str = "00:00"
) -> tuple[str, str]:
    found = Moments(order, ZoneInfo(zone), cutoff)[cell]
    return from_us(found.at_us).isoformat(), date.fromordinal(found.day).isoformat()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("4/10/24 4:27 PM", "2024-04-10T16:27:00"),
        ("4/10/2024 12:05 am", "2024-04-10T00:05:00"),
        ("2024-04-10 16:27:01", "2024-04-10T16:27:01"),
        ("2024-04-10T16:27:01.5", "2024-04-10T16:27:01.500000"),
        ("2024-04-10T16:27:01Z", "2024-04-10T16:27:01"),
        ("2024-04-10 16:27:01 +0500", "2024-04-10T11:27:01"),
        ("2024-04-10 16:27 UTC-04:00", "2024-04-10T20:27:00"),
        ("Apr 10, 2024 4:27 PM", "2024-04-10T16:27:00"),
        ("Wed, 10 April 2024 at 16:27", "2024-04-10T16:27:00"),
        ("10-Apr-24 16.27", "2024-04-10T16:27:00"),
        ("20240410 16:27", "2024-04-10T16:27:00"),
        ("4/10/24 4 PM", "2024-04-10T16:00:00"),
    ],
)
def test_dates_and_times_as_programs_write_them(text: str, at: str) -> None:
    assert moment(text) == (f"{at}+00:00", "2024-04-10")


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "soon",
        "31/31/2024",
        "2024-02-30",
        "4/10/24 25:00",
        "4/10/24 13:00 PM",
        "1/1/1889",
        "12",
        45444.5,
        17,
    ],
)
def test_what_is_no_date_is_said_to_be_none(cell: Cell) -> None:
    with pytest.raises(CellProblem):
        moment(cell)


def test_days_begin_at_the_cut_off_on_the_shops_own_clock() -> None:
    """Also on the night when the clocks change: the shop looks at its wall."""
    assert moment("2024-11-03 03:59", zone="America/New_York", cutoff="04:00")[1] == "2024-11-02"
    assert moment("2024-11-03 04:00", zone="America/New_York", cutoff="04:00")[1] == "2024-11-03"
    assert moment("2024-11-03 01:30", zone="America/New_York") == ("2024-11-03T05:30:00+00:00", "2024-11-03")
    assert moment("2024-03-10 02:30", zone="America/New_York") == ("2024-03-10T07:30:00+00:00", "2024-03-10")
    assert moment("2024-06-01", cutoff="04:00") == ("2024-06-01T04:00:00+00:00", "2024-06-01")


def test_a_date_and_a_time_in_two_columns() -> None:
    moments = Moments(DateOrder.DMY, ZoneInfo("UTC"), "00:00")
    midnight = datetime(2024, 6, 1)  # noqa: DTZ001 - a workbook has no zones
    pairs: list[tuple[Cell, Cell]] = [
        ("01/06/2024", "10:15 PM"),
        (date(2024, 6, 1), time(22, 15)),
        (midnight, 22.25 / 24),
        (midnight, "22:15"),
    ]
    at = datetime(2024, 6, 1, 22, 15, tzinfo=UTC)
    assert {from_us(moments.joined(day, wall).at_us) for day, wall in pairs} == {at}
    old = Moments(DateOrder.DMY, ZoneInfo("UTC"), "04:00")
    assert date.fromordinal(old.joined(midnight, "").day) == date(2024, 6, 1)


def test_texts_of_cells() -> None:
    assert [plain_text(cell) for cell in (" a\t", 12.0, 0.1, 7, 9.0e17, date(2024, 6, 1), "a\0b")] == [
        "a",
        "12",
        "0.1",
        "7",
        "9e+17",
        "2024-06-01",
        "a\ufffdb",
    ]
    assert Units()["ea"] == Units()[""] == "each"
    assert Units()["lb"] == "lb"
    assert [Flags()[cell] for cell in ("True", "FALSE", "yes", "", 1, 0)] == [
        True,
        False,
        True,
        False,
        True,
        False,
    ]


def test_names_keep_their_case_and_lose_what_tills_append() -> None:
    names = Names(typed=False)
    assert names[" ALOO GOBI (vegan) (Voided)"] == ("ALOO GOBI (vegan)", True, False)
    assert names["Custom Amount"] == ("Custom Amount", False, True)
    assert names["NA"].text is None
    assert names["Call 555 123 4567"].text == "Call 555 123 4567"
    assert Names(typed=True)["Call 555 123 4567"].text == "Call"
