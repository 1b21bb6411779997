"""What a call to a provider passes: its account's circuit breaker, room for one more call at once, and its
shares of the budgets.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from suppli_connector_kit.budgets import Ledger, LocalLedger, SharedBudget, TooLong
from suppli_connector_kit.domain.circuit import Circuit, CircuitTimes, State
from suppli_connector_kit.domain.pacing import Pace
from suppli_connector_kit.errors import ProviderUnavailable, RateLimited
from suppli_connector_kit.metrics import BUDGET_SECONDS, CALLS_REFUSED, CIRCUIT_CHANGES, CIRCUITS_OPEN

_ACCOUNTS = 1000  # remembered at once; what is forgotten begins anew
_NEVER_PASSING = 501
_IN_LINE_SECONDS = 0.2  # an account that has no permit of its own soon lets the others go first
_PAUSE_SECONDS = 1.0  # after a 429 that names no time

_urgent: ContextVar[bool] = ContextVar("urgent", default=False)


@contextmanager
def somebody_waits() -> Iterator[None]:
    """Mark the calls of the block as made for a person: they may find out whether a provider is back."""
    token = _urgent.set(True)
    try:
        yield
    finally:
        _urgent.reset(token)


@dataclass(slots=True)
class _Account:
    budget: SharedBudget
    circuit: Circuit
    room: asyncio.Semaphore | None


def _room(calls: int | None) -> asyncio.Semaphore | None:
    return None if calls is None else asyncio.Semaphore(calls)


class Gates:
    """The gates of one provider, by account."""

    def __init__(
        self,
        name: str,
        pace: Pace,
        *,
        application: Pace | None = None,
        circuit: CircuitTimes | None = None,
        most_wait: float = 30.0,
        in_flight: int | None = None,
        application_in_flight: int | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """Prepare.

        Args:
            name: the provider's, for people.
            pace: of one account.
            application: of all accounts together, where the provider has such a limit.
            circuit: when an account's circuit opens.
            most_wait: how long a call waits for its turn (s).
            in_flight: most calls of one account that this process has open.
            application_in_flight: the same, of all accounts together.
            ledger: what the budgets are shared through; by default this process has them alone.
        """
        self._name, self._pace, self._most_wait = name, pace, most_wait
        self._application_pace = application
        self._in_flight = in_flight
        self._room = _room(application_in_flight)
        self._times = circuit or CircuitTimes()
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self.share(ledger or LocalLedger())

    def share(self, ledger: Ledger) -> None:
        """Share the budgets through `ledger` from now on."""
        self._ledger = ledger
        self._accounts.clear()
        self._application: SharedBudget | None = None
        if self._application_pace is not None:
            self._application = self._budget("application", self._application_pace)

    def account(self, account_id: str) -> AccountGate:
        """Return the gate for one call for that account."""
        found = self._accounts.pop(account_id, None)
        if found is None:
            budget = self._budget(f"account {account_id}", self._pace)
            found = _Account(budget, Circuit(self._times), _room(self._in_flight))
        self._accounts[account_id] = found
        if len(self._accounts) > _ACCOUNTS:
            _, dropped = self._accounts.popitem(last=False)
            if dropped.circuit.state is not State.CLOSED:
                CIRCUITS_OPEN.dec()
        rooms = tuple(room for room in (found.room, self._room) if room is not None)
        return AccountGate(self._name, found.budget, self._application, found.circuit, rooms)

    def _budget(self, key: str, pace: Pace) -> SharedBudget:
        return SharedBudget(self._ledger, key, pace, most_wait=self._most_wait)


class AccountGate:
    """Lets the attempts of one call through (the HTTP client's `Gate`), and hears what came of them."""

    def __init__(
        self,
        name: str,
        budget: SharedBudget,
        application: SharedBudget | None,
        circuit: Circuit,
        rooms: Sequence[asyncio.Semaphore] = (),
    ) -> None:
        self._name, self._budget, self._application, self._circuit = name, budget, application, circuit
        self._rooms = rooms
        self._inside: list[asyncio.Semaphore] = []
        self._probe = False

    async def enter(self) -> None:
        """Wait for room and then for a permit, which would be used late if there were no room for it.

        Raises:
            ProviderUnavailable: the account's circuit is open; says for how long.
            RateLimited: the budget has nothing for longer than a call waits.
        """
        self._check()
        started = time.monotonic()
        try:
            for room in self._rooms:
                await room.acquire()
                self._inside.append(room)
            await self._permit()
            self._check()  # it may have opened meanwhile
        except BaseException as error:
            self._leave()
            if isinstance(error, TooLong):
                problem = f"{self._name} asked to slow down"
                raise RateLimited(problem, retry_after_s=error.seconds) from error
            raise
        finally:
            BUDGET_SECONDS.observe(time.monotonic() - started)
        before = self._circuit.state
        self._probe = self._circuit.begin()
        self._note(before)

    async def left(self, status: int | None, retry_after: float | None) -> None:
        """Hear what an attempt was answered: a status, or None where nothing came."""
        self._leave()
        before, probe = self._circuit.state, self._probe
        self._probe = False
        if status is None or status == 408 or (status >= 500 and status != _NEVER_PASSING):
            self._circuit.failure(time.monotonic(), probe=probe)
        else:
            self._circuit.succeeded()
        self._note(before)
        if status == 429:
            await self._budget.slow_down(_PAUSE_SECONDS if retry_after is None else retry_after)

    def abandoned(self) -> None:
        """Hear that an attempt was given up."""
        self._leave()
        before, probe = self._circuit.state, self._probe
        self._probe = False
        self._circuit.abandoned(probe=probe)
        self._note(before)

    def _leave(self) -> None:
        while self._inside:
            self._inside.pop().release()

    async def _permit(self) -> None:
        """Use a permit of each budget at one instant: one that waits for the other would be used late."""
        self._budget.waiting += 1
        try:
            async with self._budget.turn:
                if self._application is None:
                    await self._permit_of(self._budget)
                else:
                    await self._permit_of_both(self._application)
        finally:
            self._budget.waiting -= 1

    @staticmethod
    async def _permit_of(budget: SharedBudget) -> None:
        while True:
            await budget.ready()
            if budget.use():
                return

    async def _permit_of_both(self, application: SharedBudget) -> None:
        application.waiting += 1
        try:
            while True:
                await self._budget.ready()
                async with application.turn:
                    if await self._used_both(application):
                        return
        finally:
            application.waiting -= 1

    async def _used_both(self, application: SharedBudget) -> bool:
        """Use a permit of each, in the application's turn; False where the account has none for a while.

        The account's may end while it stands in line. It is had again at once, without leaving the line: who
        went back to its end each time would starve behind accounts of a luckier rhythm.
        """
        while True:
            await application.ready()
            if self._budget.use():
                application.use()  # nothing was awaited since it was ready
                return True
            try:
                async with asyncio.timeout(_IN_LINE_SECONDS):
                    await self._budget.ready()
            except TimeoutError:
                return False

    def _check(self) -> None:
        left = self._circuit.refused_for(time.monotonic(), urgent=_urgent.get())
        if left is None:
            return
        CALLS_REFUSED.inc()
        raise ProviderUnavailable(
            f"{self._name} has not answered for a while; it is asked again later", retry_after_s=left
        )

    def _note(self, before: State) -> None:
        after = self._circuit.state
        if after is before:
            return
        CIRCUIT_CHANGES.labels(after.value).inc()
        CIRCUITS_OPEN.inc((after is not State.CLOSED) - (before is not State.CLOSED))
