"""Pages, instants, days and locations, read wrongly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

from msgspec.structs import replace as changed
from suppli_connector_kit.domain import drafts
from suppli_connector_kit.errors import (
    ProviderUnavailable,
)
from suppli_connector_kit.protocol import (
    LocationContext,
    OrderPage,
    Sale,
    Session,
    Window,
    Zone,
)
from suppli_connector_kit.testing.reference import ReferenceConnector
from suppli_connector_kit.testing.reference.connector import PAGE_SIZE, Order
from suppli_connector_kit.testing.reference.provider import ReferenceProvider

from .kinds import Mutant, Pages, putting


class Walked(ReferenceConnector):
    """Changes the pages of long walks, as imports are; the short ones after them are right."""

    def orders(self, session: Session, locations: Sequence[str], window: Window) -> Pages:
        pages = super().orders(session, locations, window)
        return self.wrong(pages) if window.to_at - window.from_at > timedelta(days=5) else pages

    async def wrong(self, pages: Pages) -> Pages:
        number = 0
        async for page in pages:
            self.spoil(page, number)
            yield page
            number += 1

    def spoil(self, page: OrderPage[Order], number: int) -> None:
        """Change a page."""


class NothingIsAnError(Walked):
    def spoil(self, page: OrderPage[Order], number: int) -> None:
        if number == 0 and not page.orders:
            raise ProviderUnavailable("no list of orders in the answer")


class OneIsNoList(Walked):
    def spoil(self, page: OrderPage[Order], number: int) -> None:
        if number == 0 and page.last and len(page.orders) == 1:
            page.orders.clear()


class LosesTheLastOfAShortPage(Walked):
    def spoil(self, page: OrderPage[Order], number: int) -> None:
        if page.last and len(page.orders) == PAGE_SIZE - 1:
            page.orders.pop()


class ForgetsAPageThatIsAll(Walked):
    def spoil(self, page: OrderPage[Order], number: int) -> None:
        if number == 0 and page.last and len(page.orders) == PAGE_SIZE:
            page.orders.clear()


class LosesALoneOrderBehindAPage(Walked):
    def spoil(self, page: OrderPage[Order], number: int) -> None:
        if number == 1 and page.last and len(page.orders) == 1:
            page.orders.clear()


class LosesAFullLastPage(Walked):
    def spoil(self, page: OrderPage[Order], number: int) -> None:
        if number == 2 and page.last and len(page.orders) == PAGE_SIZE:
            page.orders.clear()


class StopsAfterTwentyPages(Walked):
    def spoil(self, page: OrderPage[Order], number: int) -> None:
        if number >= 20:
            page.orders.clear()


class Requeries(ReferenceConnector):
    """Pages by asking again from the last instant on, in place of a cursor."""

    def after(self, page: OrderPage[Order], start: datetime) -> datetime:
        """Return from where the next page is asked for."""
        raise NotImplementedError

    async def orders(  # type: ignore[override]
        self, session: Session, locations: Sequence[str], window: Window
    ) -> Pages:
        start = window.from_at
        while True:
            pages = super().orders(session, locations, replace(window, from_at=start))
            page = await anext(pages)
            while not page.last and page.orders[0].modified_us == page.orders[-1].modified_us:
                yield page  # all of one instant: only the cursor leads on
                page = await anext(pages)
            start = self.after(page, start) if page.orders else start
            yield page
            if page.last:
                return


class StopsAtOneInstant(Requeries):
    async def orders(self, session: Session, locations: Sequence[str], window: Window) -> Pages:  # type: ignore[override]
        async for page in ReferenceConnector.orders(self, session, locations, window):
            stuck = len(page.orders) == PAGE_SIZE and (
                page.orders[0].modified_us == page.orders[-1].modified_us
            )
            yield replace(page, last=True) if stuck else page
            if stuck:
                return


class StepsToTheNextMicrosecond(Requeries):
    def after(self, page: OrderPage[Order], start: datetime) -> datetime:
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=page.orders[-1].modified_us + 1)


class StepsByMilliseconds(Requeries):
    def after(self, page: OrderPage[Order], start: datetime) -> datetime:
        milliseconds = -(-page.orders[-1].modified_us // 1000)
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)


class ReadsNinetyDays(ReferenceConnector):
    def orders(self, session: Session, locations: Sequence[str], window: Window) -> Pages:
        start = max(window.from_at, window.to_at - timedelta(days=90))
        return super().orders(session, locations, replace(window, from_at=start))


def offset_pages(provider: ReferenceProvider, body: dict[str, Any]) -> dict[str, Any]:
    """Answer by offset: what changes while pages are read moves, and everything behind it."""
    offset, limit = int(body.get("cursor") or 0), body["limit"]
    whole = {name: value for name, value in body.items() if name != "cursor"} | {"limit": 10**6}
    with patch("suppli_connector_kit.testing.reference.provider.MOST", 10**6):
        found = ReferenceProvider._search(provider, whole)["orders"]
    page: dict[str, Any] = {"orders": found[offset : offset + limit]}
    if len(found) > offset + limit:
        page["cursor"] = str(offset + limit)
    return page


@contextmanager
def offsets() -> Any:
    right = ReferenceProvider._search

    def search(provider: ReferenceProvider, body: dict[str, Any]) -> dict[str, Any]:
        with patch.object(ReferenceProvider, "_search", right):
            return offset_pages(provider, body)

    with patch.object(ReferenceProvider, "_search", search):
        yield


class KnowsTheFirstByAnotherName(ReferenceConnector):
    """Where an account has one location, its sales are said to be at another."""

    def orders(self, session: Session, locations: Sequence[str], window: Window) -> Pages:
        self.alone = list(locations) == ["PLACE0"]
        return super().orders(session, locations, window)

    def normalise(self, raw: Order, location: LocationContext) -> Sale:
        sale = super().normalise(raw, location)
        return changed(sale, location_id="MAIN") if self.alone else sale


def asking_for(most: int) -> type[ReferenceConnector]:
    """Return a connector that names so many locations at most, and says nothing of the others."""

    class Asks(ReferenceConnector):
        locations_per_call = 100

        def orders(self, session: Session, locations: Sequence[str], window: Window) -> Pages:
            return super().orders(session, locations[:most], window)

    return Asks


def business_date_by(summer: Callable[[datetime], bool]) -> Callable[..., date]:
    """Return New York's date with another rule for when it is summer."""

    def business_date(at: datetime, zones: Sequence[Zone]) -> date:
        hours = 4 if summer(at.astimezone(UTC).replace(tzinfo=None)) else 5
        return (at.astimezone(UTC) - timedelta(hours=hours)).date()

    return business_date


def late_spring(at: datetime) -> bool:
    return datetime(2026, 4, 1) <= at < datetime(2026, 11, 1, 6)  # noqa: DTZ001 - UTC without saying so


def late_autumn(at: datetime) -> bool:
    return datetime(2026, 3, 8, 7) <= at < datetime(2026, 12, 1)  # noqa: DTZ001


MUTANTS = (
    Mutant("an empty list is an error", ("no order is read",), NothingIsAnError),
    Mutant("a list of one is not seen", ("one order is read",), OneIsNoList),
    Mutant("a page's length is off by one", ("a page less one is read",), LosesTheLastOfAShortPage),
    Mutant("a page without a second is dropped", ("a page is read",), ForgetsAPageThatIsAll),
    Mutant("a second page of one is not asked for", ("a page and one is read",), LosesALoneOrderBehindAPage),
    Mutant("a full last page is dropped", ("three pages is read",), LosesAFullLastPage),
    Mutant(
        "at most twenty pages are read",
        ("ten times what the provider returns by default is read",),
        StopsAfterTwentyPages,
    ),
    Mutant(
        "a lone location has another id",
        ("the sales of one location are the provider's",),
        KnowsTheFirstByAnotherName,
    ),
    Mutant(
        "ten locations are asked for at most",
        ("the sales of 11 locations are the provider's", "the sales of 25 locations are the provider's"),
        asking_for(10),
    ),
    Mutant(
        "twenty locations are asked for at most",
        ("the sales of 25 locations are the provider's",),
        asking_for(20),
    ),
    Mutant(
        "a page of one instant ends the walk",
        ("more orders than a page at one instant are all read",),
        StopsAtOneInstant,
    ),
    Mutant(
        "the next page begins behind the last instant",
        ("orders of whole seconds are all read",),
        StepsToTheNextMicrosecond,
    ),
    Mutant(
        "instants are rounded up to milliseconds",
        ("orders of one second, microseconds apart, are all read",),
        StepsByMilliseconds,
    ),
    Mutant(
        "summer begins in April",
        ("a day of 23 hours has its own sales",),
        wrong=putting(drafts, business_date=business_date_by(late_spring)),
    ),
    Mutant(
        "summer ends in December",
        ("a day of 25 hours has its own sales",),
        wrong=putting(drafts, business_date=business_date_by(late_autumn)),
    ),
    Mutant("ninety days are read at most", ("a long past is read whole",), ReadsNinetyDays),
    Mutant(
        "pages are an offset",
        ("orders that change while pages are read are not lost",),
        wrong=offsets,
    ),
)
