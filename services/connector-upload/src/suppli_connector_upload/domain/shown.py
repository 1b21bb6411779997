"""An uploaded file as people are shown it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from uuid import UUID

import msgspec
from suppli_contracts.uploads import (
    HeldTotals,
    Upload,
    UploadCounts,
    UploadDay,
    UploadFinding,
    UploadLine,
    UploadNotice,
    UploadPreview,
    UploadProblem,
    UploadQuestion,
    UploadRowError,
    UploadSale,
    UploadState,
    UploadTotals,
    UploadZone,
)

from suppli_connector_upload.domain.covering import Days
from suppli_connector_upload.domain.looks import Look
from suppli_connector_upload.domain.outcomes import FileSale, RowError, Totals
from suppli_connector_upload.domain.planning import LOCATION
from suppli_connector_upload.domain.records import UploadRecord

_NOTHING = HeldTotals()


def shown(
    upload: UploadRecord,
    *,
    held: Mapping[date, HeldTotals] | None = None,
    same_as: UUID | None = None,
    whole: bool = True,
) -> Upload:
    """Return what a person sees.

    Args:
        held: what the till holds by business date.
        same_as: an imported file with the same bytes.
        whole: with preview and days.
    """
    detected, look = upload.detected, upload.look
    notices = (*(detected.notices if detected else ()), *(look.notices if look else ()))
    return Upload(
        upload_id=upload.upload_id,
        state=upload.state,
        created_at=upload.created_at,
        created_by=upload.created_by,
        file_name=upload.file_name,
        size=upload.size,
        sha256=upload.sha256.hex(),
        kept_until=upload.keep_until,
        problem=None
        if upload.problem is None
        else UploadProblem(code=upload.problem.code, reason=upload.problem.reason),
        shape=None if detected is None else detected.shape.value,
        columns=() if detected is None else detected.layout.columns,
        findings=()
        if detected is None
        else tuple(UploadFinding(**msgspec.structs.asdict(each)) for each in detected.findings),
        questions=_questions(upload),
        notices=tuple({each.code: UploadNotice(code=each.code, text=each.text) for each in notices}.values()),
        answers=upload.answers,
        preview=None if look is None or not whole else _preview(look),
        days=() if look is None or not whole else _days(look, held or {}),
        till=upload.till,
        zone=_zone(upload),
        connection_id=upload.connection_id,
        adding=upload.adding,
        same_as=same_as,
        run_id=upload.run_id,
        counts=None if upload.counts is None else UploadCounts(**msgspec.structs.asdict(upload.counts)),
        progress=_progress(upload),
        finished_at=upload.finished_at,
        undo_until=upload.keep_until if upload.may_be_undone else None,
    )


def _zone(upload: UploadRecord) -> UploadZone | None:
    plan = upload.plan
    if plan is None:
        return None
    return UploadZone(
        location_id=plan.location_id,
        timezone=plan.timezone,
        day_cutoff=plan.day_cutoff,
        currency=plan.currency,
    )


def days_of(look: Look) -> Days | None:
    """Return from when to when a file has sales."""
    return Days(look.days[0][0], look.days[-1][0]) if look.days else None


def _questions(upload: UploadRecord) -> tuple[UploadQuestion, ...]:
    if upload.detected is None:
        return ()
    return tuple(
        UploadQuestion(
            about=each.about,
            text=each.text,
            suggestion=upload.answers.get(each.about, each.suggestion),
            because=each.because,
            choices=each.choices,
        )
        for each in upload.detected.questions
        if each.about != LOCATION
    )


def _progress(upload: UploadRecord) -> float | None:
    if upload.state is not UploadState.IMPORTING or upload.look is None:
        return None
    return min(upload.sales_done / max(1, upload.look.totals.orders), 0.999)


def _preview(look: Look) -> UploadPreview:
    days = days_of(look)
    return UploadPreview(
        totals=_totals(look.totals),
        currencies=look.currencies,
        from_date=days.first if days else None,
        to_date=days.last if days else None,
        errors=look.errors,
        elsewhere=look.elsewhere,
        ignored=look.ignored,
        sales=tuple(_sale(each) for each in look.sales),
        first_errors=tuple(_error(each) for each in look.first_errors),
    )


def _days(look: Look, held: Mapping[date, HeldTotals]) -> tuple[UploadDay, ...]:
    """Return every day that the file has sales of, or that it covers and the till has sales of."""
    in_file = {day: _totals(totals) for day, totals in look.days}
    covered = {day for day in held if any(day in span for span in look.covered)}
    return tuple(
        UploadDay(business_date=day, file=in_file.get(day, UploadTotals()), held=held.get(day, _NOTHING))
        for day in sorted(in_file.keys() | covered)
    )


def _totals(totals: Totals) -> UploadTotals:
    return UploadTotals(
        rows=totals.rows,
        orders=totals.orders,
        quantity=_decimal(totals.quantity),
        gross=totals.gross,
        discount=totals.discount,
        net=totals.net,
        tax=totals.tax,
        adjustments=totals.adjustments,
        left_out_rows=totals.left_out_rows,
        left_out_quantity=_decimal(totals.left_out_quantity),
        left_out_net=totals.left_out_net,
    )


def _decimal(value: object) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _sale(each: FileSale) -> UploadSale:
    sale = each.sale
    return UploadSale(
        order_id=sale.order_id,
        line=each.line,
        business_date=each.business_date,
        currency=sale.currency,
        net=sum(line.net for line in sale.lines) + sum(item.amount for item in sale.adjustments),
        lines=tuple(
            UploadLine(
                name=" ".join(part for part in (line.name, line.variation_name) if part)
                or line.sku
                or line.item_id
                or "",
                quantity=line.quantity,
                unit=line.unit,
                net=line.net,
                tax=line.tax,
                disposition=line.disposition.value,
            )
            for line in sale.lines
        ),
    )


def _error(error: RowError) -> UploadRowError:
    return UploadRowError(line=error.line, column=error.column, value=error.value, reason=error.reason)
