"""The engine against a provider in memory: it is killed wherever it waits, and nothing may be lost or
doubled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from suppli_connector_kit.domain.decisions import Recorded
from suppli_connector_kit.domain.instants import SECOND_US, from_us, to_us
from suppli_connector_kit.engine.ports import (
    Job,
    LeaseLost,
    Limits,
    PageEntry,
    Report,
    RunCancelled,
)
from suppli_connector_kit.engine.run import SyncRun
from suppli_connector_kit.errors import CommandRefused, CursorExpired, NetworkError
from suppli_connector_kit.protocol import CatalogItem, LocationContext, Sale
from suppli_connector_kit.testing import MemoryOrder, MemoryProvider
from suppli_connector_kit.testing.memory import MemoryPorts
from suppli_contracts.codec import stable_id
from suppli_contracts.events.connections import (
    ConnectedLocation,
    ConnectionChanged,
    ConnectionState,
    ZonePeriod,
)
from suppli_contracts.events.sales import OrderState
from suppli_contracts.events.sync import Emptiness, NothingFound, Republish, RunKind
from suppli_service_kit.clock import FixedClock
from suppli_service_kit.testing.kill_points import Process, die_everywhere

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
NOW_US = to_us(NOW)


class Session:
    account_id = "ACCOUNT"
    environment = "production"

    async def access_token(self) -> str:
        return "token"

    async def superseding(self, refused: str) -> str | None:
        return None

    async def renewed(self, refused: str) -> str:
        return refused


class World(MemoryPorts):
    """A shop at a provider in memory, and everything of ours that survives a crash."""

    def __init__(self, page_size: int = 3, locations: Sequence[str] = ("L1",)) -> None:
        self.clock = FixedClock(NOW)
        self.provider = MemoryProvider(self.clock, page_size=page_size)
        super().__init__(lambda: self.provider.normaliser_revision)
        self.provider.access_tokens.add("token")
        self.provider.on_page = self.page
        self.fence = 0
        self.meanwhile: dict[int, MemoryOrder] = {}
        self.pages = 0
        self.report: Report | None = None
        self.locations = tuple(
            ConnectedLocation(
                location_id=name, chosen=True, suppli_location_id="S", zones=(ZonePeriod(timezone="UTC"),)
            )
            for name in locations
        )

    async def page(self, number: int) -> None:
        await asyncio.sleep(0)
        self.pages += 1
        if self.pages in self.meanwhile:
            self.provider.put(self.meanwhile.pop(self.pages))

    async def run(
        self,
        kind: RunKind = RunKind.MANUAL,
        *,
        republish: Republish | None = None,
        process: Process | None = None,
        **limits: Any,
    ) -> SyncRun:
        self.fence += 1
        connection = ConnectionChanged(
            tenant_id=UUID(int=1),
            connection_id=UUID(int=2),
            revision=1,
            provider="memory",
            environment="production",
            state=ConnectionState.CONNECTED,
            changed_at=NOW,
            account_id="ACCOUNT",
            start_date=(NOW - timedelta(days=3)).date(),
            locations=self.locations,
        )
        job = Job(
            connection,
            UUID(int=3),
            1,
            kind,
            self.fence,
            republish=republish,
            coverage=dict(self.covered),
            waiting=dict(self.waiting),
        )
        living = process or Process()
        ports = living.seam(self, "port")
        run = SyncRun(
            living.seam(self.provider, "provider"),
            Session(),
            job,
            books=ports,
            publisher=living.producer(self),  # type: ignore[arg-type]
            lease=ports,
            queue=ports,
            clock=self.clock,
            limits=Limits(bulk_wait_seconds=0.001, **limits),
            history=self,
        )
        self.report = run.report
        await run.run()
        return run

    def stands(self) -> dict[str, int]:
        """Return each order's net as a consumer has it."""
        return {key: sum(line.net for line in sale.lines) for key, sale in self.standing().items()}

    def truth(self) -> dict[str, int]:
        return {key: order.net for key, order in self.provider.orders_by_key.items() if not order.broken}


def order(number: int, seconds_ago: float, net: int = 100, location: str = "L1") -> MemoryOrder:
    return MemoryOrder(f"O{number}", location, NOW_US - int(seconds_ago * SECOND_US), net)


def orders(count: int, step: float = 60) -> list[MemoryOrder]:
    return [order(number, 3600 + (count - number) * step, 100 + number) for number in range(count)]


class Killed:
    """A shop of eleven orders and one that nobody understands; two change while they are read."""

    kind = RunKind.MANUAL
    republish: Republish | None = None

    def __init__(self) -> None:
        self.world = World()
        self.bad = MemoryOrder("bad", "L1", NOW_US - 7200 * SECOND_US, broken=True)
        self.world.provider.put(*orders(11), self.bad)

    async def made(self) -> Killed:
        # while page 3 is read an order of page 1 changes, and one of the last page
        self.world.meanwhile = {3: order(0, 1800, 777), 4: order(10, 1700, 888)}
        return self

    async def live(self, process: Process) -> None:
        await self.world.run(self.kind, republish=self.republish, process=process)

    async def time_passes(self) -> None:
        for late in list(self.world.meanwhile.values()):
            self.world.provider.put(late)

    async def check(self) -> None:
        world = self.world
        assert world.stands() == world.truth()
        assert world.waiting == {"bad": 1}
        by_id: dict[str, set[tuple[str, int]]] = {}
        for event_id, sale in world.said:
            by_id.setdefault(event_id, set()).add((sale.order_id, sale.totals.total))
        assert all(len(contents) == 1 for contents in by_id.values()), "one id, one content"


class KilledInSweep(Killed):
    """The same shop, imported before; then an order vanishes."""

    kind = RunKind.SWEEP

    async def made(self) -> Killed:
        await self.world.run()
        del self.world.provider.orders_by_key["O3"]
        return self


class KilledInRepublish(KilledInSweep):
    """The same shop after the sweep; a reader that lost its data gets all of it, deletions included."""

    kind = RunKind.REPUBLISH
    republish = Republish(from_at=NOW - timedelta(days=1), order_ids=("O2", "O3"))

    async def made(self) -> Killed:
        await super().made()
        await self.world.run(RunKind.SWEEP)
        self.world.said.clear()
        return self

    async def check(self) -> None:
        await super().check()
        assert {sale.order_id for _, sale in self.world.said} == {f"O{number}" for number in range(11)}


@pytest.mark.parametrize("kind", [Killed, KilledInSweep, KilledInRepublish])
async def test_a_crash_anywhere_loses_nothing_and_doubles_nothing(kind: type[Killed]) -> None:
    """Killed at any place where it waits, a second run must end with the provider's truth, by the same
    event ids.
    """
    deaths = await die_everywhere(lambda: kind().made())
    assert len(deaths.points) >= 30, "the world reaches the walk"


async def test_coverage_ends_at_the_providers_clock_less_the_lag() -> None:
    """An order written at the very end of the window would be skipped for good."""
    world = World()
    world.provider.put(*orders(4), order(9, 1, 5))  # changed a second ago: within the lag
    run = await world.run()
    assert run.coverage["L1"][-1][1] == NOW_US - 2 * SECOND_US
    world.clock.advance(timedelta(minutes=5))
    await world.run()
    assert world.stands() == world.truth()


async def test_a_provider_whose_clock_is_ahead_is_followed_by_its_own_clock() -> None:
    """With our clock behind, the newest sales would stay out until it catches up."""
    world = World()
    ahead = FixedClock(NOW + timedelta(hours=2))
    world.provider._clock = ahead
    world.provider.put(order(1, -3600))
    run = await world.run()
    assert run.coverage["L1"][-1][1] > NOW_US + 3600 * SECOND_US
    assert world.stands() == world.truth()


async def test_many_orders_at_one_instant_end_and_are_all_said() -> None:
    """An import of a thousand sales of one instant would loop for ever, or lose those beyond the first
    page.
    """
    world = World(page_size=3)
    world.provider.put(*(order(number, 600) for number in range(10)))
    await asyncio.wait_for(world.run(), 5)
    assert world.stands() == world.truth()


async def test_an_expired_cursor_starts_again_at_the_last_instant_seen() -> None:
    """A slow walk would start from its beginning each time and never end."""
    world = World()
    world.provider.put(*orders(20))
    expired: list[int] = []

    async def expire(number: int) -> None:
        if number == 2 and len(expired) < 4:
            expired.append(number)
            raise CursorExpired("the cursor is too old")

    world.provider.on_page = expire
    await world.run()
    asked = [call for call in world.provider.calls if call.startswith("orders")]
    assert len(asked) == 5
    assert asked == sorted(asked), "each restart is later than the one before"
    assert len(set(asked)) == 5
    assert world.stands() == world.truth()


async def test_a_cursor_that_always_expires_ends_the_run() -> None:
    """The worker would be busy for ever."""
    world = World()
    world.provider.put(*(order(number, 600) for number in range(10)))

    async def expire(number: int) -> None:
        if number == 1:
            raise CursorExpired("the cursor is too old")

    world.provider.on_page = expire
    with pytest.raises(CursorExpired):
        await asyncio.wait_for(world.run(), 5)


async def test_a_failing_provider_leaves_recorded_what_was_published() -> None:
    """Every failure would cost all pages of the run."""
    world = World()
    world.provider.put(*orders(9))

    async def fail(number: int) -> None:
        if number == 2:
            raise NetworkError("away")

    world.provider.on_page = fail
    with pytest.raises(NetworkError):
        await world.run()
    assert len(world.hashes) == 6
    assert world.covered["L1"][-1][1] == orders(9)[4].modified_us
    world.provider.on_page = None
    before = len(world.said)
    await world.run()
    assert world.stands() == world.truth()
    assert len(world.said) == before + 3, "what is unchanged is not said again"


async def test_without_enough_lease_nothing_is_published() -> None:
    """Two holders would publish at once."""
    world = World()
    world.provider.put(*orders(2))
    world.left = 9.0
    with pytest.raises(LeaseLost):
        await world.run()
    assert world.said == []


async def test_a_backfill_waits_for_those_who_are_behind_and_a_manual_run_does_not() -> None:
    """Somebody's history would hold up another tenant's sale of this minute."""
    world = World()
    world.provider.put(*orders(2))
    world.lagging = [9_000, 6_000, 4_000]
    await world.run(RunKind.BACKFILL)
    assert world.lagging == []
    other = World()
    other.provider.put(*orders(2))
    other.lagging = [9_000]
    await other.run(RunKind.MANUAL)
    assert other.lagging == [9_000]


async def test_a_long_run_waits_like_a_backfill_whatever_it_was_asked_for() -> None:
    """A shop that syncs by hand after months would hold up all others for as long as a backfill."""
    world = World()
    world.provider.put(*orders(30))
    world.lagging = [9_000, 4_000]
    await world.run(RunKind.MANUAL)
    assert len(world.said) == 30
    assert world.lagging == []


async def test_a_cancelled_run_keeps_what_it_recorded() -> None:
    """Cancelling would throw away an hour of import."""
    world = World()
    world.provider.put(*orders(9))
    record = world.record

    async def cancelled(entry: PageEntry, report: Report) -> None:
        await record(entry, report)
        raise RunCancelled

    world.record = cancelled  # type: ignore[method-assign]
    with pytest.raises(RunCancelled):
        await world.run()
    assert world.hashes


async def test_set_aside_orders_are_read_again_when_the_reading_improves() -> None:
    """An order that could not be understood would be missing for good."""
    world = World()
    world.provider.put(
        order(1, 600),
        MemoryOrder("odd", "L1", NOW_US - 7200 * SECOND_US, broken=True),
        MemoryOrder("gone", "L1", NOW_US - 7100 * SECOND_US, broken=True),
    )
    await world.run()
    assert sorted(world.waiting) == ["gone", "odd"]
    world.clock.advance(timedelta(days=2))
    del world.provider.orders_by_key["gone"]
    world.provider.orders_by_key["odd"] = MemoryOrder("odd", "L1", NOW_US - 7200 * SECOND_US, 42)
    await world.run()
    assert "odd" in world.waiting, "the same reading would fail again"
    world.provider.normaliser_revision = 2
    await world.run()
    assert world.waiting == {}
    assert world.stands()["odd"] == 42


async def test_republish_says_what_is_unchanged_again_by_the_same_ids() -> None:
    """A consumer that lost its data could not be given it again, or would count it twice."""
    world = World()
    world.provider.put(*orders(4))
    await world.run()
    await world.run(RunKind.SWEEP)
    assert len(world.said) == 4
    await world.run(RunKind.REPUBLISH, republish=Republish(order_ids=("O1", "never heard of")))
    from_at, to_at = (from_us(world.provider.orders_by_key[key].modified_us) for key in ("O1", "O3"))
    await world.run(RunKind.REPUBLISH, republish=Republish(from_at=from_at, to_at=to_at))
    again = world.said[4:]
    assert [sale.order_id for _, sale in again] == ["O1", "O1", "O2"], "only what is asked for"
    first = {sale.order_id: (event_id, sale) for event_id, sale in world.said[:4]}
    for event_id, sale in again:
        before_id, before = first[sale.order_id]
        assert event_id == before_id
        assert sale.observed > before.observed
        assert sale.source_version == before.source_version
        assert sale.content_hash == before.content_hash
    assert world.stands() == world.truth()


async def test_republish_says_again_what_is_gone() -> None:
    """A consumer that lost a deletion would count the sale for ever: no walk shows what is not there."""
    world = World()
    world.provider.put(*orders(5))
    await world.run()
    for key in ("O1", "O3"):
        del world.provider.orders_by_key[key]
    await world.run(RunKind.SWEEP)
    lost, world.said = world.said, []
    await world.run(RunKind.REPUBLISH, republish=Republish(from_at=NOW - timedelta(days=1)))
    assert world.stands() == world.truth()
    said = {sale.order_id: (event_id, sale.state) for event_id, sale in world.said}
    was = {sale.order_id: (event_id, sale.state) for event_id, sale in lost}
    assert said == was
    world.said.clear()
    await world.run(RunKind.REPUBLISH, republish=Republish(order_ids=("O3", "O4")))
    assert {sale.order_id: (event_id, sale.state) for event_id, sale in world.said} == {
        key: was[key] for key in ("O3", "O4")
    }


async def test_republish_finds_what_is_new_as_every_run_does() -> None:
    """A sync that was asked for meanwhile is served by this run: its sales would stay out."""
    world = World()
    await world.run()
    world.clock.advance(timedelta(hours=1))
    world.provider.put(order(1, -1800))
    await world.run(RunKind.REPUBLISH, republish=Republish(order_ids=("other",)))
    assert world.stands() == world.truth()


async def test_republish_of_nothing_says_so() -> None:
    """The run would succeed, and nobody have got anything."""
    world = World()
    for asked in (None, Republish(), Republish(from_at=NOW, to_at=NOW)):
        with pytest.raises(CommandRefused, match="not clear"):
            await world.run(RunKind.REPUBLISH, republish=asked)


async def test_a_sweep_finds_what_the_provider_learned_late() -> None:
    """Sales from a till that was offline would never arrive."""
    world = World()
    await world.run()
    world.clock.advance(timedelta(hours=1))
    world.provider.put(order(1, 40 * 3600))
    await world.run()
    assert world.said == []
    await world.run(RunKind.SWEEP)
    assert world.stands() == world.truth()


async def test_an_order_that_vanished_ends_at_zero_once() -> None:
    """A sale that was deleted or merged away at the till would count for ever."""
    world = World()
    world.provider.put(*orders(8))
    await world.run()
    del world.provider.orders_by_key["O2"], world.provider.orders_by_key["O7"]
    await world.run()
    assert len(world.said) == 8, "only the sweep looks for what is not there"
    await world.run(RunKind.SWEEP)
    gone = [sale for _, sale in world.said[8:]]
    assert sorted(sale.order_id for sale in gone) == ["O2", "O7"]
    assert all((sale.state, sale.lines, sale.adjustments) == (OrderState.DELETED, (), ()) for sale in gone)
    assert {(sale.location_id, sale.currency, sale.totals.total) for sale in gone} == {("L1", "USD", 0)}
    assert world.stands() == world.truth()
    await world.run(RunKind.SWEEP)
    assert len(world.said) == 10, "said once"


async def test_an_order_that_comes_back_counts_again() -> None:
    """Taken for deleted after an odd answer of the provider, a sale would stay away for good."""
    world = World()
    world.provider.put(*orders(3))
    await world.run()
    back = world.provider.orders_by_key.pop("O1")
    await world.run(RunKind.SWEEP)
    assert "O1" not in world.stands()
    world.provider.put(back)
    await world.run(RunKind.SWEEP)
    assert world.stands() == world.truth()


async def test_what_a_sweep_did_not_list_but_is_there_stays() -> None:
    """A sale that moved on while pages were read would be taken for deleted."""
    world = World()
    world.provider.put(*orders(3))
    await world.run()
    moved = replace(world.provider.orders_by_key["O1"], modified_us=NOW_US + 3600 * SECOND_US, net=7)
    world.provider.put(moved)
    await world.run(RunKind.SWEEP)
    assert world.stands() == world.truth()
    assert all(sale.state is not OrderState.DELETED for _, sale in world.said)


async def test_an_old_order_is_not_asked_for_daily() -> None:
    """A shop of many years would be read by id every night."""
    world = World()
    world.provider.put(*orders(3))
    await world.run()
    world.clock.advance(timedelta(days=5))
    world.provider.calls.clear()
    await world.run(RunKind.SWEEP)
    assert not [call for call in world.provider.calls if call.startswith("by id")]


async def test_an_order_that_no_longer_counts_is_taken_back() -> None:
    """After a change of zone a sale of the first day may be from before it: it would stand for ever."""
    world = World()
    world.provider.put(order(1, 600))
    await world.run()
    old = replace(world.provider.orders_by_key["O1"], occurred_at=NOW - timedelta(days=30))
    world.provider.put(replace(old, modified_us=NOW_US - 60 * SECOND_US))
    await world.run()
    assert world.stands() == {"O1": 0}


async def test_a_sale_made_this_moment_is_said_now_and_never_twice() -> None:
    """Who asks for a sync right after a sale looks for that sale; the next sync must not double it."""
    world = World()
    await world.run()
    world.provider.put(order(1, 0.5))  # within the safety lag
    run = await world.run()
    assert world.stands() == world.truth()
    assert run.coverage["L1"][-1][1] == NOW_US - 2 * SECOND_US, "the lag is not covered yet"
    await world.run()
    world.clock.advance(timedelta(minutes=1))
    run = await world.run()
    assert run.coverage["L1"][-1][1] > world.provider.orders_by_key["O1"].modified_us
    assert len(world.said) == 1


async def test_two_syncs_within_a_second_both_look_at_the_newest() -> None:
    """Everything was covered a moment ago, so the second sync would look at nothing."""
    world = World()
    await world.run()
    world.clock.advance(timedelta(seconds=1))
    world.provider.put(order(1, -0.9))
    await world.run()
    world.provider.put(order(2, -1.0))
    await world.run()
    assert world.stands() == world.truth()
    assert len(world.said) == 2


async def test_a_sale_written_late_within_the_lag_is_found_by_the_next_run() -> None:
    """A stamp older than one already read, written after it, would be lost if the newest were covered."""
    world = World()
    world.provider.put(order(1, 0.2))
    await world.run()
    world.provider.put(order(2, 1.5))
    world.clock.advance(timedelta(minutes=3))
    await world.run(overlap=timedelta(0))
    assert world.stands() == world.truth()


async def test_a_hole_in_the_coverage_is_filled_by_itself() -> None:
    """A gap would go unseen."""
    world = World()
    world.provider.put(*orders(5))
    await world.run()
    start, end = world.covered["L1"][0]
    late = order(77, 24 * 3600)
    world.provider.put(late)
    world.covered["L1"] = ((start, late.modified_us - SECOND_US), (late.modified_us + SECOND_US, end))
    run = await world.run()
    assert world.stands() == world.truth()
    assert len(run.coverage["L1"]) == 1


async def test_groups_of_locations_are_walked_side_by_side() -> None:
    """An account of many locations would take many times as long, or lose some of them."""
    names = [f"L{number:02}" for number in range(25)]
    world = World(locations=names)
    world.provider.put(*(order(n, 3600 - n, location=name) for n, name in enumerate(names)))
    run = await world.run()
    assert world.stands() == world.truth()
    assert len(run.coverage) == 25
    asked = [call for call in world.provider.calls if call.startswith("orders")]
    assert len(asked) == 3


async def test_the_catalog_says_changes_and_deletions_once() -> None:
    """Items would be said at every run, or one that is gone would stay."""
    world = World()
    world.provider.items = [CatalogItem("V1", "item", name="Coffee"), CatalogItem("V2", "item", name="Tea")]  # type: ignore[arg-type]
    run = await world.run()
    assert run.report.tally.items_published == 2
    world.token = None
    world.provider.items = [CatalogItem("V1", "item", name="Kaffee"), CatalogItem("V9", "item", deleted=True)]  # type: ignore[arg-type]
    run = await world.run()
    assert run.report.tally.items_published == 2
    gone = world.items["V2"]
    assert (gone.item.deleted, gone.item.name, gone.revision) == (True, "Tea", 2)
    assert "V9" not in world.items
    world.token = None
    assert (await world.run()).report.tally.items_published == 0


async def test_event_ids_are_the_contracts_stable_ids() -> None:
    """Repeats of one sale would not be recognized by anybody else's reading of the contract."""
    world = World()
    world.provider.put(*orders(3))
    await world.run()
    for event_id, sale in world.said:
        parts = ("sale", sale.connection_id, sale.order_id, sale.source_version, sale.content_hash)
        assert event_id == str(stable_id(*parts))


async def test_an_order_too_large_for_kafka_is_set_aside_and_the_rest_goes_on() -> None:
    """One monstrous order would end every sync of its shop."""
    world = World()
    world.provider.put(*orders(2), order(7, 900))
    read = world.provider.normalise

    def monstrous(raw: MemoryOrder, location: LocationContext) -> Sale:
        sale = read(raw, location)
        if raw.order_id != "O7":
            return sale
        lines = tuple(
            msgspec.structs.replace(sale.lines[0], line_id="x" * 1000 + str(n)) for n in range(1000)
        )
        return msgspec.structs.replace(sale, lines=lines)

    world.provider.normalise = monstrous  # type: ignore[method-assign]
    await world.run()
    assert sorted(world.stands()) == ["O0", "O1"]
    assert sorted(world.waiting) == ["O7"]


async def test_a_run_that_finds_nothing_says_what_that_is_worth() -> None:
    """A till that is off, or a provider that gives an empty list, would read as a day without sales."""
    world = World(locations=("L1", "L2"))
    await world.run()
    assert world.report is not None
    assert world.report.nothing_found == NothingFound(outcome=Emptiness.EMPTY_VERIFIED)
    week = 7 * 24 * 3600
    for ago in (1, 2):
        world.provider.put(order(ago, ago * week - 60))
    for sold in world.provider.orders_by_key.values():
        world.recorded[sold.order_id] = Recorded(sold.order_id, "L1", "USD", "hash", sold.modified_us)
    world.provider.orders_by_key.clear()
    world.clock.advance(timedelta(hours=2) - (world.clock.now() - NOW))
    await world.run()
    found = world.report.nothing_found
    assert found is not None
    assert (found.outcome, found.location_ids) == (Emptiness.SUSPECT, ("L1",))
    world.clock.advance(timedelta(hours=2, minutes=10) - (world.clock.now() - NOW))
    await world.run()
    assert world.report.nothing_found == NothingFound(outcome=Emptiness.EMPTY_VERIFIED), "a lull is no news"
    world.provider.put(order(7, -9_000))
    world.clock.advance(timedelta(hours=3) - (world.clock.now() - NOW))
    await world.run()
    assert world.report.nothing_found is None, "something was found"


async def test_a_run_that_asked_for_no_location_has_verified_nothing() -> None:
    """A connection whose locations nobody tied would be green and empty for ever."""
    world = World(locations=())
    await world.run()
    assert world.report is not None
    assert world.report.nothing_found is not None
    assert world.report.nothing_found.outcome is Emptiness.SUSPECT
