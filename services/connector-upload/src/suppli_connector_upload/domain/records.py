"""An uploaded file as it is recorded, and what may be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from suppli_contracts.uploads import Till, UploadState

from suppli_connector_upload.domain.detected import Detected, Refusal
from suppli_connector_upload.domain.looks import Look
from suppli_connector_upload.domain.plan import Plan


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What an import, or taking it back, has done so far, in orders and rows."""

    published: int = 0
    unchanged: int = 0
    ended: int = 0
    set_aside: int = 0
    row_errors: int = 0

    def plus(self, other: Counts) -> Counts:
        """Return both together."""
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class Refused(Exception):
    """What was asked cannot be done with the file as it stands.

    Attributes:
        slug: stable name of the problem; `reason` a sentence for a person.
    """

    def __init__(self, slug: str, reason: str) -> None:
        super().__init__(reason)
        self.slug, self.reason = slug, reason


_SHOWN = {
    "looking": UploadState.LOOKING,
    "asking": UploadState.ASKING,
    "ready": UploadState.READY,
    "refused": UploadState.REFUSED,
    "waiting": UploadState.WAITING,
    "importing": UploadState.IMPORTING,
    "imported": UploadState.IMPORTED,
    "undo_waiting": UploadState.UNDOING,
    "undoing": UploadState.UNDOING,
    "undone": UploadState.UNDONE,
}
_UNDER_WAY = frozenset({"waiting", "importing", "undo_waiting", "undoing"})
_MAY_PLAN = frozenset({UploadState.LOOKING, UploadState.ASKING, UploadState.READY, UploadState.REFUSED})
_MAY_DISCARD = _MAY_PLAN
_MAY_IMPORT = frozenset({UploadState.READY, UploadState.CANCELLED, UploadState.FAILED, UploadState.UNDONE})
_MAY_UNDO = frozenset({UploadState.IMPORTED, UploadState.CANCELLED, UploadState.FAILED})


class UploadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One file.

    Attributes:
        stored_state: as it is stored; `state` is what people see.
        version_us: of its import: every order that it says has this `source_version`; `undo_us` of its undo.
        run_state: of the run that imports it or takes it back.
        sales_done: how many of its sales are recorded.
        reach: how many may have been published, at most, by any try; `ending`: and whether orders that it has
            not may have been ended; `settled`: what a try published is recorded, as far as it matters.
    """

    upload_id: UUID
    tenant_id: UUID
    created_at: datetime
    created_by: str
    file_name: str
    size: int
    sha256: bytes
    chunks: int
    keep_until: datetime
    file_deleted_at: datetime | None
    stored_state: str
    problem: Refusal | None
    look_revision: int
    detected: Detected | None
    answers: dict[str, str]
    plan_bytes: bytes | None
    look: Look | None
    till: Till | None
    connection_id: UUID | None
    adding: bool
    version_us: int | None
    undo_us: int | None
    run_id: UUID | None
    run_state: str | None
    sales_done: int
    counts: Counts | None
    finished_at: datetime | None
    reach: int = 0
    ending: bool = False
    settled: bool = True

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> UploadRecord:
        """Return a row of the table as a value."""
        plain = {
            name: row[name]
            for name in (
                "upload_id", "tenant_id", "created_at", "created_by", "file_name", "size", "chunks",
                "keep_until", "file_deleted_at", "look_revision", "connection_id", "adding", "version_us",
                "undo_us", "run_id", "run_state", "sales_done", "finished_at", "reach", "ending", "settled",
            )
        }  # fmt: skip
        return cls(
            **plain,
            sha256=row["sha256"] or b"",
            stored_state=row["state"],
            problem=_decoded(row["problem"], Refusal),
            detected=_decoded(row["detected"], Detected),
            answers=_decoded(row["answers"], dict[str, str]) or {},
            plan_bytes=row["plan"],
            look=_decoded(row["look"], Look),
            till=_decoded(row["till"], Till),
            counts=_decoded(row["counts"], Counts),
        )

    @property
    def plan(self) -> Plan | None:
        """How it is read, once that is confirmed."""
        plan: Plan | None = _decoded(self.plan_bytes, Plan)
        return plan

    @property
    def state(self) -> UploadState:
        """Where it stands: the end of its run shows before what the run left recorded."""
        if self.stored_state in _UNDER_WAY:
            if self.run_state == "cancelled":
                return UploadState.CANCELLED
            if self.run_state == "failed":
                return UploadState.FAILED
        return _SHOWN.get(self.stored_state, UploadState.UNKNOWN)

    @property
    def may_be_undone(self) -> bool:
        """Whether its import can be taken back."""
        return self.state in _MAY_UNDO and self.version_us is not None and self.file_deleted_at is None

    def check_plan(self) -> None:
        """Raise `Refused` where nobody may say any more how it is read."""
        if self.state not in _MAY_PLAN:
            raise Refused("upload-not-open", "The file is imported or being imported; upload it once more.")

    def check_import(self) -> None:
        """Raise `Refused` where it may not be imported."""
        if self.state in (UploadState.LOOKING, UploadState.ASKING):
            raise Refused("upload-not-ready", "Confirm how the file is read and wait for its totals first.")
        if self.file_deleted_at is not None:
            raise Refused("upload-file-deleted", "The file is no longer kept; upload it once more.")
        if self.state not in _MAY_IMPORT:
            raise Refused("upload-not-open", f"The file is {self.state.value}: it cannot be imported now.")
        if self.look is not None and not self.look.totals.orders:
            raise Refused("upload-without-sales", "The file has no sale that can be imported.")

    def check_undo(self) -> None:
        """Raise `Refused` where its import may not be taken back."""
        if not self.may_be_undone:
            raise Refused("upload-not-undoable", f"The file is {self.state.value}: there is nothing to undo.")

    def check_discard(self) -> None:
        """Raise `Refused` where it may not be forgotten."""
        if self.state not in _MAY_DISCARD:
            raise Refused("upload-not-open", "What a file has brought is kept; undo its import instead.")


def _decoded(stored: bytes | None, kind: Any) -> Any:
    return None if stored is None else msgspec.json.decode(stored, type=kind)
