"""Seeded, realistic orders in quantity.

A few thousand differing orders are priced as templates; every generated order shares one and has ids and
instants of its own. So 300,000 orders take seconds and little memory, and each is still whole.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from suppli_sandbox.models import GenerateSpec
from suppli_sandbox.serving import ControlError
from suppli_sandbox.square.catalog import nested_of
from suppli_sandbox.square.menu import menu
from suppli_sandbox.square.orders import StoredOrder, Template
from suppli_sandbox.square.templates import TemplateMaker
from suppli_sandbox.square.world import Merchant, World
from suppli_sandbox.times import DAY, SECOND, parse_us

Json = dict[str, Any]

MAX_TEMPLATES = 2000
_SAME_INSTANT = 0.04  # how many orders share their predecessor's updated_at
_LATE_BUMP = 0.03  # how many are touched again hours after closing
_GRAINS = (SECOND, 1000, 1)  # whole seconds, milliseconds, microseconds


def generate(world: World, merchant: Merchant, spec: GenerateSpec) -> int:
    """Add `spec.count` orders to a merchant and return how many. The same spec gives the same orders.

    Without a span they lie in the last 30 days. Raises ControlError 422 for a bad span or count.
    """
    start, end = _span(world, spec)
    if spec.count < 1:
        raise ControlError(422, "count must be at least 1")
    places = spec.locations or tuple(merchant.locations)
    if not places:
        raise ControlError(422, f"merchant {merchant.id} has no location: put one first")
    if not len(merchant.catalog):
        for obj in menu(merchant.currency):
            merchant.catalog.put(obj, world.clock.now_us())
    draw = random.Random(f"{merchant.id}/{spec.seed}")  # noqa: S311 - repeatable, not secret
    orders = _Run(merchant, draw, spec.count, [merchant.location(place)["id"] for place in places])
    made = orders.orders(start, end)
    merchant.orders.put_many(map(StoredOrder.kept, made) if spec.encoded else made)
    return spec.count


def _span(world: World, spec: GenerateSpec) -> tuple[int, int]:
    now = world.clock.now_us()
    try:
        end = parse_us(spec.end_at) if spec.end_at else now
        start = parse_us(spec.start_at) if spec.start_at else end - 30 * DAY
    except ValueError as error:
        raise ControlError(422, str(error)) from error
    if start >= end:
        raise ControlError(422, "start_at must be before end_at")
    return start, end


class _Run:
    """One call of the generator."""

    def __init__(self, merchant: Merchant, draw: random.Random, count: int, places: Sequence[str]) -> None:
        self._draw, self._count, self._places = draw, count, places
        variations = [
            (obj, variation)
            for obj in merchant.catalog
            if obj["type"] == "ITEM" and not obj["is_deleted"]
            for variation in nested_of(obj)
        ]
        maker = TemplateMaker(merchant.currency, str(merchant.profile["country"]), draw, variations)
        self._varieties = [maker.make() for _ in range(min(count, MAX_TEMPLATES))]
        self._templates = [Template(variety.order) for variety in self._varieties]
        self._last_sale: dict[tuple[int, str], str] = {}

    def orders(self, start: int, end: int) -> Iterator[StoredOrder]:
        """Yield the orders, ascending in time."""
        draw, count = self._draw, self._count
        steps = list(accumulate(draw.random() for _ in range(count)))
        scale = (end - start) / (steps[-1] + 1)
        previous = start
        for number, step in enumerate(steps):
            at = start + int(step * scale)
            at -= at % _GRAINS[number % 3]
            if draw.random() < _SAME_INSTANT:
                at = previous
            at = max(at, start)
            previous = at
            yield self._order(number, at, end)

    def _order(self, number: int, at: int, end: int) -> StoredOrder:
        draw = self._draw
        index = number if number < len(self._templates) else int(draw.random() * len(self._templates))
        place = self._places[int(draw.random() * len(self._places))]
        variety, source = self._varieties[index], None
        if variety.returns is not None:
            source = self._last_sale.pop((variety.returns, place), None)
            if source is None:
                index = variety.returns
                variety = self._varieties[index]
        order_id = f"{draw.getrandbits(110):028X}"
        if variety.returns is None and variety.returnable:
            self._last_sale[index, place] = order_id
        closed = at if variety.order["state"] in ("COMPLETED", "CANCELED") else None
        updated = at
        if draw.random() < _LATE_BUMP:
            updated = min(end, at + int(draw.random() * 2 * DAY))
        created = at - int(draw.random() * 2400) * SECOND
        template = self._templates[index]
        return StoredOrder(
            order_id, place, template.state, created, updated, closed, template=template, source_id=source
        )
