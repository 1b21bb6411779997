"""What was found out about a file, each with what it was told from, and what only a person can say."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from suppli_connector_upload.domain.files import Layout
from suppli_connector_upload.domain.outcomes import Notice
from suppli_connector_upload.domain.plan import DateOrder, Field, Shape


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that was found out.

    Attributes:
        about: what: `encoding`, `delimiter`, `sheet`, `header`, `shape`, `date_order`, `decimal_mark`,
            `thousands`, `columns.<field>` or an attribute of `Plan`.
        value: as shown to a person.
        because: what it was told from, a sentence.
    """

    about: str
    value: str
    because: str


class Question(Struct, frozen=True, kw_only=True):
    """One thing that the file cannot say, or not surely: a person confirms it.

    Attributes:
        about: the attribute of `Plan` that the answer sets: `timezone`, `day_cutoff`, `currency`,
            `prices_include_tax`, `location_id`, `date_order`, `decimal_mark`, or `columns.<field>`.
        text: the question, a sentence.
        suggestion: the likely answer, where there is one.
        because: why it is likely, or why it is asked.
        choices: what can be answered, where that is a short list.
    """

    about: str
    text: str
    suggestion: str | None = None
    because: str = ""
    choices: tuple[str, ...] = ()


class Refusal(Struct, frozen=True, kw_only=True):
    """Why a file that was recognised holds no sales; `code` and `reason` as in `FileRefused`."""

    code: str
    reason: str


class Trust(StrEnum):
    """Whether an id column may be used as a key."""

    TRUSTED = "trusted"
    DAMAGED = "damaged"
    ABSENT = "absent"


class Detected(Struct, frozen=True, kw_only=True):
    """A file as it seems to be.

    Attributes:
        columns: which column seems to hold which field; `layout.columns` has all names.
        questions: what a person confirms before the import.
        notices: what a person should know, e.g. that order ids are damaged.
        refusal: set where no plan can make sales of it.
    """

    shape: Shape
    fingerprint: str
    layout: Layout
    columns: dict[Field, str]
    date_order: DateOrder
    decimal_mark: str
    order_ids: Trust
    line_ids: Trust
    findings: tuple[Finding, ...]
    questions: tuple[Question, ...]
    notices: tuple[Notice, ...] = ()
    refusal: Refusal | None = None
