"""What is suggested to a person, and what an upload's state lets them do."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from suppli_connector_upload.domain.detection import detect
from suppli_connector_upload.domain.files import TextSample
from suppli_connector_upload.domain.planning import plan_of, reads_elsewhere, suggested
from suppli_connector_upload.domain.records import Refused, UploadRecord
from suppli_contracts.uploads import UploadState

FILE = b"order_id,datetime,item,quantity,net\n1,2026-03-02 12:00:00,Latte,1,4.50\n"
NOW = datetime(2026, 3, 9, tzinfo=UTC)


def record(state: str, **changes: object) -> UploadRecord:
    """Return a file that stands so."""
    values = {
        "upload_id": uuid4(),
        "tenant_id": uuid4(),
        "created_at": NOW,
        "created_by": "ann",
        "file_name": "sales.csv",
        "size": 1,
        "sha256": b"",
        "chunks": 1,
        "keep_until": NOW,
        "file_deleted_at": None,
        "stored_state": state,
        "problem": None,
        "look_revision": 1,
        "detected": None,
        "answers": {},
        "plan_bytes": None,
        "look": None,
        "till": None,
        "connection_id": uuid4(),
        "adding": False,
        "version_us": 1,
        "undo_us": None,
        "run_id": None,
        "run_state": None,
        "sales_done": 0,
        "counts": None,
        "finished_at": None,
    }
    return UploadRecord(**(values | changes))  # type: ignore[arg-type]


def test_what_was_answered_before_goes_before_what_the_file_tells_and_only_where_it_can_be() -> None:
    """A remembered column that the file has not, or an answer that is none, would make every upload fail."""
    detected = detect(TextSample(FILE, (), len(FILE)))
    answers = suggested(
        detected,
        {
            "timezone": "Europe/Vienna",
            "prices_include_tax": "maybe",
            "columns.sku": "Article",
            "columns.item": "item",
            "delimiter": ";",
            "location_id": "elsewhere",
        },
    )
    assert answers["timezone"] == "Europe/Vienna"
    assert answers["columns.item"] == "item"
    assert not {"columns.sku", "delimiter", "location_id"} & answers.keys()
    assert answers.get("prices_include_tax") != "maybe"
    plan = plan_of(detected, answers | {"currency": "EUR", "prices_include_tax": "no"})
    assert (plan.timezone, plan.location_id) == ("Europe/Vienna", "till")


def test_only_answers_about_where_the_table_is_have_a_file_looked_at_anew() -> None:
    """Else a person would confirm the columns of another sheet."""
    assert reads_elsewhere({}, {"sheet": "Sales"})
    assert not reads_elsewhere({"sheet": "Sales"}, {"sheet": "Sales", "currency": "EUR"})


@pytest.mark.parametrize(
    ("stored", "run", "shown"),
    [
        ("waiting", None, UploadState.WAITING),
        ("waiting", "cancelled", UploadState.CANCELLED),
        ("importing", "running", UploadState.IMPORTING),
        ("importing", "cancelled", UploadState.CANCELLED),
        ("undoing", "failed", UploadState.FAILED),
        ("imported", "cancelled", UploadState.IMPORTED),
        ("undone", "succeeded", UploadState.UNDONE),
    ],
)
def test_the_end_of_its_run_shows_before_what_the_run_left(
    stored: str, run: str | None, shown: UploadState
) -> None:
    """A cancelled import that still shows as importing can neither be repeated nor undone."""
    assert record(stored, run_state=run).state is shown


@pytest.mark.parametrize("state", ["looking", "asking", "refused", "imported", "undoing"])
def test_only_a_file_that_was_shown_is_imported(state: str) -> None:
    """Nothing may count that nobody saw."""
    with pytest.raises(Refused):
        record(state).check_import()


def test_a_file_that_is_not_kept_is_neither_imported_nor_undone() -> None:
    """What cannot be read again must be refused in words, not fail in the middle."""
    record("undone").check_import()
    record("imported").check_undo()
    with pytest.raises(Refused):
        record("undone", file_deleted_at=NOW).check_import()
    with pytest.raises(Refused):
        record("imported", file_deleted_at=NOW).check_undo()
    with pytest.raises(Refused):
        record("imported").check_discard()
