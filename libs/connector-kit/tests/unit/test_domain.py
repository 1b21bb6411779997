"""The pure rules: coverage, business days, allocation, redaction, hashes, the money rule, planning,
decisions.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from suppli_connector_kit.domain import coverage
from suppli_connector_kit.domain.allocation import allocate
from suppli_connector_kit.domain.business_day import business_date, day_start, zone_on
from suppli_connector_kit.domain.changes import EVER, to_read_again
from suppli_connector_kit.domain.decisions import Again, Decisions, Known, Rules
from suppli_connector_kit.domain.hashing import sale_hash
from suppli_connector_kit.domain.instants import MINUTE_US, from_us, to_us
from suppli_connector_kit.domain.planning import plan
from suppli_connector_kit.domain.redact import redact_text
from suppli_connector_kit.domain.sale import assured, from_start
from suppli_connector_kit.domain.versions import MAX_PAGES, observed
from suppli_connector_kit.engine.catalog import changes
from suppli_connector_kit.protocol import CatalogItem, LocationContext, OrderRef, Sale, Zone
from suppli_contracts.events.catalog import ItemKind
from suppli_contracts.events.connections import (
    ConnectedLocation,
    ConnectionChanged,
    ConnectionState,
    ZonePeriod,
)
from suppli_contracts.events.sales import (
    Adjustment,
    AdjustmentKind,
    Disposition,
    Modifier,
    OrderState,
    SaleLine,
    SaleTotals,
)

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HERE = LocationContext("L1", "USD", (Zone("UTC", "00:00"),))
spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60))).map(coverage.merge)


def instants(covered: coverage.Spans) -> set[int]:
    return {at for start, end in covered for at in range(start, end)}


@given(spans, st.tuples(st.integers(0, 60), st.integers(0, 60)))
def test_coverage_is_set_arithmetic(covered: coverage.Spans, other: tuple[int, int]) -> None:
    """A gap would go unseen, or what is covered would be read for ever."""
    wanted = set(range(*other))
    assert instants(coverage.add(covered, other)) == instants(covered) | wanted
    assert instants(coverage.cut(covered, other)) == instants(covered) - wanted
    assert instants(coverage.missing(covered, other)) == wanted - instants(covered)
    assert all(a[1] < b[0] for a, b in pairwise(covered))


@given(spans, st.integers(0, 20), st.integers(1, 10), st.integers(0, 30))
def test_widening_keeps_every_missing_instant_and_stays_after_the_floor(
    holes: coverage.Spans, overlap: int, step: int, floor: int
) -> None:
    """The look-back must add, never take away; and nothing from before the start may be asked for."""
    holes = coverage.merge((max(a, floor), b) for a, b in holes)
    wide = coverage.widen(holes, overlap_us=overlap, step_us=step, floor_us=floor)
    assert instants(wide) >= instants(holes)
    assert not wide or wide[0][0] >= floor
    for start, _ in holes:
        assert set(range(max(floor, start - overlap), start)) <= instants(wide)


@pytest.mark.parametrize(
    ("page", "following", "edge"),
    [
        ([1, 2, 3], [3, 4], 3),  # more orders of instant 3 may follow
        ([5, 5, 5], [5, 5], 5),  # a page of one instant proves only what lies before it
        ([1, 2, 9], [3, 4], 3),  # 9 changed while the page was made: it stands at its old place
        ([1, 2, 9], None, 2),  # without the next page the last order proves nothing
        ([7], None, None),
        ([], [1], None),
    ],
)
def test_a_page_covers_up_to_but_excluding_its_last_instant(
    page: list[int], following: list[int] | None, edge: int | None
) -> None:
    """After a crash the walk goes on at the edge: one too far, and orders are lost for good."""
    assert coverage.page_edge(page, following) == edge


@given(st.integers(-10_000, 10_000), st.lists(st.integers(-500, 500), min_size=1, max_size=12))
def test_shares_add_up_and_each_is_the_exact_one_rounded(total: int, weights: list[int]) -> None:
    """An order's discount would not add up over its lines, to the cent."""
    shares = allocate(total, weights)
    assert sum(shares) == total
    sizes = [abs(w) for w in weights] if any(weights) else [1] * len(weights)
    assert all(abs(s - total * w / sum(sizes)) < 1 for s, w in zip(shares, sizes, strict=True))


def test_shares_of_nobody() -> None:
    """Money that belongs to no line must not vanish without a word."""
    assert allocate(0, []) == []
    with pytest.raises(ValueError, match="share"):
        allocate(1, [])


NEW_YORK = Zone("America/New_York", "04:00")


@pytest.mark.parametrize(
    ("at", "zones", "expected"),
    [
        ("2026-03-10T07:59:00Z", [NEW_YORK], "2026-03-09"),  # 03:59 local summer time, before the cut-off
        ("2026-03-10T08:00:00Z", [NEW_YORK], "2026-03-10"),
        ("2026-03-08T07:30:00Z", [NEW_YORK], "2026-03-07"),  # 03:30 after the spring jump
        ("2026-11-01T08:59:00Z", [NEW_YORK], "2026-10-31"),  # 03:59 after the doubled hour
        ("2026-11-01T09:00:00Z", [NEW_YORK], "2026-11-01"),
        (
            "2026-03-10T23:30:00Z",
            [Zone("UTC", "00:00"), Zone("Asia/Tokyo", "00:00", date(2026, 4, 1))],
            "2026-03-10",
        ),
        (
            "2026-04-10T23:30:00Z",
            [Zone("UTC", "00:00"), Zone("Asia/Tokyo", "00:00", date(2026, 4, 1))],
            "2026-04-11",
        ),
    ],
)
def test_a_business_day_follows_the_wall_clock_less_the_cutoff(
    at: str, zones: list[Zone], expected: str
) -> None:
    """Sales after midnight, and on days when clocks change, would count on the wrong day."""
    assert business_date(datetime.fromisoformat(at), zones).isoformat() == expected


def test_zone_and_midnight_of_a_date() -> None:
    """The first day would be read from the wrong instant on."""
    zones = (Zone("UTC", "00:00"), Zone("America/New_York", "04:00", date(2026, 4, 1)))
    assert zone_on(date(2026, 3, 31), zones) is zones[0]
    assert zone_on(date(2026, 4, 1), zones) is zones[1]
    assert day_start(date(2026, 3, 10), NEW_YORK) == datetime(2026, 3, 10, 4, tzinfo=UTC)
    with pytest.raises(ValueError, match="Mars"):
        business_date(NOON, (Zone("Mars/Olympus", "00:00"),))


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Cake for ann@example.com", "Cake for"),
        ("Call +1 (555) 123-4567 pickup", "Call pickup"),
        ("Card 4111111111111111", "Card"),
        ("Order 123456", "Order"),
        ("12 oz latte 2 for 1", "12 oz latte 2 for 1"),
        ("bob@example.com", None),
        (None, None),
    ],
)
def test_typed_names_lose_what_points_to_a_person(typed: str | None, kept: str | None) -> None:
    """Customers' data would leave the connector in a line's name."""
    assert redact_text(typed) == kept


def line(**changes: object) -> SaleLine:
    base = SaleLine(
        line_id="1",
        occurred_at=NOON,
        business_date=NOON.date(),
        disposition=Disposition.SOLD,
        quantity="1",
        gross=500,
        discount=0,
        net=500,
        item_id="I",
        variation_id="V",
        name="Coffee",
        sku="C1",
        category="Drinks",
        modifiers=(Modifier(modifier_id="m", external_id="M", name="Oat"),),
    )
    return msgspec.structs.replace(base, **changes)


def sale(*lines: SaleLine, total: int | None = None, adjustments: tuple[Adjustment, ...] = ()) -> Sale:
    lines = lines or (line(),)
    return Sale(
        "O1",
        "L1",
        OrderState.COMPLETED,
        "USD",
        SaleTotals(total=sum(each.net for each in lines) if total is None else total),
        lines,
        adjustments,
    )


def test_the_hash_ignores_what_only_the_catalog_has_and_sees_all_else() -> None:
    """Renaming an item would say a year of sales again; or a changed sale would not be said."""
    zone = Zone("UTC", "00:00")
    known = sale_hash(sale(), zone, 1)
    renamed = line(
        name="Kaffee",
        sku="X",
        category="Hot",
        barcode="9",
        modifiers=(Modifier(modifier_id="m", external_id="M", name="Hafer"),),
    )
    assert sale_hash(sale(renamed), zone, 1) == known
    for changed in (line(quantity="2"), line(net=499), line(tax=1), line(reason="late"), line(modifiers=())):
        assert sale_hash(sale(changed), zone, 1) != known
    assert sale_hash(sale(), Zone("UTC", "01:00"), 1) != known
    assert sale_hash(sale(), zone, 2) != known
    custom = line(item_id=None, variation_id=None)
    assert sale_hash(sale(custom), zone, 1) != sale_hash(
        sale(line(item_id=None, variation_id=None, name="Tee")), zone, 1
    )


@given(st.integers(-5000, 5000), st.integers(0, 900), st.lists(st.integers(-900, 900), max_size=4))
def test_lines_and_adjustments_always_equal_the_total_less_tax(total: int, tax: int, nets: list[int]) -> None:
    """A day would not add up to what the provider's own report says."""
    made = msgspec.structs.replace(
        sale(), lines=tuple(line(line_id=str(i), net=net) for i, net in enumerate(nets))
    )
    made = msgspec.structs.replace(made, totals=SaleTotals(total=total, tax=tax))
    done = assured(made, HERE, to_us(NOON))
    explained = sum(each.net for each in done.lines) + sum(each.amount for each in done.adjustments)
    assert explained == total - tax
    assert len(done.adjustments) <= 1


def test_typed_text_is_redacted_in_every_sale_whatever_the_connector_did() -> None:
    """One careless connector would publish customers' data."""
    typed = line(
        item_id=None,
        variation_id=None,
        name="For ann@example.com",
        modifiers=(Modifier(modifier_id="x", name="note"),),
    )
    [done] = assured(sale(typed), HERE, to_us(NOON)).lines
    assert (done.name, done.modifiers[0].name) == ("For", None)
    assert assured(sale(), HERE, to_us(NOON)).lines[0].name == "Coffee"


@pytest.mark.parametrize(("bad", "good"), [("Caf\0é", "Caf\ufffdé"), ("Tea \ud83d", "Tea ?")])
def test_text_that_no_database_takes_is_cleaned_wherever_it_is(bad: str, good: str) -> None:
    """One odd character in an item's name would stop every consumer at that order."""
    extra = Modifier(modifier_id=bad, external_id="M", name=bad, quantity="1", gross=0)
    dirty = line(line_id=bad, name=bad, variation_name=bad, category=bad, unit=bad, modifiers=(extra,))
    done = assured(msgspec.structs.replace(sale(line(line_id="2"), dirty), channel=bad), HERE, to_us(NOON))
    assert done.channel == good
    [clean, found] = done.lines
    assert clean == line(line_id="2")
    texts = {found.line_id, found.name, found.variation_name, found.category, found.unit}
    assert texts | {found.modifiers[0].modifier_id, found.modifiers[0].name} == {good}
    assert found.disposition is Disposition.SOLD
    [entry] = changes([CatalogItem("V1", ItemKind.ITEM, name=bad, sku="S")], {})
    assert (entry.item.name, entry.item.sku) == (good, "S")
    msgspec.json.encode(done)


def test_only_what_happened_from_the_start_date_on_counts() -> None:
    """Sales from before the start would be imported; or a return after it would be lost."""
    old, back = (
        line(tax=5),
        line(line_id="2", net=-500, tax=-5, quantity="-1", business_date=NOON.date() + timedelta(days=2)),
    )
    start = NOON.date() + timedelta(days=1)
    assert from_start(sale(old), start) is None
    kept = from_start(msgspec.structs.replace(sale(old, back), totals=SaleTotals(total=0, tax=0)), start)
    assert kept is not None
    assert [each.line_id for each in kept.lines] == ["2"]
    assert kept.totals.total - kept.totals.tax == -500
    tip = Adjustment(
        adjustment_id="t", kind=AdjustmentKind.TIP, amount=7, business_date=NOON.date(), occurred_at=NOON
    )
    assert from_start(sale(old, adjustments=(tip,)), NOON.date()) is not None


def test_versions_grow_with_the_fence_first() -> None:
    """A fenced-out holder would win a tie against the one who took over."""
    assert observed(2, 0) > observed(1, MAX_PAGES - 1)
    with pytest.raises(OverflowError):
        observed(1, MAX_PAGES)


def test_walks_share_calls_and_leave_nothing_out() -> None:
    """A location would never be read, or each would cost a call of its own."""
    day = 1440 * MINUTE_US
    starts = {f"L{i}": 0 for i in range(12)}
    walks = plan({}, starts, horizon_us=day, overlap_us=0, per_call=10)
    assert [len(walk.locations) for walk in walks] == [10, 2]
    covered = {
        "L0": ((0, day - 5),),
        "L1": ((0, day - 9),),
    }  # edges that differ by little are walked together
    walks = plan(covered, {"L0": 0, "L1": 0}, horizon_us=day, overlap_us=10 * MINUTE_US, per_call=10)
    assert [walk.locations for walk in walks] == [("L0", "L1")]
    assert walks[0].windows[0][0] <= day - 9 - 10 * MINUTE_US
    assert plan({"L0": ((0, day),)}, {"L0": 0}, horizon_us=day, overlap_us=1, per_call=10) == []
    [again] = plan(
        {"L0": ((0, day),)}, {"L0": 0}, horizon_us=day, overlap_us=1, per_call=10, again=((day - 7, day),)
    )
    assert again.windows == ((day - 7, day),)


def rules(**changes: object) -> Rules:
    made = Rules(normalise=lambda raw, _: raw, revision=1, locations={"L1": HERE}, start=NOON.date())
    return replace(made, **changes)  # type: ignore[arg-type]


def ref(raw: Sale | None, at: int = 5, order_id: str = "O1", location: str = "L1") -> OrderRef[Sale]:
    return OrderRef(order_id, location, at, raw, None if raw else "is no order", None if raw else "$.id")


def decide(rules: Rules, *orders: OrderRef[Sale], known: dict[str, Known] | None = None) -> Decisions:
    decided = Decisions()
    rules.decide(orders, known or {}, decided)
    return decided


def test_each_order_of_a_page_gets_its_verdict() -> None:
    """An unchanged order would be said again, a stale one would win, or one bad order would stop the page."""

    def fails(raw: Sale, _: LocationContext) -> Sale:
        raise KeyError("customer-name-here")

    first = decide(rules(), ref(sale()))
    [change] = first.changed
    same = {"O1": Known(change.content_hash, 5)}
    assert decide(rules(), ref(sale(), at=9), known=same).unchanged == 1
    for again in (Again(window=(9, 10)), Again(order_ids=frozenset({"O1"}))):
        assert decide(rules(again=again), ref(sale(), at=9), known=same).changed
    for others in (Again(window=(8, 9)), Again(window=(10, 99)), Again(order_ids=frozenset({"O2"}))):
        assert decide(rules(again=others), ref(sale(), at=9), known=same).unchanged == 1
    newer = Known(change.content_hash, 10)
    older = decide(rules(again=Again(window=(0, 99))), ref(sale(), at=9), known={"O1": newer})
    assert (older.unchanged, older.changed) == (1, []), "an old sight of an order is never said"
    changed = sale(line(quantity="2"))
    assert decide(rules(), ref(changed, at=5), known=same).changed, "a change that moved no stamp"
    assert decide(rules(), ref(changed, at=4), known=same).unchanged == 1
    assert decide(rules(start=date.max), ref(sale())).before_start == 1
    assert decide(rules(), ref(sale(), location="L9")).elsewhere == 1
    [aside] = decide(rules(), ref(None)).set_aside
    assert (aside.reason, aside.field_path) == ("is no order", "$.id")
    [aside] = decide(rules(normalise=fails), ref(sale())).set_aside
    assert "customer" not in aside.reason


def connection(**changes: object) -> ConnectionChanged:
    zones = (ZonePeriod(timezone="UTC"),)
    place = ConnectedLocation(location_id="L1", chosen=True, suppli_location_id="S", zones=zones)
    made = ConnectionChanged(
        tenant_id=__import__("uuid").UUID(int=1),
        connection_id=__import__("uuid").UUID(int=2),
        revision=1,
        provider="p",
        environment="production",
        state=ConnectionState.CONNECTED,
        changed_at=NOON,
        start_date=date(2026, 3, 1),
        locations=(place,),
    )
    return msgspec.structs.replace(made, **changes)


def test_settings_that_change_the_past_are_read_again_from_there() -> None:
    """Days would keep sales told by the old cut-off; or an earlier start would leave holes."""
    old = connection()
    assert to_read_again(old, connection(revision=2)) == {}
    assert to_read_again(old, connection(start_date=date(2026, 2, 1))) == {"L1": EVER}
    later = (
        ZonePeriod(timezone="UTC"),
        ZonePeriod(timezone="UTC", day_cutoff="04:00", from_date=date(2026, 3, 5)),
    )
    moved = msgspec.structs.replace(old.locations[0], zones=later)
    assert to_read_again(old, connection(locations=(moved,))) == {
        "L1": to_us(datetime(2026, 3, 4, tzinfo=UTC))
    }
    assert from_us(to_us(NOON)) == NOON
