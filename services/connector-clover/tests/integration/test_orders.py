"""Orders over HTTP: every one that Clover holds, whatever changes meanwhile, and what it silently cuts."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from suppli_connector_clover.connector import CloverConnector
from suppli_connector_clover.domain.models import Order
from suppli_connector_kit.errors import AuthError, ProviderUnavailable, RateLimited
from suppli_connector_kit.protocol import LocationContext, OrderRef, Sale, Window, Zone
from suppli_contracts.events.sales import Disposition, OrderState
from suppli_sandbox.clover.client import (
    CloverControl,
    CloverGenerateSpec,
    CloverMerchantSettings,
    FaultSpec,
)

from .conftest import MERCHANT, PAGE, HeldSession

SHARED = Path(os.environ.get("SUPPLI_SHARED_DATA", Path(__file__).parents[5] / "shared" / "data"))
EXPORT = SHARED / "pos_exports" / "square_items_detail_us_2023-11.csv"
PLACE = LocationContext(MERCHANT, "USD", (Zone("America/New_York", "00:00"),))


def now(control: CloverControl) -> datetime:
    return datetime.fromisoformat(control.clock().now).astimezone(UTC)


async def walk(connector: CloverConnector, session: HeldSession, window: Window) -> list[OrderRef[Order]]:
    """Return what a walk shows, and hold it to what the engine relies on: pages go up, one is the last."""
    seen: list[OrderRef[Order]] = []
    lasts, before = [], 0
    async for page in connector.orders(session, [MERCHANT], window):
        instants = [order.modified_us for order in page.orders]
        assert instants == sorted(instants)
        if instants:
            assert instants[0] >= before, "a page goes back behind the one before"
            before = instants[-1]
        seen += page.orders
        lasts.append(page.last)
    assert lasts == [False] * (len(lasts) - 1) + [True]
    return seen


async def read(connector: CloverConnector, session: HeldSession, control: CloverControl) -> dict[str, Sale]:
    window = Window(now(control) - timedelta(days=4000), now(control) + timedelta(minutes=1))
    found = {}
    for order in await walk(connector, session, window):
        assert order.raw is not None, order.problem
        found[order.order_id] = connector.normalise(order.raw, PLACE)
    return found


def truth(control: CloverControl) -> dict[str, dict[str, Any]]:
    return {order["id"]: order for order in control.orders(MERCHANT)}


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, 10 * PAGE])
async def test_every_order_is_read(
    count: int, control: CloverControl, connector: CloverConnector, session: HeldSession
) -> None:
    if count:
        control.generate_orders(MERCHANT, CloverGenerateSpec(count=count, seed=count))
    assert (await read(connector, session, control)).keys() == truth(control).keys()


async def test_orders_that_change_between_pages_are_not_skipped(
    control: CloverControl, connector: CloverConnector, session: HeldSession
) -> None:
    """An offset would jump over as many orders as moved to the end."""
    control.generate_orders(MERCHANT, CloverGenerateSpec(count=7 * PAGE, seed=2))
    touch = FaultSpec(kind="touch_orders", operation="ListOrders", after=2, times=4, count=5, seed=9)
    control.set_faults(MERCHANT, touch)
    assert (await read(connector, session, control)).keys() == truth(control).keys()


async def test_an_instant_with_more_orders_than_a_page_is_read_whole(
    control: CloverControl, connector: CloverConnector, session: HeldSession
) -> None:
    """A walk by instants would turn on the spot, or leave the rest of that second out."""
    at = int(now(control).timestamp()) * 1000 - 86_400_000
    for number in range(3 * PAGE):
        control.put_order(
            MERCHANT, f"SAMESECOND{number:03}", {"createdTime": at, "modifiedTime": at, "total": 0}
        )
    control.put_order(MERCHANT, "ONESECONDLATE", {"createdTime": at, "modifiedTime": at + 1000, "total": 0})
    touch = FaultSpec(kind="touch_orders", operation="ListOrders", after=3, order_ids=("SAMESECOND000",))
    control.set_faults(MERCHANT, touch)
    assert (await read(connector, session, control)).keys() == truth(control).keys()


async def test_more_than_90_days_are_read_in_parts(
    control: CloverControl, connector: CloverConnector, session: HeldSession
) -> None:
    """A backfill of a year would be three quarters short, and green."""
    at = int(now(control).timestamp()) * 1000
    for days in range(0, 400, 20):
        stamp = at - days * 86_400_000
        control.put_order(
            MERCHANT, f"AGED{days:09}", {"createdTime": stamp, "modifiedTime": stamp, "total": 0}
        )
    assert len(await read(connector, session, control)) == 20


async def test_all_130_lines_of_a_large_order_are_read(
    control: CloverControl, connector: CloverConnector, session: HeldSession
) -> None:
    """A catering order would be 30 lines short."""
    lines = [{"id": f"LINE{number:09}", "name": "Bagel", "price": 295} for number in range(130)]
    control.put_order(
        MERCHANT, "ORDERMANYLINE", {"lineItems": lines, "state": "open", "paymentState": "OPEN"}
    )
    control.pay_order(MERCHANT, "ORDERMANYLINE")
    sale = (await read(connector, session, control))["ORDERMANYLINE"]
    assert len(sale.lines) == 130
    assert sale.totals.total == 130 * 295


async def test_a_deleted_order_ends_without_lines(
    control: CloverControl, connector: CloverConnector, session: HeldSession
) -> None:
    """It would be sold for ever."""
    control.generate_orders(MERCHANT, CloverGenerateSpec(count=3 * PAGE, seed=4))
    gone, *_ = truth(control)
    before = now(control)
    control.advance_clock(5)
    control.delete_order(MERCHANT, gone)
    window = Window(before, now(control) + timedelta(minutes=1))
    (found,) = [order for order in await walk(connector, session, window) if order.order_id == gone]
    assert found.raw is not None
    sale = connector.normalise(found.raw, PLACE)
    assert (sale.state, sale.lines, sale.totals.total) == (OrderState.DELETED, (), 0)
    by_id = await connector.orders_by_id(session, [gone, *list(truth(control))[1:3]])
    assert gone not in [order.order_id for order in by_id.orders]
    assert len(by_id.orders) == 2


async def test_an_ended_access_token_is_renewed_once_and_a_missing_permission_asks_for_a_person(
    control: CloverControl, connector: CloverConnector, session: HeldSession
) -> None:
    """Clover says 401 to both: an endless circle of refreshes would spend every token."""
    control.generate_orders(MERCHANT, CloverGenerateSpec(count=2 * PAGE))
    control.set_faults(MERCHANT, FaultSpec(kind="token_expired", operation="ListOrders", after=1))
    assert (await read(connector, session, control)).keys() == truth(control).keys()
    assert len(session.renewals) == 1
    control.configure_merchant(MERCHANT, CloverMerchantSettings(permissions=("merchant",)))
    with pytest.raises(AuthError):
        await read(connector, session, control)
    assert len(session.renewals) == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (FaultSpec(kind="server_error", times=9), ProviderUnavailable),
        (FaultSpec(kind="html", status=200, times=9), ProviderUnavailable),
        (FaultSpec(kind="html", status=401, times=9), ProviderUnavailable),
        (FaultSpec(kind="truncated_json", times=9), ProviderUnavailable),
        (FaultSpec(kind="rate_limit", times=9), RateLimited),
    ],
    ids=lambda value: value.kind if isinstance(value, FaultSpec) else "",
)
async def test_what_goes_wrong_at_clover_is_told_apart(
    fault: FaultSpec,
    error: type[Exception],
    control: CloverControl,
    connector: CloverConnector,
    session: HeldSession,
) -> None:
    control.set_faults(MERCHANT, fault)
    with pytest.raises(error):
        await read(connector, session, control)


async def test_generated_orders_keep_their_money(
    control: CloverControl, connector: CloverConnector, session: HeldSession
) -> None:
    """Lines and adjustments must come to what was paid less what went back, all without tax."""
    control.generate_orders(MERCHANT, CloverGenerateSpec(count=300, seed=11))
    sales = await read(connector, session, control)
    kinds = set()
    for order_id, order in truth(control).items():
        sale = sales[order_id]
        if not order.get("payments"):
            assert {line.disposition for line in sale.lines} <= {Disposition.NOT_YET}
            continue
        back = [*order.get("refunds", {}).get("elements", ()), *order.get("credits", {}).get("elements", ())]
        paid = order["payments"]["elements"]
        wanted = sum(each["amount"] - each["taxAmount"] for each in paid)
        wanted -= sum(each["amount"] - each["taxAmount"] for each in back)
        explained = sum(line.net for line in sale.lines) + sum(each.amount for each in sale.adjustments)
        assert explained == wanted, order
        kinds |= {line.disposition for line in sale.lines}
    assert {Disposition.SOLD, Disposition.COMPED, Disposition.RETURNED, Disposition.TEST} <= kinds


@pytest.mark.shared_data
@pytest.mark.skipif(not EXPORT.exists(), reason=f"needs {EXPORT.name} in the folder of real exports")
async def test_a_real_month_sold_at_clover_has_its_control_totals(
    control: CloverControl, connector: CloverConnector, session: HeldSession
) -> None:
    """Gross, discounts, net, tax and pieces of the file, through one line a unit."""
    control.upload_csv(MERCHANT, EXPORT.read_bytes())
    sales = (await read(connector, session, control)).values()
    lines = [line for sale in sales for line in sale.lines]
    by_amount = sum(each.amount for sale in sales for each in sale.adjustments)
    assert sum(line.gross for line in lines) + by_amount == 3732143
    assert sum(line.discount for line in lines) == 35972
    assert sum(line.net for line in lines) + by_amount == 3696171
    assert sum(sale.totals.tax for sale in sales) == 327749
    assert sum(Decimal(line.quantity) for line in lines) == 3748
