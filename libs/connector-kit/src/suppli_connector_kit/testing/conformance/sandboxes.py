"""The half of a harness that every provider of the sandbox has in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Protocol

from suppli_connector_kit.testing.conformance.harness import Fault, Rates, Stream


class SandboxControl(Protocol):
    """What orders a provider of the sandbox about, as far as the suite needs it."""

    def set_clock(self, now: datetime, *, frozen: bool = False) -> Any:
        """Move the clock."""
        ...

    def set_faults(self, merchant_id: str, *faults: Any) -> Any:
        """Replace a merchant's faults."""
        ...

    def calls(self, merchant_id: str | None = None) -> list[dict[str, Any]]:
        """Return counts by operation."""
        ...

    def speed(self, merchant_id: str) -> Any:
        """Return the most calls within a second and at once."""
        ...


class SandboxHarness:
    """Clock, faults and counters; the provider's own harness has the rest of `ProviderHarness`.

    Attributes:
        account_id: the merchant that `begin` opens.
        operations: what the sandbox calls the calls of each stream.
        scopes: the permissions that a stream needs.
    """

    account_id: ClassVar[str]
    operations: ClassVar[Mapping[Stream, str]]
    scopes: ClassVar[Mapping[Stream, tuple[str, ...]]]

    def __init__(self, control: SandboxControl, fault: Callable[..., Any]) -> None:
        """Prepare; `fault` makes a fault as the sandbox takes it (its `FaultSpec`)."""
        self._sandbox, self._fault = control, fault

    def set_clock(self, now: datetime) -> None:
        """Stand the provider's clock still at `now`."""
        self._sandbox.set_clock(now, frozen=True)

    def strike(self, *faults: Fault) -> None:
        """Order faults, in place of all that were ordered."""
        self._sandbox.set_faults(self.account_id, *(self._spec(fault) for fault in faults))

    def calls(self, stream: Stream = Stream.ANY) -> int:
        """Return how many calls were made."""
        wanted, made = self.operations[stream], self._sandbox.calls(self.account_id)
        return sum(each["count"] for each in made if wanted in ("*", each["operation"]))

    def rates(self) -> Rates:
        """Return what the provider saw of the account."""
        seen = self._sandbox.speed(self.account_id)
        return Rates(seen.per_second, seen.in_flight)

    def _spec(self, fault: Fault) -> Any:
        return self._fault(
            kind=fault.strike.value,
            operation=self.operations[fault.stream],
            after=fault.after,
            times=fault.times,
            retry_after=None if fault.retry_after is None else str(fault.retry_after),
            delay_seconds=fault.delay,
            scopes=self.scopes.get(fault.stream, ()),
            order_ids=fault.order_ids,
        )
