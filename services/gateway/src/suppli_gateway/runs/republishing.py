"""What may be asked to be published again, checked field by field: pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from suppli_contracts.events.sync import LONGEST_ORDER_ID, MOST_REPUBLISHED, Republish

from suppli_gateway.connections.changes import FieldError

LONGEST_WINDOW = timedelta(days=366)
"""A longer past is asked for piece by piece: each piece can be watched, cancelled and tried again."""


def republish_errors(wanted: Republish, *, now: datetime) -> list[FieldError]:
    """Return everything that is wrong with a wish to republish; an empty list where it can be commanded."""
    errors = _window_errors(wanted, now)
    if not wanted.has_window and not wanted.order_ids:
        errors.append(FieldError("", None, "give `from_at` (and `to_at`), `order_ids`, or both"))
    if len(wanted.order_ids) > MOST_REPUBLISHED:
        count = len(wanted.order_ids)
        reason = f"names {count} orders, at most {MOST_REPUBLISHED} are taken: ask again for the rest"
        errors.append(FieldError("order_ids", None, reason))
    errors += [
        FieldError(
            f"order_ids[{index}]", order_id[:LONGEST_ORDER_ID], f"is not 1 to {LONGEST_ORDER_ID} characters"
        )
        for index, order_id in enumerate(wanted.order_ids)
        if not 1 <= len(order_id) <= LONGEST_ORDER_ID
    ]
    return errors


def _window_errors(wanted: Republish, now: datetime) -> list[FieldError]:
    if not wanted.has_window:
        return []
    if wanted.from_at is None:
        return [FieldError("from_at", None, "is needed with `to_at`: say where the window begins")]
    given = {"from_at": wanted.from_at, "to_at": wanted.to_at}
    naive = [name for name, at in given.items() if at is not None and at.tzinfo is None]
    if naive:
        return [
            FieldError(name, str(given[name]), "has no time zone: write e.g. `2026-03-01T08:00:00Z`")
            for name in naive
        ]
    begin, end = wanted.from_at, wanted.to_at or now
    if begin > now:
        return [FieldError("from_at", begin.isoformat(), "lies in the future")]
    if end <= begin:
        return [FieldError("to_at", end.isoformat(), "is not after `from_at`")]
    if end - begin > LONGEST_WINDOW:
        reason = f"begins more than {LONGEST_WINDOW.days} days before the window's end: ask for it in pieces"
        return [FieldError("from_at", begin.isoformat(), reason)]
    return []
