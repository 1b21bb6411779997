"""Making plans: from what was found out and answered, or from the plan of an earlier file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec.structs import replace

from suppli_connector_upload.domain.detected import Detected, Trust
from suppli_connector_upload.domain.detection.names import compared
from suppli_connector_upload.domain.files import FileKind, FileRefused, Layout
from suppli_connector_upload.domain.plan import ENCODINGS, DateOrder, Field, Plan, PlanProblem, is_delimiter

_CUTOFF = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
_CURRENCY = re.compile(r"[A-Z]{3}")
_YES = {"yes": True, "true": True, "no": False, "false": False}
_COLUMN = "columns."
_PARTS = (
    ("columns.datetime", (Field.DATETIME, Field.DATE, Field.BUSINESS_DATE), "a date"),
    ("columns.item", (Field.ITEM, Field.SKU, Field.ITEM_ID), "what was sold"),
    ("columns.net", (Field.NET, Field.GROSS, Field.UNIT_PRICE), "an amount"),
)


def make_plan(detected: Detected, answers: Mapping[str, str]) -> Plan:
    """Return the plan for a file. A question without an answer is answered by its suggestion.

    Args:
        answers: by `Question.about`; also `columns.<field>` of any field (blank: no column), `tax_percent`,
            `use_order_ids` and `use_line_ids`. What `detect` takes is left aside.

    Raises:
        FileRefused: no plan makes sales of the file.
        PlanProblem: an answer is missing or wrong.
    """
    if detected.refusal is not None:
        raise FileRefused(detected.refusal.code, detected.refusal.reason)
    given = {question.about: question.suggestion for question in detected.questions}
    for question in detected.questions:
        if question.suggestion is None and not answers.get(question.about):
            raise PlanProblem(question.about, f"This must be answered: {question.text}")
    given |= answers
    try:
        plan = Plan(
            shape=detected.shape,
            fingerprint=detected.fingerprint,
            layout=detected.layout,
            columns=_columns(detected.columns, given),
            timezone=given["timezone"] or "",
            currency=given["currency"] or "",
            location_id=given["location_id"] or "",
            day_cutoff=given.get("day_cutoff") or "00:00",
            date_order=DateOrder(given.get("date_order") or detected.date_order),
            decimal_mark=given.get("decimal_mark") or detected.decimal_mark,
            prices_include_tax=_flag(given, "prices_include_tax", default=False),
            tax_percent=given.get("tax_percent") or None,
            only_location=given.get("only_location") or None,
            use_order_ids=_flag(given, "use_order_ids", default=detected.order_ids is Trust.TRUSTED),
            use_line_ids=_flag(given, "use_line_ids", default=detected.line_ids is Trust.TRUSTED),
        )
    except ValueError as problem:
        raise PlanProblem("date_order", str(problem)) from None
    check(plan)
    return plan


def _flag(given: Mapping[str, str | None], about: str, *, default: bool) -> bool:
    text = given.get(about)
    if not text:
        return default
    if text.lower() not in _YES:
        raise PlanProblem(about, "The answer is yes or no.")
    return _YES[text.lower()]


def _columns(found: Mapping[Field, str], given: Mapping[str, str | None]) -> dict[Field, str]:
    columns = dict(found)
    price = given.get("price")
    if price in ("one", "line"):
        name = columns.pop(Field.UNIT_PRICE, None) or columns.pop(Field.NET, None)
        if name is not None:
            columns[Field.UNIT_PRICE if price == "one" else Field.NET] = name
    for about, name in given.items():
        if not about.startswith(_COLUMN):
            continue
        try:
            field = Field(about.removeprefix(_COLUMN))
        except ValueError:
            raise PlanProblem(about, "There is no such field.") from None
        if name:
            columns[field] = name
        else:
            columns.pop(field, None)
    return columns


def remembered_for(plan: Plan, detected: Detected) -> Plan:
    """Return the plan of an earlier file for a new one with the same columns, which may stand elsewhere.

    Raises:
        PlanProblem: the new file's columns are others.
    """
    names = {compared(name): name for name in detected.layout.columns}
    try:
        columns = {field: names[compared(name)] for field, name in plan.columns.items()}
    except KeyError:
        raise PlanProblem("columns", "The columns are not those of the earlier file.") from None
    return replace(plan, layout=detected.layout, columns=columns, fingerprint=detected.fingerprint)


def check(plan: Plan) -> None:
    """Make sure that a plan can be carried out.

    Raises:
        PlanProblem: it cannot.
    """
    _check_layout(plan.layout)
    for field, name in plan.columns.items():
        if name not in plan.layout.columns:
            raise PlanProblem(f"{_COLUMN}{field}", f"The file has no column `{name}`.")
    for about, fields, what in _PARTS:
        if not any(field in plan.columns for field in fields):
            raise PlanProblem(about, f"No column says {what}.")
    try:
        ZoneInfo(plan.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PlanProblem("timezone", f"`{plan.timezone}` is not the name of a time zone.") from None
    if _CUTOFF.fullmatch(plan.day_cutoff) is None:
        raise PlanProblem("day_cutoff", "The day's cut-off is a time of 24 hours such as 04:00.")
    if _CURRENCY.fullmatch(plan.currency) is None:
        raise PlanProblem("currency", "A currency is three capital letters (ISO 4217), such as USD.")
    if not plan.location_id:
        raise PlanProblem("location_id", "Say at which location the sales count.")
    if plan.decimal_mark not in (".", ","):
        raise PlanProblem("decimal_mark", "The decimal mark is a point or a comma.")
    if plan.only_location is not None and Field.LOCATION not in plan.columns:
        raise PlanProblem("only_location", "No column says the location.")
    _check_tax(plan)


def _check_layout(layout: Layout) -> None:
    if layout.header_line < 0:
        raise PlanProblem("header_line", "Lines are counted from 1; 0 means that there is no header.")
    if layout.kind is FileKind.TEXT:
        if layout.encoding not in ENCODINGS:
            raise PlanProblem("encoding", f"`{layout.encoding}` is no encoding that is read here.")
        if not is_delimiter(layout.delimiter):
            raise PlanProblem("delimiter", "A delimiter is one character, and no quote or line break.")


def _check_tax(plan: Plan) -> None:
    if plan.tax_percent is not None:
        try:
            percent = Decimal(plan.tax_percent)
        except InvalidOperation:
            percent = Decimal(-1)
        if not 0 <= percent <= 100:
            raise PlanProblem("tax_percent", "The percentage is a number from 0 to 100.")
    elif plan.prices_include_tax and Field.TAX not in plan.columns:
        raise PlanProblem(
            "tax_percent", "Prices include tax, and no column says how much: say the percentage, 0 for none."
        )
