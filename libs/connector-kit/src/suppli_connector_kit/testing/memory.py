"""What survives a process, in memory: the engine's books, Kafka, Vault and the notes about tokens.

Each obeys its port as the real one does, so that a test of a connector needs no server of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from suppli_contracts.codec import decode
from suppli_contracts.events.sales import OrderState, SaleRecorded
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.vault import Secret, VaultConflict, VaultUnavailable

from suppli_connector_kit.domain.coverage import Span, Spans
from suppli_connector_kit.domain.decisions import Known, Recorded
from suppli_connector_kit.engine.ports import ItemEntry, KnownItem, LeaseLost, PageEntry, Report
from suppli_connector_kit.tokens.ports import AccountKey


class MemoryPorts:
    """One connection's books, lease, backlog and topic: all four of the engine's ports.

    Attributes:
        revision: the reading's revision, noted with what is set aside.
        hashes, recorded, covered, waiting, items, token: what is recorded.
        said: every sale that was acknowledged, with its event's id.
        history: the coverage after each page that moved it, by location.
        left: for how long the lease is held (s); it cannot be renewed.
        lagging: what `behind` answers, one after the other, then 0.
    """

    def __init__(self, revision: Callable[[], int] = lambda: 1) -> None:
        self.revision = revision
        self.hashes: dict[str, Known] = {}
        self.recorded: dict[str, Recorded] = {}
        self.covered: dict[str, Spans] = {}
        self.waiting: dict[str, int] = {}
        self.items: dict[str, KnownItem] = {}
        self.token: str | None = None
        self.said: list[tuple[str, SaleRecorded]] = []
        self.history: list[dict[str, Spans]] = []
        self.left = 30.0
        self.lagging: list[int] = []

    async def publish(self, messages: Sequence[OutMessage], *, timeout: float) -> None:
        """Acknowledge every message."""
        for message in messages:
            envelope, event = decode({k: v.decode() for k, v in message.headers}, message.value or b"")
            if not isinstance(event, SaleRecorded):
                raise TypeError(f"{type(event).__name__} is not published by the engine itself")
            self.said.append((envelope.id, event))
        await asyncio.sleep(0)

    def remaining(self) -> float:
        """Return `left`."""
        return self.left

    async def renew(self) -> None:
        """Refuse."""
        raise LeaseLost

    async def behind(self) -> int:
        """Return what `lagging` says next."""
        return self.lagging.pop(0) if self.lagging else 0

    async def known(self, order_ids: Sequence[str]) -> Mapping[str, Known]:
        """Return what was recorded of these orders."""
        await asyncio.sleep(0)
        return {key: self.hashes[key] for key in order_ids if key in self.hashes}

    async def recorded_of(self, order_ids: Sequence[str]) -> Sequence[Recorded]:
        """Return those of these orders that were said."""
        return [self.recorded[key] for key in order_ids if key in self.recorded]

    async def recent(self, since_us: int, after: str, most: int) -> Sequence[Recorded]:
        """Return recorded orders by their ids."""
        found = [self.recorded[key] for key in sorted(self.recorded) if key > after]
        return [order for order in found if order.source_version >= since_us][:most]

    async def sold(self, windows: Sequence[tuple[str, Span]]) -> Sequence[bool]:
        """Return for each window whether a recorded order was last modified in it."""
        return [
            any(
                order.location_id == location and start <= order.source_version < end
                for order in self.recorded.values()
            )
            for location, (start, end) in windows
        ]

    async def record(self, entry: PageEntry, report: Report) -> None:
        """Record a page at one instant."""
        await asyncio.sleep(0)
        for change in entry.changed:
            sale = change.sale
            self.hashes[sale.order_id] = Known(change.content_hash, change.source_version)
            self.recorded[sale.order_id] = Recorded(
                sale.order_id, sale.location_id, sale.currency, change.content_hash, change.source_version
            )
        self.waiting.update({order.order_id: self.revision() for order in entry.set_aside})
        for order in entry.cleared:
            self.waiting.pop(order, None)
        self.covered.update(entry.coverage)
        if entry.coverage:
            self.history.append(dict(self.covered))

    async def catalog_token(self) -> str | None:
        """Return the token that was kept."""
        return self.token

    async def known_items(self, external_ids: Sequence[str] | None) -> Mapping[str, KnownItem]:
        """Return what was said of items."""
        return {k: i for k, i in self.items.items() if not i.item.deleted or external_ids is not None}

    async def record_items(self, items: Sequence[ItemEntry], token: str | None, report: Report) -> None:
        """Record changed items, and the token."""
        self.items.update({e.item.external_id: KnownItem(e.item, e.content_hash, e.revision) for e in items})
        self.token = token or self.token

    def newest(self) -> dict[str, SaleRecorded]:
        """Return each order as a consumer has it, deletions too: the greatest (source_version, observed)."""
        newest: dict[str, SaleRecorded] = {}
        for _, sale in self.said:
            before = newest.get(sale.order_id)
            if before is None or (sale.source_version, sale.observed) >= (
                before.source_version,
                before.observed,
            ):
                newest[sale.order_id] = sale
        return newest

    def standing(self) -> dict[str, SaleRecorded]:
        """Return the orders that a consumer has and that are not deleted."""
        return {key: sale for key, sale in self.newest().items() if sale.state is not OrderState.DELETED}


class MemoryVault:
    """Vault's check-and-set; `lose_replies` writes of a result are done and then answered by an error."""

    def __init__(self, provider: str, client_id: str, client_secret: str) -> None:
        application = {"client_id": client_id, "client_secret": client_secret}
        self.versions: dict[str, list[dict[str, Any]]] = {f"suppli/app/{provider}": [application]}
        self.lose_replies = 0

    async def read(self, path: str) -> Secret | None:
        """Return the newest version."""
        await asyncio.sleep(0)
        found = self.versions.get(path)
        return Secret(dict(found[-1]), len(found)) if found and found[-1] else None

    async def version(self, path: str) -> int:
        """Return the newest version's number."""
        await asyncio.sleep(0)
        return len(self.versions.get(path, ()))

    async def write(self, path: str, data: dict[str, Any], *, cas: int | None) -> int:
        """Write a version, or raise `VaultConflict`."""
        await asyncio.sleep(0)
        found = self.versions.setdefault(path, [])
        if cas is not None and cas != len(found):
            raise VaultConflict(path)
        found.append(data)
        if self.lose_replies and data.get("intent") is None:
            self.lose_replies -= 1
            raise VaultUnavailable("the answer got lost")
        return len(found)

    async def destroy(self, path: str, *, cas: int | None = None) -> None:
        """Empty all versions; their numbers go on."""
        found = self.versions.get(path, [])
        if cas is not None and cas != len(found):
            raise VaultConflict(path)
        if found and found[-1]:
            found[:] = [{} for _ in range(len(found) + 1)]


class MemoryTokenBook:
    """Notes when a refresh is due, and who was asked to authorize again, each cause once.

    Attributes:
        reauths: cause, and until when the connection still works.
        refresh_at: when the next refresh is due.
    """

    def __init__(self) -> None:
        self.reauths: list[tuple[str, datetime | None]] = []
        self.refresh_at: datetime | None = None

    async def noted(
        self, key: AccountKey, *, expires_at: datetime | None, refresh_at: datetime | None
    ) -> None:
        """Note when the next refresh is due."""
        self.refresh_at = refresh_at

    async def reauth(self, key: AccountKey, *, reason: str, works_until: datetime | None, cause: str) -> None:
        """Note that a person must authorize again."""
        if cause not in [each for each, _ in self.reauths]:
            self.reauths.append((cause, works_until))
