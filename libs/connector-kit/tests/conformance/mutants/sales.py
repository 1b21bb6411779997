"""What is known, covered and said, put wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace as changed
from suppli_connector_kit.domain import coverage
from suppli_connector_kit.domain.coverage import Spans
from suppli_connector_kit.domain.decisions import Decisions, Rules
from suppli_connector_kit.engine import run as engine
from suppli_connector_kit.engine import walk
from suppli_connector_kit.engine.pages import PageSayer
from suppli_connector_kit.engine.ports import PageEntry, Report, Tally
from suppli_connector_kit.protocol import (
    LocationContext,
    OrderRef,
    Sale,
    Session,
    Window,
)
from suppli_connector_kit.testing.reference import ReferenceConnector
from suppli_connector_kit.testing.reference.connector import MANIFEST, Order

from .kinds import Mutant, Pages, putting

RIGHT: dict[str, Any] = {
    "compare": Rules._compare,
    "encode": PageSayer._encode,
    "orders": walk.Walker.orders,
}


class NamesItself(ReferenceConnector):
    def normalise(self, raw: Order, location: LocationContext) -> Sale:
        return changed(super().normalise(raw, location), channel=f"reader {id(self)}")


def _compare_anew(
    rules: Rules, order: OrderRef[Any], sale: Sale, location: LocationContext, known: Any, into: Decisions
) -> None:
    RIGHT["compare"](rules, order, sale, location, None, into)


def _compare_ids(
    rules: Rules, order: OrderRef[Any], sale: Sale, location: LocationContext, known: Any, into: Decisions
) -> None:
    if known is None or not sale.lines:
        RIGHT["compare"](rules, order, sale, location, known, into)


def _compare_stamps(
    rules: Rules, order: OrderRef[Any], sale: Sale, location: LocationContext, known: Any, into: Decisions
) -> None:
    if known is None or known.source_version != order.modified_us:
        RIGHT["compare"](rules, order, sale, location, known, into)


def missing_at_the_end(spans: Spans, wanted: tuple[int, int]) -> Spans:
    """Return what lies behind the last time covered, as if there were no gaps."""
    end = spans[-1][1] if spans else wanted[0]
    return ((end, wanted[1]),) if end < wanted[1] else ()


class LateByADay(ReferenceConnector):
    manifest = changed(MANIFEST, lateness_hours=24)


class LeavesEmptiedOnes(ReferenceConnector):
    def orders(self, session: Session, locations: Sequence[str], window: Window) -> Pages:
        return self._with_lines(super().orders(session, locations, window))

    async def _with_lines(self, pages: Pages) -> Pages:
        async for page in pages:
            page.orders[:] = [ref for ref in page.orders if ref.raw is None or ref.raw.lines]
            yield page


class OneLineAnItem(ReferenceConnector):
    def normalise(self, raw: Order, location: LocationContext) -> Sale:
        lines = {line.item: line for line in raw.lines}
        return super().normalise(changed(raw, lines=list(lines.values())), location)


async def nothing(*_: Any, **__: Any) -> None:
    """Do nothing."""


async def _recorded_before(sayer: PageSayer, decided: Decisions) -> Any:
    await sayer._books.record(PageEntry(Tally(), changed=list(decided.changed)), Report(Tally()))
    return await RIGHT["encode"](sayer, decided)


async def _covered_when_read(walker: walk.Walker, leg: Any) -> Pages:
    async for page in RIGHT["orders"](walker, leg):
        if page.orders and not page.last:
            read = (leg.start, page.orders[-1].modified_us + 1)
            moved = {each: coverage.add(walker._covered.get(each, ()), read) for each in leg.locations}
            walker._covered.update(moved)
            await walker._books.record(PageEntry(Tally(), coverage=moved), Report(Tally()))
        yield page


MUTANTS = (
    Mutant(
        "nothing is known of what was said",
        ("reading again says nothing twice",),
        wrong=putting(Rules, _compare=_compare_anew),
    ),
    Mutant("a sale names its reader", ("two readers come to the same events",), NamesItself),
    Mutant(
        "gaps are not looked for",
        ("times read in any sequence come to the same sales",),
        wrong=putting(coverage, missing=missing_at_the_end),
    ),
    Mutant(
        "the provider's clock is not heard",
        ("coverage only grows, and ends at the provider's clock less the lag",),
        wrong=putting(walk.ProviderClock, heard=lambda *_: None),
    ),
    Mutant(
        "coverage in the future is as good as any",
        ("coverage that reaches into the future is an error",),
        wrong=putting(engine.SyncRun, _refuse_the_future=lambda _: None),
    ),
    Mutant(
        "an order is said once",
        (
            "a change after the sale is said",
            "an order merged into another counts there alone",
            "content that changed while its last modification did not is said",
        ),
        wrong=putting(Rules, _compare=_compare_ids),
    ),
    Mutant(
        "an equal stamp is an equal order",
        ("content that changed while its last modification did not is said",),
        wrong=putting(Rules, _compare=_compare_stamps),
    ),
    Mutant(
        "what vanished is not looked for",
        ("a deleted order ends at zero", "an order merged into another counts there alone"),
        wrong=putting(engine.SyncRun, _missed=nothing),
    ),
    Mutant("a line an item", ("an order merged into another counts there alone",), OneLineAnItem),
    Mutant("orders without lines are read past", ("an emptied order ends at zero",), LeavesEmptiedOnes),
    Mutant(
        "a day is late enough",
        ("what the provider learns late, within its lateness, is found",),
        LateByADay,
    ),
    Mutant(
        "a page is covered when it is read",
        ("a crash at every request loses nothing",),
        wrong=putting(walk.Walker, orders=_covered_when_read),
    ),
    Mutant(
        "a page is recorded before it is published",
        ("a crash at every publish loses nothing",),
        wrong=putting(PageSayer, _encode=_recorded_before),
    ),
)
