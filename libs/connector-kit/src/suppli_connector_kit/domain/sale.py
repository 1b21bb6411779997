"""What the kit makes sure of in every sale, whichever connector read it."""

from __future__ import annotations

from datetime import date, datetime

from msgspec.structs import replace
from suppli_contracts.events.sales import Adjustment, AdjustmentKind, Modifier, SaleLine

from suppli_connector_kit.domain.business_day import business_date
from suppli_connector_kit.domain.instants import from_us
from suppli_connector_kit.domain.redact import redact_text
from suppli_connector_kit.domain.text import cleaned, cleaned_struct, is_clean
from suppli_connector_kit.protocol import LocationContext, Sale

UNEXPLAINED_ID = "unexplained"


def assured(sale: Sale, location: LocationContext, modified_us: int) -> Sale:
    """Return `sale` with clean and redacted text, and with lines + adjustments = total less tax.

    Args:
        sale: as the connector understood it.
        location: tells the business date of an amount that nothing explains.
        modified_us: the instant of such an amount (microseconds since 1970 UTC) where the order has neither
            line nor adjustment.
    """
    if sale.channel is not None and not is_clean(sale.channel):
        sale = replace(sale, channel=cleaned(sale.channel))
    for line in sale.lines:
        if not is_clean(_texts(line)):
            sale = replace(sale, lines=tuple(_cleaned(each) for each in sale.lines))
            break
    for line in sale.lines:
        if _has_typed_text(line):
            sale = replace(sale, lines=tuple(_redacted(each) for each in sale.lines))
            break
    return _balanced(sale, location, modified_us)


def from_start(sale: Sale, start: date) -> Sale | None:
    """Return what of `sale` counts from the start date on; None = nothing.

    An order from before the start may carry a return from after it: then the earlier lines are left out
    and the totals are less by them.
    """
    dated: tuple[SaleLine | Adjustment, ...] = (*sale.lines, *sale.adjustments)
    for part in dated:
        if part.business_date < start:
            return _later_part(sale, start)
    return sale


def _later_part(sale: Sale, start: date) -> Sale | None:
    lines = tuple(line for line in sale.lines if line.business_date >= start)
    adjustments = tuple(item for item in sale.adjustments if item.business_date >= start)
    if not lines and not adjustments:
        return None
    early = [line for line in sale.lines if line.business_date < start]
    tax = sum(line.tax for line in early)
    money = sum(line.net for line in early) + tax
    money += sum(item.amount for item in sale.adjustments if item.business_date < start)
    totals = replace(
        sale.totals,
        total=sale.totals.total - money,
        tax=sale.totals.tax - tax,
        discount=sale.totals.discount - sum(line.discount for line in early),
    )
    return replace(sale, lines=lines, adjustments=adjustments, totals=totals)


def _balanced(sale: Sale, location: LocationContext, modified_us: int) -> Sale:
    explained = 0
    for line in sale.lines:
        explained += line.net
    for adjustment in sale.adjustments:
        explained += adjustment.amount
    difference = sale.totals.total - sale.totals.tax - explained
    if difference == 0:
        return sale
    at, day = _when(sale, location, from_us(modified_us))
    extra = Adjustment(
        adjustment_id=UNEXPLAINED_ID,
        kind=AdjustmentKind.UNEXPLAINED,
        amount=difference,
        business_date=day,
        occurred_at=at,
    )
    return replace(sale, adjustments=(*sale.adjustments, extra))


def _when(sale: Sale, location: LocationContext, modified_at: datetime) -> tuple[datetime, date]:
    dated = sale.lines[0] if sale.lines else sale.adjustments[0] if sale.adjustments else None
    if dated is None:
        return modified_at, business_date(modified_at, location.zones)
    return dated.occurred_at, dated.business_date


def _texts(line: SaleLine) -> str:
    """Return all of a line's text in one, so that it is looked at once."""
    shown = f"{line.line_id}{line.name}{line.variation_name}{line.unit}{line.variation_id}{line.item_id}"
    if line.modifiers:
        shown += "".join(f"{each.modifier_id}{each.name}{each.external_id}" for each in line.modifiers)
    if line.returns is not None:
        shown += f"{line.returns.order_id}{line.returns.line_id}"
    return f"{shown}{line.category}{line.sku}{line.barcode}{line.reason}"


def _cleaned(line: SaleLine) -> SaleLine:
    modifiers = tuple(cleaned_struct(each) for each in line.modifiers)
    returns = None if line.returns is None else cleaned_struct(line.returns)
    return replace(cleaned_struct(line), modifiers=modifiers, returns=returns)


def _is_custom(line: SaleLine) -> bool:
    return line.variation_id is None and line.item_id is None


def _has_typed_text(line: SaleLine) -> bool:
    if line.variation_id is None and line.item_id is None:
        return True
    for modifier in line.modifiers:  # noqa: SIM110 - a plain loop: this is asked for every line of every order
        if modifier.external_id is None and modifier.name is not None:
            return True
    return False


def _redacted(line: SaleLine) -> SaleLine:
    if not _has_typed_text(line):
        return line
    modifiers = tuple(_nameless(modifier) for modifier in line.modifiers)
    if not _is_custom(line):
        return replace(line, modifiers=modifiers)
    return replace(
        line,
        modifiers=modifiers,
        name=redact_text(line.name),
        variation_name=redact_text(line.variation_name),
        category=redact_text(line.category),
    )


def _nameless(modifier: Modifier) -> Modifier:
    if modifier.external_id is not None or modifier.name is None:
        return modifier
    return replace(modifier, name=None)
