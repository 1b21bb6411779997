"""What becomes of each order of a page: said, unchanged, before the start, elsewhere, or set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec
from msgspec.structs import replace
from suppli_contracts.events.sales import OrderState, SaleTotals

from suppli_connector_kit.domain.business_day import zone_on
from suppli_connector_kit.domain.coverage import Span
from suppli_connector_kit.domain.hashing import sale_hash
from suppli_connector_kit.domain.sale import assured, from_start
from suppli_connector_kit.domain.versions import is_stale
from suppli_connector_kit.errors import OrderNotUnderstood
from suppli_connector_kit.protocol import LocationContext, OrderRef, Sale, Zone

Normalise = Callable[[Any, LocationContext], Sale]


class Known(msgspec.Struct, frozen=True, gc=False):
    """What was last recorded of an order."""

    content_hash: str
    source_version: int


class Changed(msgspec.Struct, frozen=True, gc=False):
    """A sale that is to be said."""

    sale: Sale
    source_version: int
    content_hash: str


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An order that was said, as far as it is recorded: enough to take it back."""

    order_id: str
    location_id: str
    currency: str
    content_hash: str
    source_version: int

    def gone(self, *, again: bool = False) -> Changed | None:
        """Return the order as gone at the provider: no lines, no money; None where that was said already.

        It keeps its last version, so that the later sighting wins, also over this one: an order that comes
        back unchanged is said again.

        Args:
            again: also where it was said already.
        """
        nothing = SaleTotals(total=0)
        sale = Sale(
            self.order_id,
            self.location_id,
            OrderState.DELETED,
            self.currency,
            nothing,
            lines=(),
            adjustments=(),
        )
        content_hash = sale_hash(sale, None, normaliser_revision=0)
        if content_hash == self.content_hash and not again:
            return None
        return Changed(sale, self.source_version, content_hash)


@dataclass(frozen=True, slots=True)
class SetAside:
    """An order that could not be understood, without its content."""

    order_id: str
    location_id: str
    modified_us: int
    reason: str
    field_path: str | None


@dataclass(slots=True)
class Decisions:
    """What becomes of the orders of one page; lists keep the page's sequence."""

    changed: list[Changed] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    understood: list[str] = field(default_factory=list)
    read: int = 0
    unchanged: int = 0
    before_start: int = 0
    elsewhere: int = 0


@dataclass(frozen=True, slots=True)
class Again:
    """Which orders are said again although nothing about them changed.

    Attributes:
        window: those modified within it.
        order_ids: those, whenever they were modified.
    """

    window: Span | None = None
    order_ids: frozenset[str] = frozenset()

    def within(self, modified_us: int) -> bool:
        """Return whether the window has that instant (microseconds)."""
        return self.window is not None and self.window[0] <= modified_us < self.window[1]

    def wants(self, order: OrderRef[Any]) -> bool:
        """Return whether the order is one of them."""
        return self.within(order.modified_us) or order.order_id in self.order_ids


@dataclass(frozen=True, slots=True)
class Rules:
    """By what a connection's orders are judged.

    Attributes:
        normalise: the connector's reading of an order.
        revision: the revision of that reading.
        locations: the locations that are imported.
        start: sales before this business date are read past.
        again: what is said again, unchanged or not.
        trust_hashes: an equal hash means unchanged. Not after a holder that did not finish: it may have
            published something newer without recording it, and the order may have gone back since.
        assure: make sure of what holds for every sale (`assured`); False where sales come so.
    """

    normalise: Normalise
    revision: int
    locations: Mapping[str, LocationContext]
    start: date
    again: Again | None = None
    trust_hashes: bool = True
    assure: bool = True

    def decide(self, orders: Iterable[OrderRef[Any]], known: Mapping[str, Known], into: Decisions) -> None:
        """Judge `orders` and add the outcome to `into`.

        Args:
            orders: in the page's sequence.
            known: what was recorded of them, by order id.
            into: grows; a large page is judged in parts.
        """
        for order in orders:
            into.read += 1
            location = self.locations.get(order.location_id)
            if location is None:
                into.elsewhere += 1
                continue
            try:
                sale = self._understood(order, location)
            except OrderNotUnderstood as problem:
                into.set_aside.append(_aside(order, problem.reason, problem.field_path))
                continue
            into.understood.append(order.order_id)
            self._compare(order, sale, location, known.get(order.order_id), into)

    def _understood(self, order: OrderRef[Any], location: LocationContext) -> Sale:
        if order.raw is None:
            raise OrderNotUnderstood(order.problem or "its shape is not that of an order", order.problem_path)
        try:
            sale = self.normalise(order.raw, location)
            return assured(sale, location, order.modified_us) if self.assure else sale
        except OrderNotUnderstood:
            raise
        except Exception as error:
            # a surprise in one order must not stop all others; its text could hold the order's content
            raise OrderNotUnderstood(f"the reading failed with {type(error).__name__}") from error

    def _compare(
        self,
        order: OrderRef[Any],
        sale: Sale,
        location: LocationContext,
        known: Known | None,
        into: Decisions,
    ) -> None:
        counting = from_start(sale, self.start)
        if counting is None:
            if known is None:
                into.before_start += 1
                return
            # it counted once, e.g. before its zone changed: what was said of it is taken back
            counting = replace(sale, lines=(), adjustments=(), totals=SaleTotals(total=0))
        content_hash = sale_hash(counting, _zone(counting, location.zones), self.revision)
        if known is not None:
            same = known.content_hash == content_hash and (
                self.trust_hashes or known.source_version == order.modified_us
            )
            wanted = self.again is not None and self.again.wants(order)
            if (same and not wanted) or is_stale(order.modified_us, known.source_version):
                into.unchanged += 1
                return
        into.changed.append(Changed(counting, order.modified_us, content_hash))


def _zone(sale: Sale, zones: Sequence[Zone]) -> Zone:
    if len(zones) == 1 or not sale.lines:
        return zones[0]
    return zone_on(sale.lines[0].business_date, zones)


def _aside(order: OrderRef[Any], reason: str, path: str | None) -> SetAside:
    return SetAside(order.order_id, order.location_id, order.modified_us, reason, path)
