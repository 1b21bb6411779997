"""Whatever happens, an entry's deltas add up to what stands, and that is what the sales mean."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from suppli_contracts.events.mapping import MappingState, MappingTarget
from suppli_contracts.events.sales import Cause, Disposition, Restock
from suppli_mapping.domain.diff import Stored, cause_of
from suppli_mapping.domain.entries import LINE, Book, ItemRules, Part, Place
from suppli_mapping.domain.mappings import Product, Rule
from suppli_mapping.domain.restate import say

CONNECTION = UUID(int=1)
FIRST = date(2026, 3, 1)
ITEMS = [UUID(int=100 + number) for number in range(3)]
PRODUCTS = {"a": Product("a"), "b": Product("b", unit="kg"), "c": Product("c", unit="l")}
Key = tuple[str, str, str, str, date]

lines = st.builds(
    lambda line_id, item, day, disposition, quantity, net, discount, restock: Part(
        line_id, LINE, item, "L1", FIRST + timedelta(days=day), datetime(2026, 3, 1, 12, tzinfo=UTC),
        "USD", disposition, str(quantity), "each", net + discount, discount, net, 0, restock,
    ),
    st.sampled_from(["1", "2"]),
    st.sampled_from(ITEMS),
    st.integers(0, 4),
    st.sampled_from(list(Disposition)),
    st.decimals("-50", "50", places=3),
    st.integers(-5_000, 5_000),
    st.integers(0, 300),
    st.sampled_from([None, *Restock]),
)  # fmt: skip
orders = st.tuples(
    st.just("sale"),
    st.sampled_from(["O1", "O2"]),
    st.lists(lines, max_size=2, unique_by=lambda part: part.line_id),
)
targets = st.lists(
    st.builds(
        lambda product, factor: MappingTarget(product_id=product, factor=factor),
        st.sampled_from(sorted(PRODUCTS)),
        st.sampled_from(["1", "0.5", "1/3", "12"]),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
decisions = st.tuples(
    st.just("decision"),
    st.sampled_from(ITEMS),
    st.sampled_from([MappingState.MAPPED, MappingState.MAPPED, MappingState.IGNORED, MappingState.UNMAPPED]),
    targets,
    st.one_of(st.none(), st.integers(0, 4).map(lambda day: FIRST + timedelta(days=day))),
)


class Ledger:
    """The ledger in memory: what the database does, driven by the same domain functions."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.orders: dict[str, list[Part]] = {}
        self.rules: dict[UUID, list[Rule]] = defaultdict(list)
        self.entries: dict[str, dict[str, Stored]] = defaultdict(dict)
        self.sums: dict[str, list[int]] = defaultdict(lambda: [0] * 5)

    def take(self, order_id: str, parts: list[Part]) -> None:
        known = {part.line_id for part in self.orders.get(order_id, [])}
        self.orders[order_id] = parts
        causes = {
            (part.line_id, part.part): cause_of(part.disposition, known=part.line_id in known)
            for part in parts
        }
        self._say(order_id, parts, self.entries[order_id], causes)

    def decide(
        self, item: UUID, state: MappingState, given: tuple[MappingTarget, ...], since: date | None
    ) -> None:
        its_targets = given if state is MappingState.MAPPED else ()
        self.rules[item].append(Rule(len(self.rules[item]) + 1, state, its_targets, since))
        for order_id, parts in self.orders.items():
            its = [part for part in parts if part.item_id == item]
            ids = {part.line_id for part in its}
            before = {
                key: entry for key, entry in self.entries[order_id].items() if entry.standing.line_id in ids
            }
            self._say(order_id, its, before, {})

    def _say(
        self,
        order_id: str,
        parts: list[Part],
        before: dict[UUID, Stored],
        causes: dict[tuple[str, str], Cause],
    ) -> None:
        book = Book(
            {item: ItemRules(len(rules), tuple(rules)) for item, rules in self.rules.items()}, PRODUCTS
        )
        said = say(
            CONNECTION,
            order_id,
            [(part, causes.get((part.line_id, part.part), Cause.MAPPING)) for part in parts],
            dict(before),
            book=book,
            place=self.place,
        )
        for change in said.changes:
            key = change.standing.entry_key
            held = self.entries[order_id].get(key)
            assert change.version == (1 if held is None else held.version + 1)
            self.entries[order_id][key] = Stored(change.standing, change.version)
            for index, amount in enumerate(change.delta):
                self.sums[key][index] += amount

    def standing(self) -> dict[Key, tuple[int, ...]]:
        return {
            (order_id, row.line_id, row.component, row.product_id, row.business_date): row.amounts()
            for order_id, entries in self.entries.items()
            for row in (entry.standing for entry in entries.values())
            if any(row.amounts())
        }


def from_scratch(ledger: Ledger) -> dict[Key, tuple[int, ...]]:
    """Compute what stands anew, with other code: straight from the words of the rules."""
    result: dict[Key, tuple[int, ...]] = {}
    for order_id, parts in ledger.orders.items():
        for part in parts:
            rule = None
            for each in ledger.rules[part.item_id]:
                if each.from_date is None or part.business_date >= each.from_date:
                    rule = each
            if rule is None or rule.state is not MappingState.MAPPED:
                continue
            count = len(rule.targets)
            for index, target in enumerate(rule.targets):
                amount = _millionths(Fraction(part.quantity) * Fraction(target.factor))
                share = [_share(money, count, index) for money in (part.gross, part.net)]
                figures = _figures(part, amount, ledger.place, share[0], share[0] - share[1], share[1])
                if any(figures):
                    component = "line" if count == 1 else f"split:{index}"
                    result[order_id, part.line_id, component, target.product_id, part.business_date] = figures
    return result


def _figures(part: Part, amount: int, place: Place, gross: int, discount: int, net: int) -> tuple[int, ...]:
    match part.disposition:
        case Disposition.SOLD | Disposition.COMPED:
            return amount, amount, gross, discount, net
        case Disposition.RETURNED:
            unclear = part.restock in (None, Restock.UNKNOWN)
            back = place.restock_unknown if unclear else part.restock == Restock.YES
            return amount, amount if back else 0, gross, discount, net
        case Disposition.VOID_MADE | Disposition.WASTE:
            return 0, amount, 0, 0, 0
    return 0, 0, 0, 0, 0


def _millionths(value: Fraction) -> int:
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return int(exact.quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP).scaleb(6))


def _share(amount: int, count: int, index: int) -> int:
    whole, rest = divmod(abs(amount), count)
    return (whole + (index < rest)) * (-1 if amount < 0 else 1)


@given(st.lists(st.one_of(orders, decisions), max_size=14), st.booleans())
@settings(max_examples=300, deadline=None)
def test_deltas_add_up_to_what_the_sales_mean(steps: list[tuple], restocks: bool) -> None:  # type: ignore[type-arg]
    """Otherwise who adds deltas and who upserts would hold different stocks, or both wrong ones."""
    ledger = Ledger(Place("bar", restocks))
    for kind, *arguments in steps:
        if kind == "sale":
            ledger.take(*arguments)
        else:
            ledger.decide(*arguments)
        assert ledger.standing() == from_scratch(ledger)
        for entries in ledger.entries.values():
            for key, entry in entries.items():
                assert tuple(ledger.sums[key]) == entry.standing.amounts()
