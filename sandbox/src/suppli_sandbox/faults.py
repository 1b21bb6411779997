"""Faults that tests order per merchant: which strike a call, in the order they were set."""

from dataclasses import dataclass, field

from suppli_sandbox.models import FaultSpec, FaultState

ANY = "*"


@dataclass(slots=True)
class FaultBook:
    """Fault lists by merchant id; the list of `*` holds for every merchant and for calls without one."""

    _lists: dict[str, list[FaultState]] = field(default_factory=dict)

    def set(self, merchant_id: str, faults: tuple[FaultSpec, ...]) -> None:
        """Replace a merchant's list."""
        self._lists[merchant_id] = [FaultState(fault=fault) for fault in faults]

    def add(self, merchant_id: str, faults: tuple[FaultSpec, ...]) -> None:
        """Append to a merchant's list."""
        self._lists.setdefault(merchant_id, []).extend(FaultState(fault=fault) for fault in faults)

    def clear(self, merchant_id: str | None) -> None:
        """Drop a merchant's list, or all lists."""
        if merchant_id is None:
            self._lists.clear()
        else:
            self._lists.pop(merchant_id, None)

    def list(self, merchant_id: str) -> tuple[FaultState, ...]:
        """Return a merchant's faults with their counters."""
        return tuple(self._lists.get(merchant_id, ()))

    def strike(self, merchant_id: str | None, operation: str) -> tuple[FaultSpec, ...]:
        """Count a call and return the faults that strike it now."""
        states = [
            *self._lists.get(merchant_id or ANY, ()),
            *(self._lists.get(ANY, ()) if merchant_id else ()),
        ]
        return tuple(state.fault for state in states if _strikes(state, operation))


def _strikes(state: FaultState, operation: str) -> bool:
    fault = state.fault
    if fault.operation not in (ANY, operation):
        return False
    state.seen += 1
    spent = fault.times is not None and state.struck >= fault.times
    if spent or state.seen <= fault.after:
        return False
    state.struck += 1
    return True
