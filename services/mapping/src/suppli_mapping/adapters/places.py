"""Connections with their ties to Suppli locations, and those locations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from suppli_mapping.adapters.arrays import uuids
from suppli_mapping.adapters.sql import fetch
from suppli_mapping.domain.entries import Place
from suppli_mapping.domain.ways import rule_of

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
            coalesce(locations.restock_unknown, false), stands_for, only_compare, switched -> tie.key
        from connections left join lateral jsonb_each_text(ties) as tie on true
            left join locations on locations.tenant_id = connections.tenant_id and location_id = tie.value
        where connection_id = any(%s)
        """,
        (uuids(list(connection_ids)),),
    )
    found: dict[tuple[UUID, UUID], KnownConnection] = {}
    for tenant_id, connection_id, first_day, erased, external, location, restock, *way in rows:
        known = found.setdefault((tenant_id, connection_id), KnownConnection(first_day, erased, {}))
        if external is not None:
            stands_for, only_compare, switched = way
            rule = rule_of(stands_for, only_compare, days_in(switched))
            known.places[external] = Place(location, restock, rule)
    return found


def switched_text(switched: Mapping[str, Iterable[date]]) -> str:
    """Return the column `switched`: dates by the provider's location."""
    dates: dict[str, Any] = {location: sorted(each) for location, each in switched.items() if each}
    return msgspec.json.encode(dates).decode()


def days_in(switched: Iterable[str] | None) -> frozenset[date]:
    """Return a location's dates in the column `switched`."""
    return frozenset(map(date.fromisoformat, switched or ()))
