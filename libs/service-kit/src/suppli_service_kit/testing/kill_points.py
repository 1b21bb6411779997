"""A process that dies at any place where it speaks with the outside, and what its successor makes of it.

The seams are where our code meets a server: the database driver's connection, the producer, Vault, the
provider. The logic between them runs unchanged. `die_everywhere` counts the places by letting a process live
undisturbed, then lets one die at each of them in turn, starts another over the same servers, and checks.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar, cast

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus

from suppli_service_kit.database import Database, database_at
from suppli_service_kit.kafka.messages import OutMessage
from suppli_service_kit.kafka.producer import Producer

_TENANTS = "select set_config('app.tenants'"  # the beginning of a transaction: dying there is dying before it
EVERY_STATEMENT = os.environ.get("SUPPLI_KILL_POINTS") == "statements"
"""Whether each statement of a transaction is a place to die at, and not only its first and its commit.

What is not committed leaves nothing, so that the outcome is the same; there are 1.7 times as many of them.
"""
LIFE_SECONDS = 60.0  # a process of these small worlds that takes longer hangs
T = TypeVar("T")


class ProcessDied(BaseException):
    """The process is no more. No `Exception`: no handler may take it for a failure that it can deal with."""


class When(StrEnum):
    """Whether what was asked for had happened: not yet, in part, or all of it and the caller never knew."""

    BEFORE = "before"
    MIDWAY = "midway"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Point:
    """A place to die at: around the `number`-th call of that name in a process's life, counted from 1."""

    call: str
    number: int
    when: When

    def __str__(self) -> str:
        return f"{self.when} {self.call} ({self.number})"


class Engines:
    """Database engines for processes that live one after the other: making one costs more than such a life.

    Connections are never shared: a process's end with it.
    """

    def __init__(self) -> None:
        """Prepare; an engine is made when it is first asked for."""
        self._made: dict[tuple[str, int], Database] = {}
        self.owner: Process | None = None

    def database(self, url: str, pool: int) -> Database:
        """Return the engine of a database and a size of pool, for the process that owns the engines now."""
        database = self._made.get((url, pool))
        if database is None:
            database = self._made[url, pool] = database_at(url, pool=pool, name="kill points")
            engine = database.engine.sync_engine
            sa.event.listen(engine, "do_connect", _connects_with_ours)
            # Not earlier: what a driver asks for on its first connection is nobody's logic.
            sa.event.listen(engine, "checkout", self._checked_out)
        return database

    async def close(self) -> None:
        """Drop all connections."""
        for database in self._made.values():
            await database.close()

    def _checked_out(self, connection: Any, *_: Any) -> None:
        if self.owner is not None:
            self.owner.owns(connection.driver_connection)


def _connects_with_ours(_: Any, __: Any, ___: Any, parameters: dict[str, Any]) -> None:
    parameters["async_creator_fn"] = _Connection.connect


class Process:
    """One life of a process: what it is made of gets its connections here, and loses all of them together.

    Attributes:
        points: the places that it has come by.
        died: set at the instant of its death; nothing that it does from then on reaches anybody.
    """

    def __init__(self, dies_at: Point | None = None, engines: Engines | None = None) -> None:
        """Prepare; without `dies_at` it lives until its work is done.

        Args:
            engines: to be used again by the next process.
        """
        self._dies_at = dies_at
        self._engines = engines or Engines()
        self._numbers: Counter[str] = Counter()
        self._connections: set[_Connection] = set()
        self._lives = False
        self.points: list[Point] = []
        self.died = asyncio.Event()

    def database(self, url: str, *, pool: int = 5) -> Database:
        """Return the process's access to a database."""
        return self._engines.database(url, pool)

    async def connect(self, *arguments: Any, **parameters: Any) -> psycopg.AsyncConnection:
        """Open a connection of the process, with the parameters of `psycopg.AsyncConnection.connect`."""
        self._refuse_the_dead()
        connection = await _Connection.connect(*arguments, **parameters)
        self.owns(connection)
        return connection

    def owns(self, connection: _Connection) -> None:
        """Take a connection for the process's own."""
        connection.process = self
        self._connections.add(connection)

    def producer(self, producer: Producer) -> Producer:
        """Return the process's producer: `producer`, which outlives it; it may die with half of a batch sent.

        Half of a batch is what a process leaves that dies between the acknowledgements of two partitions.
        """
        return cast(Producer, _Producer(self, producer))

    def seam(self, inner: T, name: str) -> T:
        """Return `inner` with each of its coroutine methods as a call to the outside.

        Methods that are asynchronous iterators are a call for each step; all else passes through.
        """
        return cast(T, _Seam(self, inner, name))

    async def outside(
        self,
        call: str,
        effect: Callable[[], Awaitable[T]],
        *,
        lasting: bool = True,
        midway: Callable[[], Awaitable[object]] | None = None,
    ) -> T:
        """Let a call through to the outside; raises `ProcessDied` where it is the last one.

        Args:
            call: what is asked for, as a reader of a failed test wants to see it.
            effect: does it.
            lasting: whether it leaves anything. What a transaction has not committed leaves nothing, so that
                dying after it is dying before what follows.
            midway: does a part of it, where it has parts.
        """
        self._refuse_the_dead()
        if not self._lives:
            return await effect()
        self._numbers[call] += 1
        number = self._numbers[call]
        self._come_by(Point(call, number, When.BEFORE))
        if midway is not None:
            point = Point(call, number, When.MIDWAY)
            if point == self._dies_at:
                await midway()
            self._come_by(point)
        result = await effect()
        self._refuse_the_dead()  # another task has brought death meanwhile: nobody is left to learn of it
        if lasting:
            self._come_by(Point(call, number, When.AFTER))
        return result

    async def within(self, effect: Callable[[], Awaitable[T]]) -> T:
        """Let a call through that is no place of its own; raises `ProcessDied` where the process is dead."""
        self._refuse_the_dead()
        result = await effect()
        self._refuse_the_dead()
        return result

    async def live(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do `work` until it is done, or until death; return whether it died.

        Afterwards nothing is left of the process but what reached the servers: its connections are cut, so
        that the servers roll back and release what it held.

        Raises:
            TimeoutError: it neither ended nor died within a minute.
        """
        self._lives, self._engines.owner = True, self
        working = asyncio.ensure_future(work)
        dying = asyncio.ensure_future(self.died.wait())
        try:
            done, _ = await asyncio.wait(
                {working, dying}, timeout=LIFE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise TimeoutError("the process neither ended nor died")
            if not self.died.is_set():
                working.result()
        finally:
            dying.cancel()
            working.cancel()
            await asyncio.gather(dying, working, return_exceptions=True)
            await self._cut()
        return self.died.is_set()

    def is_dead(self) -> bool:
        """Return whether it has died."""
        return self.died.is_set()

    def _refuse_the_dead(self) -> None:
        if self.died.is_set():
            raise ProcessDied

    def _come_by(self, point: Point) -> None:
        self.points.append(point)
        if point == self._dies_at:
            self.died.set()
            raise ProcessDied(str(point))

    async def _cut(self) -> None:
        self._lives = False
        for connection in self._connections:
            connection.pgconn.finish()
        await self._engines.close()


class _Connection(psycopg.AsyncConnection[Any]):
    """A driver's connection; whatever it says to the server goes through `wait`."""

    process: Process | None = None
    said = ""
    begun = False

    async def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        kind = gen.gi_code.co_name
        effect = functools.partial(super().wait, gen, *arguments, **options)
        if self.process is None or kind.startswith(
            "_set_"
        ):  # a setting of the driver's, for what it says next
            return await effect()
        if kind == "_rollback_gen":
            self.begun = False
            return None if self.process.is_dead() else await effect()  # a dead one's server does it by itself
        commits = kind == "_commit_gen"
        call = self._name(kind, gen)
        if call is None or (self.begun and not commits and not EVERY_STATEMENT):
            return await self.process.within(effect)
        self.begun = not commits and not self.autocommit
        return await self.process.outside(call, effect, lasting=self.autocommit or commits)

    def _name(self, kind: str, gen: Any) -> str | None:
        """Return what a call is named; None = nothing is asked for: a pool's test, a beginning."""
        if kind == "_commit_gen":
            if self.pgconn.transaction_status == TransactionStatus.IDLE:
                return None
            return f"commit of '{self.said}'"
        if kind == "notifies":
            return None
        query = gen.gi_frame.f_locals.get("query", kind)
        text = query.decode() if isinstance(query, bytes) else str(query)
        if text == ";" or text.lower() == "select 1" or text.startswith(_TENANTS):
            return None
        self.said = " ".join(text.split())[:60]
        return f"'{self.said}'"


class _Producer:
    """A producer whose caller may die before, within and after a batch."""

    def __init__(self, process: Process, producer: Producer) -> None:
        self._process, self._producer = process, producer

    async def publish(self, messages: Sequence[OutMessage], *, timeout: float = 30) -> None:
        await self._send(self._producer.publish, messages, timeout)

    async def deliver(self, messages: Sequence[OutMessage], *, timeout: float = 30) -> None:
        await self._send(self._producer.deliver, messages, timeout)

    async def _send(
        self, send: Callable[..., Awaitable[None]], messages: Sequence[OutMessage], timeout: float
    ) -> None:
        half = len(messages) // 2
        topics = ", ".join(sorted({message.topic for message in messages}))
        await self._process.outside(
            f"publish to {topics}",
            functools.partial(send, messages, timeout=timeout),
            midway=functools.partial(send, messages[:half], timeout=timeout) if half else None,
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)


class _Seam:
    """Anything whose coroutines are calls to the outside."""

    def __init__(self, process: Process, inner: Any, name: str) -> None:
        self._process, self._inner, self._name = process, inner, name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._inner, attribute)
        call = f"{self._name} {attribute}"
        if inspect.iscoroutinefunction(value):
            return functools.partial(self._call, call, value)
        if inspect.isasyncgenfunction(value):
            return functools.partial(self._steps, call, value)
        return value

    async def _call(self, call: str, method: Any, *arguments: Any, **options: Any) -> Any:
        return await self._process.outside(call, functools.partial(method, *arguments, **options))

    async def _steps(self, call: str, method: Any, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        steps = method(*arguments, **options)
        end = object()
        try:
            while True:
                following = functools.partial(anext, steps, end)
                step = await self._process.outside(call, following, lasting=False)
                if step is end:
                    return
                yield step
        finally:
            await steps.aclose()


class Case(Protocol):
    """A small world with one process to be killed in it; made anew for each death."""

    async def live(self, process: Process) -> None:
        """Do, as a process that has just been started, all that there is to do; return when it is done.

        Everything that is not on the servers is made here, out of `process`.
        """
        ...

    async def time_passes(self) -> None:
        """Let end what the dead process held and what nobody takes from it before: leases and the like."""
        ...

    async def check(self) -> None:
        """Raise `AssertionError` unless everything that a user counts on is true."""
        ...


@dataclass(slots=True)
class Deaths:
    """Where a process was killed.

    Attributes:
        points: all the places that an undisturbed life came by.
        missed: those that another life did not come by, as it went a little differently.
    """

    points: list[Point]
    missed: list[Point] = field(default_factory=list)

    def calls(self) -> set[str]:
        """Return the kinds of calls that a process was killed around."""
        return {point.call for point in self.points}


async def die_everywhere(make: Callable[[], Awaitable[Case]]) -> Deaths:
    """Kill a process at every place where it speaks with the outside, start another, and check each time.

    Raises:
        AssertionError: something that a check counts on was not true; a note names the place.
    """
    engines = Engines()
    undisturbed = Process(engines=engines)
    case = await make()
    await undisturbed.live(case.live(undisturbed))
    await _checked(case, "undisturbed")
    deaths = Deaths(undisturbed.points)
    for point in deaths.points:
        case = await make()
        process = Process(point, engines)
        try:
            if await process.live(case.live(process)):
                await case.time_passes()
                successor = Process(engines=engines)
                await successor.live(case.live(successor))
            else:
                deaths.missed.append(point)
        except Exception as error:
            error.add_note(f"died {point}")
            raise
        await _checked(case, f"died {point}")
    reached = {(point.call, point.when) for point in deaths.points if point not in deaths.missed}
    kinds = {(point.call, point.when) for point in deaths.points}
    if kinds != reached:
        raise AssertionError(f"never died at {sorted(kinds - reached)}")
    return deaths


async def _checked(case: Case, what: str) -> None:
    try:
        await case.check()
    except AssertionError as error:
        error.add_note(what)
        raise
