"""An order's parts and days."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from suppli_contracts.events.sales import (
    Adjustment,
    AdjustmentKind,
    Disposition,
    Modifier,
    OrderState,
    SaleLine,
    SaleRecorded,
    SaleTotals,
)
from suppli_mapping.domain.orders import BadSale, OrderDay, check, days, parts

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)


def a_line(line_id: str = "1", net: int = 100, day: int = 4, **more: object) -> SaleLine:
    values = {
        "line_id": line_id,
        "occurred_at": AT,
        "business_date": date(2026, 5, day),
        "disposition": Disposition.SOLD,
        "quantity": "1",
        "gross": net,
        "discount": 0,
        "net": net,
        "variation_id": "v",
        **more,
    }
    return SaleLine(**values)  # type: ignore[arg-type]


def order(*lines: SaleLine, total: int = 0, **more: object) -> SaleRecorded:
    values = {
        "tenant_id": UUID(int=1),
        "connection_id": UUID(int=2),
        "provider": "square",
        "account_id": "a",
        "location_id": "L",
        "order_id": "O",
        "state": OrderState.COMPLETED,
        "currency": "USD",
        "source_version": 1,
        "observed": 1,
        "content_hash": "h",
        "run_id": UUID(int=3),
        "recorded_at": AT,
        "totals": SaleTotals(total=total),
        "lines": lines,
        **more,
    }
    return SaleRecorded(**values)  # type: ignore[arg-type]


def test_days_add_up_to_the_provider_total() -> None:
    """A difference between lines and the provider's total must stay visible on the sale's day."""
    tip = Adjustment(
        adjustment_id="t", kind=AdjustmentKind.TIP, amount=30, business_date=date(2026, 5, 4), occurred_at=AT
    )
    sale = order(a_line(net=100), a_line("2", net=-40, day=6), total=95, adjustments=(tip,))
    assert days(sale) == [OrderDay(date(2026, 5, 4), 30, 135), OrderDay(date(2026, 5, 6), 0, -40)]


def test_deleted_order_has_nothing() -> None:
    """An order merged away at the provider must not keep its money."""
    sale = order(a_line(), total=100, state=OrderState.DELETED)
    assert list(parts(sale)) == []
    assert days(sale) == []


def test_modifier_is_a_part_without_money_of_its_own() -> None:
    """The money stays with the line; counted twice it would break the day's proof."""
    sale = order(a_line(modifiers=(Modifier(modifier_id="m", external_id="X", quantity="2", gross=50),)))
    line, modifier = [part for part, _, _ in parts(sale)]
    assert (line.part, modifier.part, modifier.quantity, modifier.net) == ("", "m", "2", 0)
    assert line.item_id != modifier.item_id


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ((a_line(), a_line()), "$.lines[1].line_id"),
        ((a_line(quantity="many"),), "$.lines[0].quantity"),
        ((a_line(quantity="1/2"),), "$.lines[0].quantity"),
        ((a_line(net=10**16),), "$.lines[0].net"),
        ((a_line(modifiers=(Modifier(modifier_id=""),)),), "$.lines[0].modifiers"),
    ],
)
def test_contradictions_are_refused_with_their_place(lines: tuple[SaleLine, ...], field: str) -> None:
    """A sale that cannot be kept goes to the dead letters with a reason somebody can act on."""
    with pytest.raises(BadSale) as caught:
        check(order(*lines))
    assert caught.value.field == field
