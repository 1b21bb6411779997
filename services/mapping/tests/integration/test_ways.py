"""A till whose sales come by its connection and by files: each day counts once, whichever way it came."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import count
from uuid import UUID, uuid4

import pytest
from suppli_contracts import topics
from suppli_contracts.codec import decode
from suppli_contracts.events import ProductSaleRecorded, SalesDayStated
from suppli_contracts.events.connections import Way
from suppli_contracts.events.days import DayState, WayUse
from suppli_contracts.events.sales import Cause, Disposition
from suppli_contracts.events.sync import Coverage, CoveredDays, RunKind, RunState, SyncRunChanged
from suppli_mapping.daykeeping import DayKeeper
from suppli_mapping.hearing import RunHearer
from suppli_mapping.restating import Restater
from suppli_service_kit.clock import SystemClock
from suppli_service_kit.direct import DirectPublisher
from suppli_service_kit.testing.kill_points import Process, die_everywhere
from suppli_service_kit.testing.topics import Tail

from .conftest import DAY, InLedger, Parts, Shop, line, message, until

WEEK = [DAY + timedelta(days=number) for number in range(7)]
LATER = datetime(2026, 6, 1, tzinfo=UTC)


class Till:
    """A shop's till: a connection, and files that stand for it; both sell `cola`, mapped to one product."""

    def __init__(self, parts: Parts, tail: Tail, *, way: Way | None = None) -> None:
        self.parts, self._tail = parts, tail
        self.own = Shop(parts)
        self.files = Shop(parts, tenant_id=self.own.tenant_id)
        self.way = way or Way(stands_for=self.own.connection_id)
        self.sales: dict[tuple[UUID, int], ProductSaleRecorded] = {}
        self.days: dict[tuple[str, date], SalesDayStated] = {}
        self._at = LATER

    async def made(self) -> Till:
        await self.own.connect(start_date=WEEK[0])
        await self.files.connect(way=self.way, start_date=WEEK[0])
        await self.own.product("p-cola")
        for shop in (self.own, self.files):
            void = line(net=0, day=date(2026, 1, 1), disposition=Disposition.VOID_NOT_MADE)
            await shop.sell(shop.sale("opening", void))
            await shop.map("id:cola", "p-cola")
        return self

    async def sold(self, shop: Shop, days: Sequence[date], *, net: int = 100, orders: int = 2) -> None:
        """Let a way bring what the till sold on these days."""
        await shop.sell(
            *(
                shop.sale(f"{day}-{number}", line(net=net, day=day), version=net)
                for day in days
                for number in range(orders)
            )
        )

    async def ended(
        self,
        shop: Shop,
        *,
        covered: tuple[date, date] | None = None,
        days: Sequence[date] = (),
        withdrawn: bool = False,
        hearer: RunHearer | None = None,
    ) -> None:
        """Let a run end that covers the connection's time up to the begin of a date, or a file's days."""
        self._at += timedelta(minutes=1)
        spans = None
        if covered is not None:
            edges = [datetime(each.year, each.month, each.day, tzinfo=UTC) for each in covered]
            spans = (Coverage(location_id="L1", stream="orders", from_at=edges[0], to_at=edges[1]),)
        filed = tuple(
            CoveredDays(location_id="L1", from_date=day, to_date=day, withdrawn=withdrawn) for day in days
        )
        event = SyncRunChanged(
            tenant_id=shop.tenant_id,
            connection_id=shop.connection_id,
            provider="any",
            run_id=uuid4(),
            attempt=1,
            sequence=2,
            kind=RunKind.MANUAL,
            state=RunState.SUCCEEDED,
            at=self._at,
            coverage=spans,
            days=filed,
        )
        await (hearer or self.parts.hearer).on_sync_events([message(event)])

    async def settle(self, keeper: DayKeeper | None = None) -> None:
        """Let everything be decided and said, and read it."""
        await self.parts.settle(keeper)
        await self.relayed()
        await self.read()

    async def read(self) -> None:
        """Read what was published since."""
        for record in await self._tail.read_on():
            if record.value is None:
                continue
            envelope, event = decode({key: value.decode() for key, value in record.headers}, record.value)
            if envelope.tenant != self.own.tenant_id:
                continue
            if isinstance(event, ProductSaleRecorded):
                self.sales[event.entry_key, event.entry_version] = event
            elif isinstance(event, SalesDayStated):
                held = self.days.get((event.location_id, event.business_date))
                if held is None or held.revision <= event.revision:
                    self.days[event.location_id, event.business_date] = event

    async def relayed(self) -> None:
        """Wait until nothing is left in the outbox."""

        async def empty() -> bool:
            async with self.parts.relay_database.transaction() as connection:
                return not (await connection.exec_driver_sql("select 1 from outbox limit 1")).all()

        await until(empty, what="publishing the outbox")

    def sums(self) -> dict[date, tuple[Fraction, int]]:
        """Return what a consumer has that adds up deltas: quantity and net by day."""
        found: defaultdict[date, list[Fraction]] = defaultdict(lambda: [Fraction(0), Fraction(0)])
        for sale in self.sales.values():
            found[sale.business_date][0] += Fraction(sale.delta.quantity)
            found[sale.business_date][1] += sale.delta.net
        return {day: (each[0], int(each[1])) for day, each in found.items() if any(each)}

    def uses(self, day: date) -> dict[str, WayUse]:
        """Return which way counts by the day's statement."""
        names = {self.own.connection_id: "own", self.files.connection_id: "files"}
        return {names[way.connection_id]: way.use for way in self.days["bar", day].ways}

    def check_statements(self) -> None:
        """Hold each day's statement against what a consumer has, and its own money against the provider's."""
        sums = self.sums()
        for (_, day), stated in self.days.items():
            entries = 0
            for way in stated.ways:
                for money in way.money:
                    groups = (
                        money.entries, money.parked, money.ignored, money.superseded, money.other,
                        money.adjustments,
                    )  # fmt: skip
                    assert sum(group.net for group in groups) == money.provider_net
                    entries += money.entries.net
            assert entries == sums.get(day, (0, 0))[1], day


class Switching:
    """A day of a till is switched from the file to the connection, or back; killed anywhere in between."""

    def __init__(self, till: Till, *, to_own: bool) -> None:
        self.till, self._to_own = till, to_own
        self._heard = False

    async def live(self, process: Process) -> None:
        parts = self.till.parts
        database = process.database(parts.urls.app_url)
        relay_database = process.database(parts.urls.relay_url, pool=2)
        direct = DirectPublisher(relay_database, process.producer(parts.producer))
        restater = Restater(database, relay_database, SystemClock(), direct, outbox_limit=10**9)
        keeper = DayKeeper(
            database, relay_database, SystemClock(), InLedger(), wake=restater.wake, quiet=0, latest=0
        )
        if not self._heard:
            hearer = RunHearer(database)
            covered = (WEEK[0], WEEK[1]) if self._to_own else (WEEK[1], WEEK[2])
            await self.till.ended(self.till.own, covered=covered, hearer=hearer)
            await process.outside("commit of offsets", self._commit)
        worked = 1
        while worked:
            await self.till.relayed()  # days are stated behind what the outbox holds of them
            worked = await keeper.round() + await restater.round()

    async def _commit(self) -> None:
        self._heard = True

    async def time_passes(self) -> None:
        async with self.till.parts.relay_database.transaction() as connection:
            await connection.exec_driver_sql("update outbox set held_until = null")

    async def check(self) -> None:
        till = self.till
        await till.settle()
        assert till.sums() == {WEEK[0]: (Fraction(2), 220 if self._to_own else 200)}
        versions: defaultdict[UUID, list[int]] = defaultdict(list)
        for key, version in till.sales:
            versions[key].append(version)
        for key, said in versions.items():
            assert sorted(said) == list(range(1, len(said) + 1)), f"each version of {key} once"
        counting = [way for way, use in till.uses(WEEK[0]).items() if use is WayUse.COUNTS]
        assert counting == ["own" if self._to_own else "files"]
        till.check_statements()


@pytest.fixture
async def tail(parts: Parts) -> AsyncIterator[Tail]:
    async with parts.database.transaction() as connection:  # what other tests of this database left to do
        await connection.exec_driver_sql("delete from day_marks")
        await connection.exec_driver_sql("delete from dirty_days")
    made = Tail(parts.bootstrap, topics.SALES_PRODUCTS, topics.SALES_DAYS)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def till(parts: Parts, tail: Tail) -> Till:
    return await Till(parts, tail).made()


async def test_a_week_by_file_counts_once_when_the_connection_is_back(till: Till) -> None:
    """The outage is bridged by files, and stock would go down twice for it."""
    await till.sold(till.files, WEEK)
    await till.ended(till.files, days=WEEK)
    await till.settle()
    week = {day: (Fraction(2), 200) for day in WEEK}
    assert till.sums() == week
    assert till.uses(WEEK[3]) == {"own": WayUse.SUPERSEDED, "files": WayUse.COUNTS}
    assert till.days["bar", WEEK[3]].state is DayState.COMPLETE

    before = set(till.sales)
    await till.sold(till.own, WEEK, net=110)  # the connection is back and knows more than the file
    await till.settle()
    assert till.sums() == week, "nothing counts before its day is complete"
    await till.ended(till.own, covered=(WEEK[0], WEEK[6] + timedelta(days=1)))
    await till.settle()
    assert till.sums() == {day: (Fraction(2), 220) for day in WEEK}
    assert till.uses(WEEK[3]) == {"own": WayUse.COUNTS, "files": WayUse.SUPERSEDED}
    switched = [sale for key, sale in till.sales.items() if key not in before]
    assert {sale.cause for sale in switched} == {Cause.SUPERSEDED}
    assert len(switched) == 28, "each of 14 orders ends by file and begins by connection"
    assert sum(sale.delta.net for sale in switched) == 7 * 20
    till.check_statements()
    files = next(way for way in till.days["bar", WEEK[3]].ways if way.use is WayUse.SUPERSEDED)
    assert (files.money[0].superseded.net, files.money[0].provider_net) == (200, 200), "it stays visible"


async def test_a_file_for_a_day_that_the_connection_has_never_counts_for_a_moment(till: Till) -> None:
    """Stock would dip and come back, and an order would be sent to a vendor in between."""
    await till.sold(till.own, WEEK[:1])
    await till.ended(till.own, covered=(WEEK[0], WEEK[1]))
    await till.settle()
    await till.sold(till.files, WEEK[:1])
    await till.ended(till.files, days=WEEK[:1])
    await till.settle()
    assert till.sums() == {WEEK[0]: (Fraction(2), 200)}
    assert {sale.connection_id for sale in till.sales.values()} == {till.own.connection_id}
    till.check_statements()


async def test_a_day_that_is_no_longer_covered_falls_back_to_the_file_and_to_nothing(till: Till) -> None:
    """A file's day that was undone would stay in the figures, or a hole would be taken for a quiet day."""
    await till.sold(till.own, WEEK[:1], orders=1)
    await till.sold(till.files, WEEK[:1], orders=3)
    await till.ended(till.files, days=WEEK[:1])
    await till.ended(till.own, covered=(WEEK[0], WEEK[1]))
    await till.settle()
    assert till.sums() == {WEEK[0]: (Fraction(1), 100)}
    await till.ended(till.own, covered=(WEEK[1], WEEK[2]))  # the zone was changed: that day is read again
    await till.settle()
    assert till.sums() == {WEEK[0]: (Fraction(3), 300)}
    assert till.uses(WEEK[0]) == {"own": WayUse.SUPERSEDED, "files": WayUse.COUNTS}
    await till.ended(till.files, days=WEEK[:1], withdrawn=True)
    await till.settle()
    assert till.sums() == {WEEK[0]: (Fraction(1), 100)}
    assert till.days["bar", WEEK[0]].state is DayState.PARTIAL
    till.check_statements()


async def test_a_way_that_is_set_or_taken_back_later_changes_every_day(till: Till) -> None:
    """A person says only afterwards what a file stood for; until then its sales were another till's."""
    await till.files.connect(way=Way(), start_date=WEEK[0])
    await till.parts.restate_all()
    for shop in (till.own, till.files):
        await till.sold(shop, WEEK[:2])
    await till.ended(till.own, covered=(WEEK[0], WEEK[1]))
    await till.ended(till.files, days=WEEK[:2])
    await till.settle()
    twice = {day: (Fraction(4), 400) for day in WEEK[:2]}
    assert till.sums() == twice, "two tills"
    await till.files.connect(way=till.way, start_date=WEEK[0])
    await till.settle()
    assert till.sums() == {day: (Fraction(2), 200) for day in WEEK[:2]}
    assert [till.uses(day)["files"] for day in WEEK[:2]] == [WayUse.SUPERSEDED, WayUse.COUNTS]
    till.check_statements()
    await till.files.connect(way=Way(), start_date=WEEK[0])
    await till.settle()
    assert till.sums() == twice
    till.check_statements()


async def test_what_only_compares_never_counts_and_is_in_the_days_comparison(
    parts: Parts, tail: Tail
) -> None:
    """A file that checks a day would be added to it."""
    till = Till(parts, tail)
    till.way = Way(stands_for=till.own.connection_id, only_compare=True)
    await till.made()
    await till.sold(till.files, WEEK[:2], net=105)
    await till.ended(till.files, days=WEEK[:2])
    await till.sold(till.own, WEEK[:1])
    await till.ended(till.own, covered=(WEEK[0], WEEK[1]))
    await till.settle()
    assert till.sums() == {WEEK[0]: (Fraction(2), 200)}
    assert till.uses(WEEK[0]) == {"own": WayUse.COUNTS, "files": WayUse.ONLY_COMPARE}
    compared = {way.use: way.money[0] for way in till.days["bar", WEEK[0]].ways}
    assert compared[WayUse.COUNTS].provider_net == 200
    assert compared[WayUse.ONLY_COMPARE].provider_net == 210
    till.check_statements()


async def test_a_shop_elsewhere_and_another_tenant_are_not_touched(
    parts: Parts, tail: Tail, till: Till, other_shop: Shop
) -> None:
    """A file of one shop would take away another one's day, or a tenant would decide about another's."""
    await other_shop.connect(way=Way(stands_for=till.own.connection_id), start_date=WEEK[0])
    elsewhere = Shop(parts, tenant_id=till.own.tenant_id)
    await elsewhere.connect(ties={"L1": "kitchen"}, way=Way(stands_for=till.own.connection_id))
    await till.sold(till.own, WEEK[:1])
    for shop in (other_shop, elsewhere):
        await till.sold(shop, WEEK[:1], net=7)
        await till.ended(shop, days=WEEK[:1])
    await till.settle()
    assert till.sums() == {WEEK[0]: (Fraction(2), 200)}
    assert till.uses(WEEK[0]) == {"own": WayUse.COUNTS}
    kitchen = till.days["kitchen", WEEK[0]]
    assert [(way.use, way.money[0].parked.net) for way in kitchen.ways] == [(WayUse.COUNTS, 14)]


async def test_coverage_holds_when_the_sales_behind_it_are_in_the_ledger(till: Till) -> None:
    """The connection's day would displace the file's while its sales are on their way: a day of nothing."""
    await till.sold(till.files, WEEK[:1])
    await till.ended(till.files, days=WEEK[:1])
    await till.settle()
    behind = InLedger({0: 7, 1: 3}, {0: 7, 1: 2})
    parts = till.parts
    keeper = DayKeeper(
        parts.database,
        parts.relay_database,
        SystemClock(),
        behind,
        wake=parts.restater.wake,
        quiet=0,
        latest=0,
    )
    await till.ended(till.own, covered=(WEEK[0], WEEK[1]))
    while await keeper.round():
        pass
    await till.sold(till.own, WEEK[:1], net=110)
    while await keeper.round() + await parts.restater.round():
        pass
    await till.relayed()
    await till.read()
    assert till.sums() == {WEEK[0]: (Fraction(2), 200)}
    behind.taken[1] = 3
    await till.settle(keeper)
    assert till.sums() == {WEEK[0]: (Fraction(2), 220)}


async def test_a_switch_killed_anywhere_counts_each_day_once(till: Till) -> None:
    """Half a day would count by file and half by connection, for good."""
    await till.sold(till.files, WEEK[:1])
    await till.ended(till.files, days=WEEK[:1])
    await till.sold(till.own, WEEK[:1], net=110)
    await till.ended(till.own, covered=(WEEK[1], WEEK[2]))
    await till.settle()
    turns = count()

    async def make() -> Switching:  # the next one goes the other way: a till of its own would cost more
        return Switching(till, to_own=next(turns) % 2 == 0)

    deaths = await die_everywhere(make)
    calls = " ".join(deaths.calls())
    for part in ("heard_runs", "dirty_days", "restatement_queue", "commit of offsets"):
        assert part in calls, part
