"""What a person is shown before anything is imported, and what they download after it."""

from __future__ import annotations

import csv

from suppli_connector_upload.domain.giving_out import errors_csv, harmless
from suppli_connector_upload.domain.outcomes import RowError
from suppli_connector_upload.domain.plan import Field
from suppli_connector_upload.domain.preview import preview
from suppli_connector_upload.testing.reading import a_plan
from suppli_contracts.events.sales import Disposition

PLAN = a_plan(
    {Field.DATE: "day", Field.ITEM: "item", Field.QUANTITY: "qty", Field.NET: "net"}, currency="EUR"
)


def test_the_preview_shows_rows_as_they_will_be_understood() -> None:
    rows = [
        (2, ["2024-06-01", "Tea (VOID)", "2", "5.50"]),
        (3, ["yesterday", "Tea", "2", "5.50"]),
        (4, None),
        (5, ["", "", "", ""]),
        (6, ["2024-06-01", "Tea", "1", "1"]),
    ]
    shown = preview(rows, PLAN, limit=4)  # type: ignore[arg-type]
    assert [row.line for row in shown] == [2, 3, 4, 5]
    first = shown[0].understood
    assert first is not None
    assert (first.name, first.disposition, first.quantity, first.net, first.currency) == (
        "Tea",
        Disposition.VOID_UNKNOWN,
        "2",
        550,
        "EUR",
    )
    assert shown[0].cells == ("2024-06-01", "Tea (VOID)", "2", "5.50")
    assert shown[1].error == RowError(3, "day", "yesterday", "this is no date")
    assert shown[2].error is not None
    assert (shown[3].understood, shown[3].error) == (None, None)


def test_the_list_of_errors_is_harmless_in_a_spreadsheet() -> None:
    """A cell that a till's customer typed must not run in the owner's Excel."""
    attacks = ['=HYPERLINK("http://x")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =1", "\r=1"]
    errors = [
        RowError(line, "item", value, "this is no number") for line, value in enumerate(attacks, start=2)
    ]
    rows = list(csv.reader(errors_csv(errors)))
    assert rows[0] == ["line", "column", "value", "reason"]
    assert [row[2] for row in rows[1:]] == ["'" + value for value in attacks]
    assert [harmless(text) for text in ("-5.00", "+12", "5", "Tea")] == ["-5.00", "+12", "5", "Tea"]
