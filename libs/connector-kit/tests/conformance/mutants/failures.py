"""Failures that are not told from success, or not outlived."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import msgspec
from suppli_connector_kit.client import ProviderClient
from suppli_connector_kit.domain.reading import OrderReader
from suppli_connector_kit.engine import run as engine
from suppli_connector_kit.errors import (
    AuthError,
    MissingScope,
    NetworkError,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from suppli_connector_kit.protocol import (
    OrderPage,
    Session,
    Window,
)
from suppli_connector_kit.testing.reference import ReferenceConnector
from suppli_connector_kit.testing.reference.connector import Order
from suppli_service_kit import http_client

from .kinds import Mutant, Pages, putting

RIGHT: dict[str, Any] = {
    "read": ProviderClient._read,
}


def swallowing(when: Callable[[ProviderError, int], bool]) -> type[ReferenceConnector]:
    """Return a connector for which some errors are the end of a list."""

    class Swallows(ReferenceConnector):
        def orders(self, session: Session, locations: Sequence[str], window: Window) -> Pages:
            return self._until(super().orders(session, locations, window))

        async def _until(self, pages: Pages) -> Pages:
            number = 0
            try:
                async for page in pages:
                    yield page
                    number += 1
            except ProviderError as error:
                if not when(error, number):
                    raise
                yield OrderPage([], last=True)

    return Swallows


def reader_that(begins: bytes) -> type[ReferenceConnector]:
    """Return a connector that takes what it cannot read, and what begins so, for an empty list."""

    class Lenient(OrderReader[Order]):
        def read(self, body: bytes, floor_us: int = 0, location: str = "") -> Any:
            try:
                msgspec.json.decode(body)
            except msgspec.DecodeError:
                if body.startswith(begins):
                    return [], None
            return super().read(body, floor_us, location)

    class Reads(ReferenceConnector):
        reader = Lenient(Order, ("id", "place", "modified"))

    return Reads


def impatient_with(begins: bytes) -> Callable[[], AbstractContextManager[Any]]:
    """Give up at once on an answer that is no JSON and begins so."""

    async def read(
        asked: ProviderClient, account: str, method: str, path: str, token: str, reading: Any, json: Any
    ) -> Any:
        def strict(body: bytes) -> Any:
            try:
                msgspec.json.decode(body)
            except msgspec.DecodeError:
                if body.startswith(begins):
                    raise NetworkError("the answer is no JSON") from None
            return reading(body)

        return await RIGHT["read"](asked, account, method, path, token, strict, json)

    return lambda: patch.object(ProviderClient, "_read", read)


class AllOrNothing(OrderReader[Order]):
    """One order that is not as expected, and the page is not the provider's."""

    def _one_by_one(self, *_: Any) -> Any:
        raise ProviderUnavailable("an order is not what the API promises")


class Unseen(OrderReader[Order]):
    """What cannot be understood is not there."""

    def _one_by_one(self, raws: Any, floor_us: int, location: str) -> Any:
        return (ref for ref in super()._one_by_one(raws, floor_us, location) if ref.raw is not None)


class StrictLine(msgspec.Struct, forbid_unknown_fields=True):
    item: str
    quantity: int
    price: int


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    place: str
    modified: str
    sold: str
    lines: list[StrictLine]


class RefusesNews(ReferenceConnector):
    reader = OrderReader(Strict, ("id", "place", "modified"))  # type: ignore[arg-type]


def reading_with(kind: type[OrderReader[Order]]) -> type[ReferenceConnector]:
    class Reads(ReferenceConnector):
        reader = kind(Order, ("id", "place", "modified"))

    return Reads


async def _catalog_first(run: engine.SyncRun) -> None:
    await engine.sync_catalog(run._connector, run._session, run._books, run.report)


async def _catalog_silently(run: engine.SyncRun) -> None:
    try:
        await _catalog_first(run)
    except AuthError:
        return


MUTANTS = (
    Mutant(
        "429 is final",
        (
            "a 429 that names no time is outlived",
            "a 429 is not asked again before the time that it names",
        ),
        wrong=putting(http_client, RETRYABLE=http_client.RETRYABLE - {429}),
    ),
    Mutant(
        "503 is final",
        ("a 5xx is outlived", "a token that ends while a call is tried again is renewed"),
        wrong=putting(http_client, RETRYABLE=http_client.RETRYABLE - {503}),
    ),
    Mutant(
        "a reset is final",
        ("a reset connection is outlived", "a reply to a refresh that is lost costs no sale"),
        wrong=putting(http_client, _BROKEN=()),
    ),
    Mutant(
        "a broken answer is final",
        ("a JSON that breaks off is outlived",),
        wrong=impatient_with(b"{"),
    ),
    Mutant("a page of HTML is final", ("a page of HTML is outlived",), wrong=impatient_with(b"<")),
    Mutant(
        "too many calls end the list",
        ("a 429 that names no time that stays is no success",),
        swallowing(lambda error, _: isinstance(error, RateLimited)),
    ),
    Mutant(
        "a broken provider ends the list",
        ("a 5xx that stays is no success",),
        swallowing(lambda error, _: "503" in error.message),
    ),
    Mutant(
        "a lost connection ends the list",
        ("a reset connection that stays is no success",),
        swallowing(lambda error, _: isinstance(error, NetworkError)),
    ),
    Mutant(
        "broken JSON is an empty list",
        ("a JSON that breaks off that stays is no success", "a JSON that breaks off is outlived"),
        reader_that(b"{"),
    ),
    Mutant(
        "HTML is an empty list",
        ("a page of HTML that stays is no success", "a page of HTML is outlived"),
        reader_that(b"<"),
    ),
    Mutant(
        "Retry-After is not read",
        ("a 429 is not asked again before the time that it names",),
        wrong=putting(http_client, retry_after_seconds=lambda _: None),
    ),
    Mutant(
        "a catalog that is refused ends the run at once",
        ("a permission that the catalog lacks keeps no sale back, and shows",),
        wrong=putting(engine.SyncRun, _catalog=_catalog_first),
    ),
    Mutant(
        "a catalog that is refused is no matter",
        ("a permission that the catalog lacks keeps no sale back, and shows",),
        wrong=putting(engine.SyncRun, _catalog=_catalog_silently),
    ),
    Mutant(
        "orders that are refused are none",
        ("a permission that orders lack is no empty success",),
        swallowing(lambda error, number: isinstance(error, MissingScope) and number == 0),
    ),
    Mutant(
        "a permission taken back ends the list",
        ("a permission taken back amid a run ends it",),
        swallowing(lambda error, number: isinstance(error, MissingScope) and number > 0),
    ),
    Mutant("news is refused", ("unknown fields are read past",), RefusesNews),
    Mutant(
        "one odd order spoils its page",
        ("an order that cannot be understood is set aside alone",),
        reading_with(AllOrNothing),
    ),
    Mutant(
        "an odd order is not there",
        ("an order that cannot be understood is set aside alone",),
        reading_with(Unseen),
    ),
)
