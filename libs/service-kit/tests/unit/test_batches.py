"""How a batch is worked through, without a broker."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError
from suppli_contracts.errors import UnknownEvent
from suppli_service_kit.kafka.batches import BadMessage, Streak, work_through
from suppli_service_kit.kafka.consumer import STALLED_SECONDS, Subscription, frontier, runs
from suppli_service_kit.kafka.messages import InMessage


def message(offset: int, partition: int = 0) -> InMessage:
    return InMessage("t", partition, offset, b"k", str(offset).encode(), {}, 0)


class Store:
    """A handler like a transaction: all of a batch or nothing."""

    def __init__(self, bad: set[int], broken_at: int | None = None, *, names_it: bool = False) -> None:
        self.bad, self.broken_at, self.names_it = bad, broken_at, names_it
        self.kept: list[int] = []

    async def __call__(self, messages: Sequence[InMessage]) -> None:
        for each in messages:
            if each.offset == self.broken_at:
                raise ConnectionError
            if each.offset in self.bad:
                raise BadMessage("bad", each if self.names_it else None)
        self.kept += [each.offset for each in messages]


@given(
    size=st.integers(1, 40),
    bad=st.sets(st.integers(0, 39)),
    broken=st.none() | st.integers(0, 39),
    named=st.booleans(),
)
async def test_what_is_committed_is_exactly_what_is_durable_or_bad(
    size: int, bad: set[int], broken: int | None, named: bool
) -> None:
    """An offset too far loses messages, one too near repeats them for ever."""
    store = Store(bad, broken, names_it=named)
    batch = [message(n, partition=n % 3) for n in range(size)]
    batch.sort(key=lambda each: each.partition)
    outcome = await work_through(batch, store, Streak())
    ends, starts = frontier(runs(batch), outcome)
    reached = {each.offset for each in batch if each.offset < ends.get(("t", each.partition), 0)}  # type: ignore[call-overload]
    aside = {each.offset for each, _ in outcome.bad}
    assert reached <= set(store.kept) | aside
    assert len(store.kept) == len(set(store.kept))
    assert aside <= bad
    if broken is None or broken >= size:
        assert outcome.transient is None
        assert not starts
        assert reached == set(range(size))
        assert aside == {n for n in bad if n < size}
    else:
        assert isinstance(outcome.transient, ConnectionError)
        assert broken not in reached
        for partition, start in starts.items():
            assert start >= ends.get(partition, 0)


async def test_order_within_a_batch_survives_halving() -> None:
    """An older state of an order must not be applied after a newer one because a neighbour was bad."""
    store = Store({3, 11})
    await work_through([message(n) for n in range(16)], store, Streak())
    assert store.kept == [n for n in range(16) if n not in (3, 11)]


async def test_more_than_fifty_bad_in_a_row_stop_the_setting_aside() -> None:
    """A broken release must not empty a topic into its dead letters."""
    streak = Streak()
    first = await work_through([message(n) for n in range(60)], Store(set(range(60))), streak)
    assert len(first.bad) == 50
    assert first.transient is not None
    again = await work_through([message(n) for n in range(50, 60)], Store(set(range(60))), streak)
    assert not again.bad
    assert again.transient is not None
    mended = await work_through([message(n) for n in range(50, 60)], Store(set()), streak)
    assert mended.transient is None
    assert streak.length == 0


async def test_a_race_of_two_writers_is_not_taken_for_bad_data() -> None:
    """A unique violation by a concurrent writer passes the second time; set aside, a sale would be lost."""
    calls = 0

    async def races(messages: Sequence[InMessage]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise IntegrityError("insert", {}, Exception("duplicate key"))

    outcome = await work_through([message(0)], races, Streak())
    assert not outcome.bad
    assert outcome.transient is None


@pytest.mark.parametrize("error", [UnknownEvent("x.v9"), BadMessage("no")])
async def test_wrong_data_is_permanent(error: Exception) -> None:
    """Wrong data tried again for ever would block everything behind it."""

    async def refuses(messages: Sequence[InMessage]) -> None:
        raise error

    outcome = await work_through([message(0)], refuses, Streak())
    assert [bad.offset for bad, _ in outcome.bad] == [0]


def test_a_consumer_is_stuck_only_when_messages_wait_and_nothing_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Restarting a process because its database is away would add to the outage; one that hangs must go."""
    reading = Subscription(("t",), "g", Store(set()), 10, 20)
    waiting = {TopicPartition("t", 0): 5}
    monkeypatch.setattr(Subscription, "lag", lambda self: waiting)
    assert not reading.is_stalled()
    reading.turned_at -= STALLED_SECONDS + 1
    assert reading.is_stalled()
    waiting.clear()
    assert not reading.is_stalled()


async def test_a_batch_may_hold_hundreds_of_bad_messages() -> None:
    """Half of a large batch being bad must still let the other half through."""
    store = Store(set(range(0, 2_000, 2)), names_it=True)
    outcome = await work_through([message(n) for n in range(2_000)], store, Streak())
    assert outcome.transient is None
    assert store.kept == list(range(1, 2_000, 2))
    assert len(outcome.bad) == 1_000
