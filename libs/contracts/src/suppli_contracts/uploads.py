"""What the gateway asks the upload service over `/internal/v1/uploads`, and what it answers."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import msgspec

from suppli_contracts.events.base import Instant, OpenEnum, Part


class UploadState(OpenEnum):
    """Where a file stands.

    `looking`: it is being read for its layout or its totals. `asking`: a person has to say what the file
    cannot. `ready`: it may be imported. `refused`: no sales can be made of it; `problem` says why. `waiting`,
    `importing`, `imported`, `cancelled`, `failed`: of its import. `undoing`, `undone`: of taking that back.
    """

    LOOKING = "looking"
    ASKING = "asking"
    READY = "ready"
    REFUSED = "refused"
    WAITING = "waiting"
    IMPORTING = "importing"
    IMPORTED = "imported"
    CANCELLED = "cancelled"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"
    UNKNOWN = "unknown"


class UploadFinding(Part, frozen=True, kw_only=True):
    """One thing that was found out about a file, and what it was told from."""

    about: str
    value: str
    because: str = ""


class UploadQuestion(Part, frozen=True, kw_only=True):
    """One thing that a person confirms.

    Attributes:
        about: the name of the answer, e.g. `timezone`, `currency` or `columns.quantity`.
        suggestion: the likely answer: remembered from the last file of the same columns, or told by the file.
        choices: all possible answers, where they are few.
    """

    about: str
    text: str
    suggestion: str | None = None
    because: str = ""
    choices: tuple[str, ...] = ()


class UploadNotice(Part, frozen=True, kw_only=True):
    """Something that a person should know about a file; `code` is stable."""

    code: str
    text: str


class UploadProblem(Part, frozen=True, kw_only=True):
    """Why a file cannot be imported; `code` is stable."""

    code: str
    reason: str


class UploadTotals(Part, frozen=True, kw_only=True):
    """Sums of a file or of one of its days. Money in minor units without tax, quantities as decimals.

    Attributes:
        quantity: without voided, cancelled and waiting lines; likewise money.
        adjustments: money of orders that belongs to no line.
        left_out_rows: rows of voided, cancelled or waiting lines, with their quantity and net.
    """

    rows: int = 0
    orders: int = 0
    quantity: str = "0"
    gross: int = 0
    discount: int = 0
    net: int = 0
    tax: int = 0
    adjustments: int = 0
    left_out_rows: int = 0
    left_out_quantity: str = "0"
    left_out_net: int = 0


class HeldTotals(Part, frozen=True, kw_only=True):
    """What is held of a till's day from earlier files."""

    orders: int = 0
    quantity: str = "0"
    net: int = 0


class UploadDay(Part, frozen=True, kw_only=True):
    """A business date: what the file has of it, and what the till holds of it now."""

    business_date: date
    file: UploadTotals = UploadTotals()
    held: HeldTotals = HeldTotals()


class UploadRowError(Part, frozen=True, kw_only=True):
    """A row that is left out; `column` is None where it is the row as a whole."""

    line: int
    column: str | None
    value: str
    reason: str


class UploadLine(Part, frozen=True, kw_only=True):
    """A line of the preview, as it will be understood."""

    name: str
    quantity: str
    unit: str
    net: int
    tax: int
    disposition: str


class UploadSale(Part, frozen=True, kw_only=True):
    """An order of the preview, as it will be understood; `line` is where it begins in the file."""

    order_id: str
    line: int
    business_date: date
    currency: str
    net: int
    lines: tuple[UploadLine, ...]


class UploadPreview(Part, frozen=True, kw_only=True):
    """The file as it will be understood by the answers given; nothing is imported.

    Attributes:
        errors: rows left out, in all; `first_errors` are the first of them.
        elsewhere: rows of other locations than the chosen one.
        ignored: rows that are no sales, e.g. blank ones and sums.
    """

    totals: UploadTotals
    currencies: tuple[str, ...] = ()
    from_date: date | None = None
    to_date: date | None = None
    errors: int = 0
    elsewhere: int = 0
    ignored: int = 0
    sales: tuple[UploadSale, ...] = ()
    first_errors: tuple[UploadRowError, ...] = ()


class Till(Part, frozen=True, kw_only=True):
    """What a file's sales are, as the person says who uploads it: kept with the file, the gateway's to read.

    Attributes:
        suppli_location_id: where they were sold.
        stands_for: the connection that carries the same sales; None = a till of its own.
        only_compare: they never count.
        name: of a till of its own, where a location has several.
    """

    suppli_location_id: str
    stands_for: UUID | None = None
    only_compare: bool = False
    name: str | None = None


class UploadZone(Part, frozen=True, kw_only=True):
    """How the days of a file's sales are told; `location_id` is the external location of all of them."""

    location_id: str
    timezone: str
    day_cutoff: str
    currency: str


class UploadCounts(Part, frozen=True, kw_only=True):
    """What an import has done: orders published, found unchanged, ended at zero, and rows left out."""

    published: int = 0
    unchanged: int = 0
    ended: int = 0
    set_aside: int = 0
    row_errors: int = 0


class Upload(Part, frozen=True, kw_only=True):
    """A file that somebody uploaded, and what became of it.

    Attributes:
        shape: the export that it was recognised as, or `generic`.
        columns: the file's columns.
        answers: what was confirmed or is suggested, by the questions' names; what is imported follows them.
        preview: once its answers are complete.
        days: of the preview, against what the till holds.
        till: whose sales they are; `zone` how their days are told, once that is confirmed.
        connection_id: the till's connection, where it has one already.
        adding: its orders are added to days that are held, instead of taking their place.
        same_as: an earlier file with the same content that is imported.
        run_id: the run that imports it or takes it back.
        undo_until: until when its import can be taken back; None = it cannot be.
        kept_until: when the file itself is deleted.
    """

    upload_id: UUID
    state: UploadState
    created_at: Instant
    created_by: str
    file_name: str
    size: int
    sha256: str
    kept_until: Instant
    problem: UploadProblem | None = None
    shape: str | None = None
    columns: tuple[str, ...] = ()
    findings: tuple[UploadFinding, ...] = ()
    questions: tuple[UploadQuestion, ...] = ()
    notices: tuple[UploadNotice, ...] = ()
    answers: dict[str, str] = msgspec.field(default_factory=dict)
    preview: UploadPreview | None = None
    days: tuple[UploadDay, ...] = ()
    till: Till | None = None
    zone: UploadZone | None = None
    connection_id: UUID | None = None
    adding: bool = False
    same_as: UUID | None = None
    run_id: UUID | None = None
    counts: UploadCounts | None = None
    progress: float | None = None
    finished_at: Instant | None = None
    undo_until: Instant | None = None


class UploadPage(Part, frozen=True, kw_only=True):
    """Files, newest first, without their days and preview."""

    uploads: tuple[Upload, ...]


class UploadPlan(Part, frozen=True, kw_only=True):
    """What a person confirmed of a file.

    Attributes:
        answers: by the questions' names; one that is left out keeps its suggestion.
        connection_id: the till that it goes to, where that has a connection.
        adding: add to days that are held, instead of replacing them.
    """

    answers: dict[str, str] = msgspec.field(default_factory=dict)
    till: Till | None = None
    connection_id: UUID | None = None
    adding: bool = False


class UploadImport(Part, frozen=True, kw_only=True):
    """Import a file for a till; the run that follows does it."""

    connection_id: UUID


class UploadRun(Part, frozen=True, kw_only=True):
    """The run that will do it: cancelled, so is the import."""

    run_id: UUID
