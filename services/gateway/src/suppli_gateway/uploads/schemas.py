"""Files as the public API takes and says them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from suppli_contracts.uploads import Till, Upload

from suppli_gateway.connections.schemas import CONNECTION_ID, DETAILS_EXAMPLE, ConnectionDetails, Id
from suppli_gateway.runs.schemas import REQUESTED_EXAMPLE, RUN_EXAMPLE, RequestedRun

UploadStateName = Literal[
    "looking", "asking", "ready", "refused", "waiting", "importing", "imported", "cancelled", "failed",
    "undoing", "undone", "unknown",
]  # fmt: skip
Answer = Annotated[str, StringConstraints(max_length=500)]

_UPLOAD_ID = "01980a50-3c7f-7c12-9d4e-2f6a8b1c0d3e"
_TOTALS: Any = {
    "rows": 212, "orders": 97, "quantity": "231", "gross": 154350, "discount": 1250, "net": 153100,
    "tax": 15310, "adjustments": 0, "left_out_rows": 2, "left_out_quantity": "2", "left_out_net": 900,
}  # fmt: skip
_TILL: Any = {
    "suppli_location_id": "pike-street",
    "stands_for": CONNECTION_ID,
    "only_compare": False,
    "name": None,
}
_ANSWERS: Any = {
    "timezone": "America/Los_Angeles",
    "day_cutoff": "03:00",
    "currency": "USD",
    "prices_include_tax": "no",
}
_PLAN: Any = {"answers": _ANSWERS, "till": _TILL, "adding": False}
_QUESTION: Any = {
    "about": "timezone",
    "text": "In which time zone was this sold?",
    "suggestion": "America/Los_Angeles",
    "because": "The last file of these columns was.",
    "choices": [],
}
_ERROR: Any = {"line": 118, "column": "Qty", "value": "two", "reason": "is not a number"}
_SALE: Any = {
    "order_id": "1042@2026-03-02",
    "line": 2,
    "business_date": "2026-03-02",
    "currency": "USD",
    "net": 450,
    "lines": [
        {"name": "Latte Large", "quantity": "1", "unit": "each", "net": 450, "tax": 45, "disposition": "sold"}
    ],
}
_DAY: Any = {
    "business_date": "2026-03-02",
    "file": _TOTALS,
    "held": {"orders": 95, "quantity": "228", "net": 151900},
}
UPLOAD_EXAMPLE: Any = {
    "upload_id": _UPLOAD_ID,
    "state": "ready",
    "created_at": "2026-03-09T15:02:11Z",
    "created_by": "ann@corner.example",
    "file_name": "items-2026-03-02.csv",
    "size": 48211,
    "sha256": "6f1c0f2f4d0d6a1f1f7c5b4a6a1c3f0d2b8e7a9c4d5e6f708192a3b4c5d6e7f8",
    "kept_until": "2026-06-07T15:02:11Z",
    "problem": None,
    "shape": "square_items_detail",
    "columns": ["Date", "Time", "Item", "Qty", "Gross Sales"],
    "findings": [{"about": "delimiter", "value": ",", "because": "It is in every line."}],
    "questions": [_QUESTION],
    "notices": [],
    "answers": _ANSWERS,
    "preview": {
        "totals": _TOTALS,
        "currencies": ["USD"],
        "from_date": "2026-03-02",
        "to_date": "2026-03-02",
        "errors": 1,
        "elsewhere": 0,
        "ignored": 0,
        "sales": [_SALE],
        "first_errors": [_ERROR],
    },
    "days": [_DAY],
    "till": _TILL,
    "connection_id": None,
    "adding": False,
    "same_as": None,
    "run_id": None,
    "counts": None,
    "progress": None,
    "finished_at": None,
    "undo_until": None,
}


def _example(value: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [value]})


def _shown(value: Any) -> ConfigDict:
    return ConfigDict(extra="ignore", json_schema_extra={"examples": [value]})


class TillBody(BaseModel):
    """Whose sales a file has."""

    model_config = _example(_TILL)

    suppli_location_id: Id = Field(description="The Suppli location where they were sold.")
    stands_for: UUID | None = Field(
        None,
        description="The connection that carries the same sales: its complete days count, on the others the"
        " newest file. Without one the file is of a till of its own.",
    )
    only_compare: bool = Field(False, description="These sales never count; the day's statement shows them.")
    name: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(
        None, description="Of a till of its own, where a location has several."
    )

    def till(self) -> Till:
        """Return the same as the services say it."""
        return Till(**self.model_dump())


class PlanBody(BaseModel):
    """What a person confirms of a file."""

    model_config = _example(_PLAN)

    answers: dict[Annotated[str, StringConstraints(max_length=100)], Answer] = Field(
        default_factory=dict,
        description="By the questions' `about`; one that is left out keeps its suggestion.",
        max_length=100,
    )
    till: TillBody
    adding: bool = Field(
        False,
        description="Add to days that are held. By default the file takes their place: an order of them that"
        " it has not ends at zero.",
    )


class FindingView(BaseModel):
    """One thing that was found out about a file, and what it was told from."""

    model_config = _shown({"about": "delimiter", "value": ",", "because": "It is in every line."})

    about: str
    value: str
    because: str = ""


class QuestionView(BaseModel):
    """One thing that a person confirms."""

    model_config = _shown(_QUESTION)

    about: str
    text: str
    suggestion: str | None = None
    because: str = ""
    choices: list[str] = []


class NoticeView(BaseModel):
    """Something that a person should know about a file; `code` is stable."""

    model_config = _shown({"code": "order_ids_damaged", "text": "A spreadsheet rounded the order numbers."})

    code: str
    text: str


class UploadProblemView(BaseModel):
    """Why a file cannot be imported; `code` is stable."""

    model_config = _shown({"code": "no_dates", "reason": "No row says when something was sold."})

    code: str
    reason: str


class UploadTotalsView(BaseModel):
    """Sums; money in minor units without tax."""

    model_config = _shown(_TOTALS)

    rows: int = 0
    orders: int = 0
    quantity: str = Field("0", description="Without voided, cancelled and waiting lines; likewise money.")
    gross: int = 0
    discount: int = 0
    net: int = 0
    tax: int = 0
    adjustments: int = Field(0, description="Money of orders that belongs to no line.")
    left_out_rows: int = Field(0, description="Rows of voided, cancelled or waiting lines.")
    left_out_quantity: str = "0"
    left_out_net: int = 0


class HeldView(BaseModel):
    """What is held of a till's day from earlier files."""

    model_config = _shown(_DAY["held"])

    orders: int = 0
    quantity: str = "0"
    net: int = 0


class UploadDayView(BaseModel):
    """A business date: what the file has of it, and what the till holds of it now."""

    model_config = _shown(_DAY)

    business_date: date
    file: UploadTotalsView = UploadTotalsView()
    held: HeldView = HeldView()


class UploadErrorView(BaseModel):
    """A row that is left out."""

    model_config = _shown(_ERROR)

    line: int = Field(description="Where the row begins in the file, as an editor or Excel shows it.")
    column: str | None = Field(None, description="None: the row as a whole.")
    value: str = ""
    reason: str = ""


class UploadLineView(BaseModel):
    """A line of the preview."""

    model_config = _shown(_SALE["lines"][0])

    name: str
    quantity: str
    unit: str
    net: int
    tax: int
    disposition: str


class UploadSaleView(BaseModel):
    """An order of the preview, as it will be understood."""

    model_config = _shown(_SALE)

    order_id: str
    line: int
    business_date: date
    currency: str
    net: int
    lines: list[UploadLineView] = []


class UploadPreviewView(BaseModel):
    """The file as it will be understood by the answers given. Nothing is imported."""

    model_config = _shown(UPLOAD_EXAMPLE["preview"])

    totals: UploadTotalsView
    currencies: list[str] = []
    from_date: date | None = None
    to_date: date | None = None
    errors: int = Field(0, description="Rows that are left out, in all.")
    elsewhere: int = Field(0, description="Rows of other locations than the chosen one.")
    ignored: int = Field(0, description="Rows that are no sales, e.g. blank ones and sums.")
    sales: list[UploadSaleView] = []
    first_errors: list[UploadErrorView] = []


class UploadCountsView(BaseModel):
    """What an import, or taking it back, has done."""

    model_config = _shown({"published": 4, "unchanged": 93, "ended": 1, "set_aside": 0, "row_errors": 1})

    published: int = Field(0, description="Orders that are new or changed.")
    unchanged: int = Field(0, description="Orders that were known as they are.")
    ended: int = Field(0, description="Orders that ended at zero.")
    set_aside: int = 0
    row_errors: int = Field(0, description="Rows that were left out.")


class UploadView(BaseModel):
    """A file that somebody uploaded, and what became of it."""

    model_config = _shown(UPLOAD_EXAMPLE)

    upload_id: UUID
    state: UploadStateName
    created_at: datetime
    created_by: str
    file_name: str
    size: int = Field(description="In bytes.")
    sha256: str
    kept_until: datetime = Field(description="When the file itself is deleted.")
    problem: UploadProblemView | None = None
    shape: str | None = Field(None, description="The export that it was recognised as, or `generic`.")
    columns: list[str] = []
    findings: list[FindingView] = []
    questions: list[QuestionView] = []
    notices: list[NoticeView] = []
    answers: dict[str, str] = {}
    preview: UploadPreviewView | None = None
    days: list[UploadDayView] = []
    till: TillBody | None = None
    connection_id: UUID | None = Field(None, description="The till's connection, where it has one.")
    adding: bool = False
    same_as: UUID | None = Field(None, description="An imported file with the same content.")
    run_id: UUID | None = Field(None, description="The run that imports it or takes it back.")
    counts: UploadCountsView | None = None
    progress: float | None = Field(None, description="0 to 1, while it is imported.")
    finished_at: datetime | None = None
    undo_until: datetime | None = Field(None, description="Until when its import can be taken back.")

    @classmethod
    def of(cls, upload: Upload) -> UploadView:
        """Return what the upload service says as this API says it."""
        return cls.model_validate(msgspec.to_builtins(upload))


class UploadPageView(BaseModel):
    """Files, newest first, without their days and preview."""

    model_config = _shown({"items": [UPLOAD_EXAMPLE], "next_cursor": None})

    items: list[UploadView]
    next_cursor: str | None = None


class ImportView(BaseModel):
    """An import, or taking one back, that waits for its run."""

    model_config = _shown(
        {
            "upload": {**UPLOAD_EXAMPLE, "state": "waiting", "run_id": RUN_EXAMPLE["run_id"]},
            "connection": {**DETAILS_EXAMPLE, "provider": "upload"},
            "run": REQUESTED_EXAMPLE,
        }
    )

    upload: UploadView
    connection: ConnectionDetails
    run: RequestedRun
