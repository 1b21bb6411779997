"""Whether a connection may carry the same sales as another: pure."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from suppli_contracts.events.connections import ConnectedLocation, Way

from suppli_gateway.connections.changes import FieldError
from suppli_gateway.connections.domain import Connection


@dataclass(frozen=True, slots=True)
class OtherWay:
    """What is known of the connection that a way names.

    Attributes:
        connection: the tenant's connection of that id; None = there is none.
        stood_for: whether another connection names the one that is changed.
    """

    connection: Connection | None
    stood_for: bool


def way_errors(
    connection_id: UUID, way: Way, locations: tuple[ConnectedLocation, ...], other: OtherWay
) -> list[FieldError]:
    """Return why a connection with these locations cannot go this way; none where it can.

    The other one is asked about at the tenant's own connections, so a foreign id is one that does not exist.
    """
    if way.stands_for is None:
        return []

    def refused(reason: str) -> list[FieldError]:
        return [FieldError("way.stands_for", str(way.stands_for), reason)]

    if way.stands_for == connection_id:
        return refused("is the connection itself")
    if other.connection is None:
        return refused("is not a connection of this tenant")
    if other.connection.way != Way():
        return refused("does not carry sales of its own: name the connection that it stands for")
    if other.stood_for:
        return refused("cannot be named: another connection stands for this one")
    if not _ties(locations) & _ties(other.connection.locations):
        return refused(
            "is tied to no Suppli location that this connection is tied to: tie the locations first"
        )
    return []


def _ties(locations: tuple[ConnectedLocation, ...]) -> set[str]:
    return {each.suppli_location_id for each in locations if each.suppli_location_id is not None}
