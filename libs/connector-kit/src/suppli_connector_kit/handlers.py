"""What arrives over Kafka: connections and commands are stored, and nothing else is done before the
commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from suppli_contracts.codec import decode_as
from suppli_contracts.errors import ContractError
from suppli_contracts.events.connections import ConnectionChanged
from suppli_contracts.events.sync import CancelSync, RunSync
from suppli_service_kit.kafka.consumer import BadMessage, BatchHandler
from suppli_service_kit.kafka.messages import InMessage

from suppli_connector_kit.adapters.connections import ConnectionBook
from suppli_connector_kit.metrics import DROPPED

COMMANDS: dict[str, type[RunSync] | type[CancelSync]] = {
    RunSync.event_type: RunSync,
    CancelSync.event_type: CancelSync,
}


def on_connections(
    book: ConnectionBook, changed: Callable[[ConnectionChanged], Awaitable[None]]
) -> BatchHandler:
    """Return the handler of connections.

    Args:
        book: stores them.
        changed: called with every event that was news, after it is stored; may be called again for it.
    """

    async def handle(messages: Sequence[InMessage]) -> None:
        events = []
        for message in messages:
            if message.value is None:
                continue  # the tombstone of a connection whose last value was stored long ago
            try:
                events.append(decode_as(ConnectionChanged, message.value))
            except ContractError as error:
                raise BadMessage(str(error), message) from error
        for event in await book.store_connections(events):
            await changed(event)

    return handle


def on_commands(book: ConnectionBook, wake: asyncio.Event) -> BatchHandler:
    """Return the handler of commands; `wake` is set when there is something to claim."""

    async def handle(messages: Sequence[InMessage]) -> None:
        events: list[RunSync | CancelSync] = []
        for message in messages:
            try:
                model = COMMANDS.get(message.envelope.type)
                if model is None:
                    DROPPED.labels("unknown_type").inc()
                    continue
                events.append(decode_as(model, message.value))
            except ContractError as error:
                raise BadMessage(str(error), message) from error
        if events and await book.store_commands(events):
            wake.set()

    return handle
