"""Hearing what runs of connectors cover: it holds once the sales that they published are in the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from suppli_contracts.codec import decode_as
from suppli_contracts.events.sync import SyncRunChanged
from suppli_service_kit.database import Database
from suppli_service_kit.kafka.batches import BadMessage
from suppli_service_kit.kafka.messages import InMessage

from suppli_mapping.adapters import heard


class RunHearer:
    """Handles sync events. A repeat changes nothing: of each connection the newest word holds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def on_sync_events(self, batch: Sequence[InMessage]) -> None:
        """Keep what ended runs cover; everything else that happens to runs is for others.

        Raises:
            BadMessage: it says another tenant than its header.
        """
        events = []
        for message in batch:
            if message.value is None or message.headers.get("ce_type") != SyncRunChanged.event_type:
                continue
            event = decode_as(SyncRunChanged, message.value)
            if event.tenant_id != message.envelope.tenant:
                raise BadMessage("ce_tenant and tenant_id differ", message, "$.tenant_id")
            if event.coverage is not None or event.days:
                events.append(event)
        if events:
            async with self._database.transaction({event.tenant_id for event in events}) as connection:
                await heard.keep(connection, events)
