"""The suite's harness of the reference provider; every test has a provider of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec

from suppli_connector_kit.client import Budget, ProviderClient
from suppli_connector_kit.protocol import Application, Connector, Tokens
from suppli_connector_kit.testing.conformance.harness import (
    Facts,
    Fault,
    Odd,
    Rates,
    ShopOrder,
    Stream,
    Wrap,
)
from suppli_connector_kit.testing.reference.connector import PAGE_SIZE, Pair, ReferenceConnector, told
from suppli_connector_kit.testing.reference.provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    DEFAULT_CAP,
    ReferenceProvider,
    Struck,
)

Make = Callable[..., Connector[Any]]
PRODUCTION = Budget(rate=20, burst=5, in_flight=2)


class ReferenceHarness:
    """Implements `ProviderHarness`.

    Attributes:
        provider: the provider that `begin` made.
        make: makes a connector of a client; a mutant may put another in.
    """

    application = Application(CLIENT_ID, CLIENT_SECRET)
    account_id = "ACCOUNT"

    def __init__(self, *, single_use: bool = False, make: Make = ReferenceConnector) -> None:
        self._single_use, self.make = single_use, make
        self.facts = Facts(
            page_size=PAGE_SIZE,
            default_cap=DEFAULT_CAP,
            zone="America/New_York",
            calls_per_second=PRODUCTION.rate + PRODUCTION.burst,
            calls_in_flight=4,
        )
        self.provider = ReferenceProvider(datetime(2026, 1, 1, tzinfo=UTC), ())

    def open(self, budget: Budget | None, wrap: Wrap | None = None) -> tuple[Connector[Any], ProviderClient]:
        """Return a connector over the provider in this process."""
        inner: httpx.AsyncBaseTransport = httpx.MockTransport(lambda call: self.provider.handle(call))
        client = ProviderClient(
            "https://reference.example",
            name="Reference",
            failure=told,
            budget=budget or PRODUCTION,
            transport=inner if wrap is None else wrap(inner),
        )
        return self.make(client, single_use=self._single_use), client

    def begin(self, now: datetime, locations: int) -> Sequence[str]:
        """Make a new provider."""
        places = tuple(f"PLACE{number}" for number in range(locations))
        self.provider = ReferenceProvider(now, places, single_use=self._single_use)
        return places

    def set_clock(self, now: datetime) -> None:
        """Stand the provider's clock at `now`."""
        self.provider.now = now

    def issue(self) -> Tokens:
        """Return a new pair."""
        return msgspec.convert(self.provider.issue(), Pair).tokens()

    def put(self, orders: Sequence[ShopOrder]) -> None:
        """Make or replace orders."""
        self.provider.orders.update({order.order_id: order for order in orders})

    def put_odd(self, order: ShopOrder, odd: Odd) -> None:
        """Make an unusual order."""
        self.put([order])
        self.provider.odd[order.order_id] = odd

    def delete(self, order_id: str) -> None:
        """Delete an order."""
        del self.provider.orders[order_id]

    def truth(self) -> Sequence[ShopOrder]:
        """Return all orders that can be understood."""
        odd = self.provider.odd
        return [order for key, order in self.provider.orders.items() if odd.get(key) is not Odd.BROKEN]

    def strike(self, *faults: Fault) -> None:
        """Order faults."""
        self.provider.faults = [Struck(fault) for fault in faults]

    def calls(self, stream: Stream = Stream.ANY) -> int:
        """Return how many calls were made."""
        calls = self.provider.calls
        return calls.total() if stream is Stream.ANY else calls[stream]

    def rates(self) -> Rates:
        """Return what the provider saw."""
        return self.provider.rates()
