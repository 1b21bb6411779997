"""What may happen to a connection, without any server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from suppli_contracts.events.connections import (
    ConnectedLocation,
    ConnectionState,
    Schedule,
    ScheduleKind,
    Way,
    ZonePeriod,
)
from suppli_contracts.internal import Account, AccountLocation
from suppli_gateway.connections import domain
from suppli_gateway.connections.changes import (
    Invalid,
    LocationChange,
    changed_locations,
    schedule_errors,
    with_settings,
)
from suppli_gateway.connections.domain import Connection, NotAllowed
from suppli_gateway.connections.ways import OtherWay, way_errors

NOW = datetime(2026, 3, 2, 3, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
TIED = ConnectedLocation(
    location_id="L1", chosen=True, suppli_location_id="s", zones=(ZonePeriod(timezone="America/New_York"),)
)


def account(account_id: str = "M1", *names: str) -> Account:
    locations = tuple(
        AccountLocation(location_id=name, name=name, timezone="America/New_York") for name in names or ("L1",)
    )
    return Account(account_id=account_id, name="Shop", environment="sandbox", locations=locations)


def pending() -> Connection:
    return domain.new_connection(
        connection_id=UUID(int=1), tenant_id=UUID(int=2), provider="p", environment="sandbox", now=NOW
    )


def connected(**changes: Any) -> Connection:
    return domain.authorized(pending(), account(), NOW).changed(NOW, **changes)


IN_STATE = {
    "pending": pending(),
    "connected": connected(),
    "paused": connected(state=ConnectionState.PAUSED),
    "error": connected(state=ConnectionState.ERROR, reauth_reason="gone", reauth_at=NOW),
    "disconnected": domain.disconnected(connected(), erase=False, now=NOW),
}
DO = {
    "pause": lambda c: domain.paused(c, LATER),
    "resume": lambda c: domain.resumed(c, LATER),
    "disconnect": lambda c: domain.disconnected(c, erase=False, now=LATER),
    "authorize": lambda c: domain.authorized(c, account(), LATER),
    "lose": lambda c: domain.reauth_required(c, reason="no", at=LATER, works_until=None, now=LATER),
}
TABLE = {
    ("pending", "pause"): "connection-pending",
    ("pending", "resume"): "connection-pending",
    ("pending", "disconnect"): "disconnected",
    ("pending", "authorize"): "connected",
    ("pending", "lose"): "pending",
    ("connected", "pause"): "paused",
    ("connected", "resume"): "connected",
    ("connected", "disconnect"): "disconnected",
    ("connected", "authorize"): "connected",
    ("connected", "lose"): "error",
    ("paused", "pause"): "paused",
    ("paused", "resume"): "connected",
    ("paused", "disconnect"): "disconnected",
    ("paused", "authorize"): "paused",
    ("paused", "lose"): "paused",
    ("error", "pause"): "paused",
    ("error", "resume"): "error",
    ("error", "disconnect"): "disconnected",
    ("error", "authorize"): "connected",
    ("error", "lose"): "error",
    ("disconnected", "pause"): "connection-disconnected",
    ("disconnected", "resume"): "connection-disconnected",
    ("disconnected", "disconnect"): "disconnected",
    ("disconnected", "authorize"): "connected",
    ("disconnected", "lose"): "disconnected",
}


@pytest.mark.parametrize(("state", "action"), list(TABLE))
def test_every_action_in_every_state(state: str, action: str) -> None:
    """A state that an action should not lead to leaves a connection that nobody can mend."""
    before, expected = IN_STATE[state], TABLE[state, action]
    if "-" in expected:
        with pytest.raises(NotAllowed) as refused:
            DO[action](before)
        assert refused.value.slug == expected
        return
    after = DO[action](before)
    assert after.state.value == expected
    assert after.revision == before.revision + (0 if after == before else 1), "consumers drop lower revisions"


def test_a_pause_outlasts_a_lost_authorization_and_resuming_shows_it() -> None:
    """Resuming must not claim that a connection works which the provider refuses."""
    lost = DO["lose"](IN_STATE["paused"])
    assert domain.resumed(lost, LATER).state is ConnectionState.ERROR


def test_a_loss_found_out_before_the_new_authorization_is_obsolete() -> None:
    """A late message would otherwise undo a person's new sign-in."""
    again = domain.authorized(IN_STATE["error"], account(), LATER)
    late = domain.reauth_required(again, reason="no", at=NOW, works_until=None, now=LATER)
    assert late is again


def test_another_account_is_refused_and_a_new_location_waits_to_be_chosen() -> None:
    """Sales of a stranger's shop, or of a location nobody asked for, would flow into the figures."""
    known = connected(locations=(TIED,))
    with pytest.raises(NotAllowed, match="Another account"):
        domain.authorized(known, account("M2"), LATER)
    grown = domain.authorized(known, account("M1", "L1", "L2"), LATER)
    assert [(each.location_id, each.chosen) for each in grown.locations] == [("L1", True), ("L2", False)]
    assert grown.locations[0].zones == TIED.zones
    shrunk = domain.authorized(grown, account("M1", "L2"), LATER)
    assert {each.location_id for each in shrunk.locations} == {"L1", "L2"}


def test_the_first_day_is_the_shops_own_and_stays() -> None:
    """Sales before it are historical: a day too early or late moves stock that was counted already."""
    first = domain.authorized(pending(), account(), NOW)
    assert first.first_day == date(2026, 3, 1), "3:00 UTC is still the evening before in New York"
    assert domain.authorized(first, account(), NOW + timedelta(days=9)).first_day == date(2026, 3, 1)


def test_a_draft_is_not_said_before_the_start() -> None:
    """Otherwise a half-filled form starts to import."""
    daily = Schedule(kind=ScheduleKind.DAILY, daily_at="04:00")
    drafted = with_settings(
        connected(locations=(TIED,)), schedule=daily, start_date=date(2026, 1, 1), locations=(TIED,), now=NOW
    )
    assert (drafted.event().schedule, drafted.event().start_date) == (Schedule(), None)
    begun = domain.started(drafted, start_date=date(2026, 1, 1), schedule=daily, now=NOW)
    assert (begun.event().schedule, begun.event().start_date) == (daily, date(2026, 1, 1))


def test_erasing_what_was_kept_is_still_possible() -> None:
    """A person who changes their mind has a right to have the data erased."""
    erased = domain.disconnected(IN_STATE["disconnected"], erase=True, now=LATER)
    event = erased.event()
    assert (event.erase, event.deleted, event.disconnected_at) == (True, True, NOW)


@pytest.mark.parametrize(
    ("schedule", "fields"),
    [
        (Schedule(kind=ScheduleKind.DAILY), ["schedule.daily_at"]),
        (Schedule(kind=ScheduleKind.DAILY, daily_at="4:00"), ["schedule.daily_at"]),
        (Schedule(kind=ScheduleKind.DAILY, daily_at="04:00", timezone="Mars"), ["schedule.timezone"]),
        (Schedule(kind=ScheduleKind.INTERVAL, every_minutes=4), ["schedule.every_minutes"]),
        (Schedule(kind=ScheduleKind.MANUAL, daily_at="04:00"), ["schedule.daily_at"]),
        (Schedule(kind=ScheduleKind.DAILY, daily_at="04:00", every_minutes=9), ["schedule.every_minutes"]),
        (Schedule(kind=ScheduleKind.INTERVAL, every_minutes=15), []),
        (Schedule(kind=ScheduleKind.CRON), ["schedule.cron"]),
        (Schedule(kind=ScheduleKind.CRON, cron="0 25 * * *"), ["schedule.cron"]),
        (Schedule(kind=ScheduleKind.CRON, cron="*/4 * * * *"), ["schedule.cron"]),
        (Schedule(kind=ScheduleKind.DAILY, daily_at="04:00", cron="0 4 * * *"), ["schedule.cron"]),
        (Schedule(kind=ScheduleKind.CRON, cron="*/5 6-22 * * MON-SAT", timezone="Europe/Berlin"), []),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(schedule: Schedule, fields: list[str]) -> None:
    """It would silently never run, or at another time than its owner believes."""
    assert [error.field for error in schedule_errors(schedule)] == fields


def test_zones_are_kept_with_their_dates() -> None:
    """A shop that moves its cut-off keeps the days of its past as they were."""
    bare = (ConnectedLocation(location_id="L1"),)

    def change(**fields: Any) -> LocationChange:
        return LocationChange(location_id="L1", **fields)

    (first,) = changed_locations(bare, [change(timezone="Asia/Tokyo")], suppli_locations=())
    assert first.zones == (ZonePeriod(timezone="Asia/Tokyo", day_cutoff="00:00"),)
    later = change(timezone="Asia/Tokyo", day_cutoff="05:00", from_date=date(2026, 5, 1))
    (second,) = changed_locations((first,), [later], suppli_locations=())
    (third,) = changed_locations((second,), [change(day_cutoff="01:00")], suppli_locations=())
    assert [(zone.day_cutoff, zone.from_date) for zone in third.zones] == [
        ("01:00", None),
        ("05:00", date(2026, 5, 1)),
    ]
    for wrong in (change(day_cutoff="05:00"), later, change(from_date=date(2026, 5, 1))):
        with pytest.raises(Invalid):
            changed_locations(bare, [wrong], suppli_locations=())


def _refused(way: Way, other: OtherWay, locations: tuple[ConnectedLocation, ...] = (TIED,)) -> list[str]:
    return [error.reason for error in way_errors(UUID(int=1), way, locations, other)]


def test_only_a_connection_that_sells_at_the_same_place_can_be_stood_for() -> None:
    """A file would take another shop's day away, or two ways would each wait for the other."""
    till = connected(connection_id=UUID(int=9), locations=(TIED,))
    way = Way(stands_for=till.connection_id)
    assert _refused(way, OtherWay(till, stood_for=False)) == []
    assert _refused(Way(only_compare=True), OtherWay(None, stood_for=True)) == []
    assert "of this tenant" in _refused(way, OtherWay(None, stood_for=False))[0]
    assert "itself" in _refused(Way(stands_for=UUID(int=1)), OtherWay(till, stood_for=False))[0]
    for third in (Way(stands_for=UUID(int=7)), Way(only_compare=True)):
        assert "of its own" in _refused(way, OtherWay(replace(till, way=third), stood_for=False))[0]
    assert "stands for this one" in _refused(way, OtherWay(till, stood_for=True))[0]
    elsewhere = msgspec.structs.replace(TIED, suppli_location_id="other")
    assert "no Suppli location" in _refused(way, OtherWay(till, stood_for=False), (elsewhere,))[0]


def test_a_way_is_said_and_a_change_of_it_is_a_change() -> None:
    """Mapping hears of it by this event alone: unsaid, a week by file and by connection counts twice."""
    way = Way(stands_for=UUID(int=9), only_compare=True)
    before = connected(locations=(TIED,))
    after = with_settings(
        before, schedule=None, start_date=None, locations=before.locations, way=way, now=LATER
    )
    assert (after.event().way, after.revision) == (way, before.revision + 1)
    kept = with_settings(after, schedule=None, start_date=None, locations=before.locations, now=LATER)
    assert kept is after
