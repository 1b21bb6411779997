"""The catalog's changes, said as external items; what did not change is not said again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from suppli_connector_kit.domain.hashing import item_hash
from suppli_connector_kit.domain.text import cleaned_item
from suppli_connector_kit.engine.ports import Books, ItemEntry, KnownItem, Report
from suppli_connector_kit.metrics import ITEMS
from suppli_connector_kit.protocol import CatalogItem, Connector, Session


async def sync_catalog(connector: Connector[Any], session: Session, books: Books, report: Report) -> None:
    """Read what changed in the catalog since the last time, and say it.

    After a complete walk, what was known and is not there any more is said to be deleted. The token is kept
    with the last page: a crash before it reads the same changes again.
    """
    token = await books.catalog_token()
    seen: set[str] = set()
    async for page in connector.catalog(session, token):
        known = await books.known_items([item.external_id for item in page.items])
        changed = changes(page.items, known)
        seen.update(item.external_id for item in page.items)
        if page.last and page.complete:
            changed += deletions(await books.known_items(None), seen)
        if changed or page.last:
            report.tally.items_published += len(changed)
            await books.record_items(changed, page.next_token if page.last else None, report)
            ITEMS.inc(len(changed))


def changes(items: Iterable[CatalogItem], known: Mapping[str, KnownItem]) -> list[ItemEntry]:
    """Return the items that differ from what was said of them, each once, with their next revision."""
    entries: dict[str, ItemEntry] = {}
    for each in items:
        item = cleaned_item(each)
        before = known.get(item.external_id)
        if item.deleted:
            if before is None:
                continue  # never said, so nobody needs to hear that it is gone
            # providers tell little of what is gone; lines that name it still want its name
            item = replace(before.item, deleted=True)
        content_hash = item_hash(item)
        if before is None or before.content_hash != content_hash:
            revision = before.revision + 1 if before is not None else 1
            entries[item.external_id] = ItemEntry(item, content_hash, revision)
        else:
            entries.pop(item.external_id, None)
    return list(entries.values())


def deletions(known: Mapping[str, KnownItem], seen: set[str]) -> list[ItemEntry]:
    """Return as deleted the items that a walk of the whole catalog did not show."""
    gone = (replace(before.item, deleted=True) for key, before in known.items() if key not in seen)
    return changes(gone, known)
