"""When product sales arrive on Kafka, seen by a consumer that is there before they do."""

from __future__ import annotations

import asyncio
import threading
import time
from types import TracebackType
from typing import Self
from uuid import UUID

from aiokafka import AIOKafkaConsumer
from suppli_contracts.topics import SALES_PRODUCTS

_TENANT = "ce_tenant"


class Arrivals:
    """Notes when the first product sale of each expected order of a tenant arrives."""

    def __init__(self, servers: str, tenant: UUID) -> None:
        self._servers, self._tenant = servers, (_TENANT, str(tenant).encode())
        self._expected: dict[bytes, float | None] = {}
        self._changed = threading.Condition()
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(30):
            raise TimeoutError("the consumer of product sales did not start in 30 s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(10)

    def expect(self, order_id: str) -> None:
        """Look for this order from now on."""
        with self._changed:
            self._expected[order_id.encode()] = None

    def wait(self, order_id: str, seconds: float) -> float:
        """Return the monotonic instant at which an expected order's first product sale arrived.

        Raises:
            TimeoutError: none arrived in time.
        """
        key = order_id.encode()
        with self._changed:
            if not self._changed.wait_for(lambda: self._expected[key] is not None, seconds):
                raise TimeoutError(f"no product sale of order {order_id} arrived in {seconds:.0f} s")
            at = self._expected.pop(key)
        if at is None:
            raise LookupError(order_id)
        return at

    def _watch(self) -> None:
        asyncio.run(self._read())

    async def _read(self) -> None:
        async with AIOKafkaConsumer(SALES_PRODUCTS, bootstrap_servers=self._servers) as consumer:
            await consumer.seek_to_end()
            for partition in consumer.assignment():  # where "now" is, before anything is sold
                await consumer.position(partition)
            self._ready.set()
            while not self._stop.is_set():
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    self._note([each.value for each in records if self._tenant in each.headers])

    def _note(self, values: list[bytes]) -> None:
        now = time.monotonic()
        with self._changed:
            for value in values:
                for order_id, at in self._expected.items():
                    if at is None and order_id in value:
                        self._expected[order_id] = now
                        self._changed.notify_all()
