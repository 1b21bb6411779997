"""What a change of a connection's settings means for what is imported already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from suppli_contracts.events.connections import ConnectedLocation, ConnectionChanged, ZonePeriod

from suppli_connector_kit.domain.business_day import day_start
from suppli_connector_kit.domain.instants import to_us
from suppli_connector_kit.protocol import Zone

EVER = -(1 << 62)
"""Before every instant, in microseconds."""


def reads_differently(old: ConnectionChanged, new: ConnectionChanged) -> bool:
    """Return whether a run under way has to start again to do what the new settings say."""
    return old.start_date != new.start_date or _read(old) != _read(new)


def to_read_again(old: ConnectionChanged, new: ConnectionChanged) -> dict[str, int]:
    """Return from which modification on (microseconds) each location is to be read again.

    An earlier start date needs everything again: orders changed since may be of the days that count now.
    A changed zone or cut-off needs what happened since its effective date.
    """
    if old.start_date is not None and new.start_date is not None and new.start_date < old.start_date:
        return {location.location_id: EVER for location in new.locations}
    before = {location.location_id: location for location in old.locations}
    again: dict[str, int] = {}
    for location in new.locations:
        known = before.get(location.location_id)
        if known is not None and known.zones and location.zones and known.zones != location.zones:
            again[location.location_id] = _since(known.zones, location.zones)
    return again


def _read(connection: ConnectionChanged) -> list[tuple[str, tuple[ZonePeriod, ...]]]:
    return sorted((each.location_id, each.zones) for each in connection.locations if is_imported(each))


def is_imported(location: ConnectedLocation) -> bool:
    """Return whether a location's sales are imported: chosen, tied, and with a confirmed zone."""
    return bool(location.chosen and location.suppli_location_id and location.zones)


def _since(old: Sequence[ZonePeriod], new: Sequence[ZonePeriod]) -> int:
    changed = set(old).symmetric_difference(new)
    dates: list[date | None] = [period.from_date for period in changed]
    first: date | None = None
    for day in dates:
        if day is None:
            return EVER
        first = day if first is None or day < first else first
    if first is None:
        return EVER
    zone = new[0]
    start = day_start(first, Zone(zone.timezone, zone.day_cutoff, zone.from_date))
    return to_us(start - timedelta(days=1))
