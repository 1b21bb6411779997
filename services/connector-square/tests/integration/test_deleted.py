"""An order that is deleted at Square, through the kit's engine over real HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, cast
from uuid import UUID

from suppli_connector_kit.domain.decisions import Known, Recorded
from suppli_connector_kit.engine.ports import Books, Job, KnownItem, Limits, PageEntry, Report
from suppli_connector_kit.engine.run import SyncRun
from suppli_connector_square.connector import SquareConnector
from suppli_contracts.codec import decode
from suppli_contracts.events.connections import (
    ConnectedLocation,
    ConnectionChanged,
    ConnectionState,
    ZonePeriod,
)
from suppli_contracts.events.sales import OrderState, SaleRecorded
from suppli_contracts.events.sync import RunKind
from suppli_sandbox.client import SandboxControl
from suppli_service_kit.clock import SystemClock
from suppli_service_kit.kafka.messages import OutMessage

from .conftest import MERCHANT, HeldSession

CONNECTION = ConnectionChanged(
    tenant_id=UUID(int=1),
    connection_id=UUID(int=2),
    revision=1,
    provider="square",
    environment="production",
    state=ConnectionState.CONNECTED,
    changed_at=datetime.now(UTC),
    account_id=MERCHANT,
    start_date=date(2020, 1, 1),
    locations=(
        ConnectedLocation(
            location_id="L1", chosen=True, suppli_location_id="S", zones=(ZonePeriod(timezone="UTC"),)
        ),
    ),
)


class Ports:
    """The engine's ports in memory; `said` is what consumers hear."""

    def __init__(self) -> None:
        self.recorded: dict[str, Recorded] = {}
        self.said: list[SaleRecorded] = []
        self.fence = 0

    async def publish(self, messages: Sequence[OutMessage], *, timeout: float) -> None:
        for message in messages:
            _, event = decode({k: v.decode() for k, v in message.headers}, message.value or b"")
            self.said.append(cast(SaleRecorded, event))

    async def record(self, entry: PageEntry, report: Report) -> None:
        for change in entry.changed:
            sale = change.sale
            self.recorded[sale.order_id] = Recorded(
                sale.order_id, sale.location_id, sale.currency, change.content_hash, change.source_version
            )

    async def known(self, order_ids: Sequence[str]) -> Mapping[str, Known]:
        found = [self.recorded[key] for key in order_ids if key in self.recorded]
        return {each.order_id: Known(each.content_hash, each.source_version) for each in found}

    async def recent(self, since_us: int, after: str, most: int) -> Sequence[Recorded]:
        found = [self.recorded[key] for key in sorted(self.recorded) if key > after]
        return [each for each in found if each.source_version >= since_us][:most]

    async def catalog_token(self) -> str | None:
        return None

    async def known_items(self, external_ids: Sequence[str] | None) -> Mapping[str, KnownItem]:
        return {}

    async def record_items(self, items: Any, token: str | None, report: Report) -> None:
        return

    async def behind(self) -> int:
        return 0

    async def renew(self) -> None:
        return

    def remaining(self) -> float:
        return 30.0

    async def run(self, connector: SquareConnector, session: HeldSession, kind: RunKind) -> None:
        self.fence += 1
        job = Job(CONNECTION, UUID(int=3), 1, kind, self.fence)
        run = SyncRun(
            connector,
            session,
            job,
            books=cast(Books, self),
            publisher=self,
            lease=self,
            queue=self,
            clock=SystemClock(),
            limits=Limits(),
        )
        await run.run()


async def test_deleted_order_ends_at_zero(
    control: SandboxControl, connector: SquareConnector, session: HeldSession
) -> None:
    """A sale that the owner deleted, or that was merged into another tab, would count for ever."""
    money = {"amount": 500, "currency": "USD"}
    line = {"uid": "L", "name": "Tea", "quantity": "1", "gross_sales_money": money, "total_money": money}
    for order_id in ("STAYS", "GOES"):
        order = {"id": order_id, "location_id": "L1", "line_items": [line], "total_money": money}
        control.put_orders(MERCHANT, [order])
    ports = Ports()
    await ports.run(connector, session, RunKind.MANUAL)
    assert sorted(sale.order_id for sale in ports.said) == ["GOES", "STAYS"]
    control.delete_order(MERCHANT, "GOES")
    await ports.run(connector, session, RunKind.SWEEP)
    (before,) = [sale for sale in ports.said[:2] if sale.order_id == "GOES"]
    (gone,) = ports.said[2:]
    assert (gone.order_id, gone.state, gone.lines) == ("GOES", OrderState.DELETED, ())
    assert (gone.source_version, gone.observed) > (before.source_version, before.observed)
    await ports.run(connector, session, RunKind.SWEEP)
    assert len(ports.said) == 3
