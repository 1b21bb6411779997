"""Walks the catalog's changes.

Items name their category and unit by id. When a category or unit changed, every item that points to it reads
differently without having changed itself: then all items are read again, and the kit says those that differ.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from suppli_connector_kit.client import ProviderClient
from suppli_connector_kit.protocol import CatalogItem, CatalogPage, Session

from suppli_connector_square.domain.catalog import (
    CatalogAnswer,
    CatalogObject,
    References,
    external_items,
    parent_of,
)

_PAGE = 1000
_REFERENCES = ("CATEGORY", "MEASUREMENT_UNIT")
_SELLING = ("ITEM", "MODIFIER_LIST")
_NESTED = (
    "ITEM_VARIATION",
    "MODIFIER",
)  # come only when asked for by name; ITEM and MODIFIER_LIST embed them
_DECODE = msgspec.json.Decoder(CatalogAnswer).decode


class CatalogWalk:
    """One reading of an account's catalog.

    Deleted objects come along only in changes; when everything is read, what is missing is gone.
    """

    def __init__(self, client: ProviderClient, session: Session) -> None:
        self._client, self._session = client, session
        self._latest: str | None = None

    async def pages(self, token: str | None) -> AsyncIterator[CatalogPage]:
        """Yield the items that changed since `token`, which is Square's `latest_time` of the walk before.

        The next token is that of the walk's first answer: what changes while it runs comes again next time.
        """
        begin = token
        if token is not None and await self._any(_REFERENCES, token):
            begin = None
        references: References | None = None
        if begin is None:
            references = await self._references()
        seen: set[str] = set()
        async for found in self._search(_SELLING, begin):
            references = references or await self._references()
            seen.update(each.id for each in found)
            yield CatalogPage(_items(found, references), last=False)
        if token is not None:
            async for found in self._search(_NESTED, token):
                references = references or await self._references()
                parents = {parent for each in found if (parent := parent_of(each))} - seen
                seen |= parents
                objects = [*found, *await self._objects(sorted(parents))]
                yield CatalogPage(_items(objects, references), last=False)
        yield CatalogPage((), last=True, next_token=self._latest or token)

    async def _any(self, types: Sequence[str], begin: str) -> bool:
        async for found in self._search(types, begin):
            if found:
                return True
        return False

    async def _references(self) -> References:
        return References.of([each async for found in self._search(_REFERENCES, None) for each in found])

    async def _search(self, types: Sequence[str], begin: str | None) -> AsyncIterator[list[CatalogObject]]:
        """Yield pages; a walk from the beginning leaves deleted objects out. `begin` is exclusive."""
        body: dict[str, Any] = {"object_types": types, "limit": _PAGE}
        if begin is not None:
            body |= {"begin_time": begin, "include_deleted_objects": True}
        while True:
            answer, _ = await self._client.ask(
                self._session, "POST", "/v2/catalog/search", _DECODE, json=body
            )
            self._latest = self._latest or answer.latest_time
            if answer.objects:
                yield answer.objects
            if not answer.cursor:
                return
            body["cursor"] = answer.cursor

    async def _objects(self, object_ids: Sequence[str]) -> list[CatalogObject]:
        found: list[CatalogObject] = []
        for at in range(0, len(object_ids), _PAGE):
            body = {"object_ids": object_ids[at : at + _PAGE]}
            answer, _ = await self._client.ask(
                self._session, "POST", "/v2/catalog/batch-retrieve", _DECODE, json=body
            )
            found += answer.objects or ()
        return found


def _items(objects: Sequence[CatalogObject], references: References) -> list[CatalogItem]:
    return [item for each in objects for item in external_items(each, references)]
