"""Connections with their ties to Suppli locations, and those locations."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from suppli_mapping.adapters.arrays import uuids
from suppli_mapping.adapters.sql import fetch
from suppli_mapping.domain.entries import Place

_NOWHERE = Place()


class KnownConnection(msgspec.Struct, frozen=True):
    """A connection as mapping needs it; `places` by the provider's location."""

    first_day: date | None = None
    erased: bool = False
    places: dict[str, Place] = msgspec.field(default_factory=dict)

    def place(self, location_id: str) -> Place:
        """Return where sales of a provider's location count; nowhere while it is not tied."""
        return self.places.get(location_id, _NOWHERE)


async def load_connections(
    connection: AsyncConnection, connection_ids: Iterable[UUID]
) -> dict[tuple[UUID, UUID], KnownConnection]:
    """Return the known ones of the connections by (tenant, connection)."""
    rows = await fetch(
        connection,
        """
        select connections.tenant_id, connection_id, first_day, erased, tie.key, tie.value,
            coalesce(locations.restock_unknown, false)
        from connections left join lateral jsonb_each_text(ties) as tie on true
            left join locations on locations.tenant_id = connections.tenant_id and location_id = tie.value
        where connection_id = any(%s)
        """,
        (uuids(list(connection_ids)),),
    )
    found: dict[tuple[UUID, UUID], KnownConnection] = {}
    for tenant_id, connection_id, first_day, erased, external, location, restock in rows:
        known = found.setdefault((tenant_id, connection_id), KnownConnection(first_day, erased, {}))
        if external is not None:
            known.places[external] = Place(location, restock)
    return found
