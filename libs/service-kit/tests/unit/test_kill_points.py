"""The harness that kills processes: it looks everywhere, and finds what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from suppli_service_kit.testing.kill_points import Point, Process, ProcessDied, When, die_everywhere


class Servers:
    """Two stores that a process writes one after the other."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.done = 0

    async def send(self, number: int) -> None:
        self.sent.append(number)

    async def note(self, number: int) -> None:
        self.done = number

    async def work(self) -> AsyncIterator[int]:
        for number in range(self.done + 1, 4):
            yield number


class Mover:
    """Sends every number and notes how far it is."""

    def __init__(self, *, careless: bool = False, stubborn: bool = False) -> None:
        self.servers = Servers()
        self._careless, self._stubborn = careless, stubborn

    async def live(self, process: Process) -> None:
        servers = process.seam(self.servers, "server")
        async for number in servers.work():
            steps = [servers.send, servers.note]
            for step in reversed(steps) if self._careless else steps:
                try:
                    await step(number)
                except Exception:  # a handler that keeps going, whatever happens
                    pytest.fail("death is no exception")
                finally:
                    if self._stubborn:
                        await servers.note(3)

    async def time_passes(self) -> None:
        await asyncio.sleep(0)

    async def check(self) -> None:
        assert set(self.servers.sent) == {1, 2, 3}


async def test_every_place_is_tried_before_and_after() -> None:
    """A place left out is where the next sale is lost."""
    made: list[Mover] = []

    async def make() -> Mover:
        made.append(Mover())
        return made[-1]

    deaths = await die_everywhere(make)
    assert len(deaths.points) == 2 * 2 * 3 + 4
    assert len(made) == 1 + len(deaths.points)
    assert deaths.missed == []
    assert deaths.calls() == {"server send", "server note", "server work"}
    assert sorted({len(each.servers.sent) for each in made}) == [3, 4], "sent again only after the effect"


async def test_a_wrong_order_is_found_and_named() -> None:
    """A harness that finds nothing wrong with anything would pass for proof."""

    async def make() -> Mover:
        return Mover(careless=True)

    with pytest.raises(AssertionError) as found:
        await die_everywhere(make)
    assert found.value.__notes__ == ["died after server note (1)"]


async def test_the_dead_do_nothing_more() -> None:
    """What cleans up on its way out does not run in a process that was killed."""
    mover = Mover(stubborn=True)
    process = Process(Point("server send", 1, When.BEFORE))
    assert await process.live(mover.live(process))
    assert (mover.servers.sent, mover.servers.done) == ([], 0)
    with pytest.raises(ProcessDied):
        await process.seam(mover.servers, "server").send(1)


async def test_all_its_tasks_die_together() -> None:
    """A task that lives on would do a dead process's work, and no test would tell who did it."""
    servers = Servers()
    process = Process(Point("server note", 1, When.BEFORE))

    async def work() -> None:
        seam = process.seam(servers, "server")
        async with asyncio.TaskGroup() as group:
            group.create_task(_for_ever(seam))
            group.create_task(seam.note(1))

    assert await process.live(work())
    sent = len(servers.sent)
    await asyncio.sleep(0.01)
    assert len(servers.sent) == sent


async def _for_ever(servers: Servers) -> None:
    while True:
        await servers.send(0)
        await asyncio.sleep(0)


async def test_a_failure_of_the_work_is_no_death() -> None:
    """A bug would count as one more kill."""

    async def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Process().live(fails())
