"""The walk of an owner: connect, tie, start, sync."""

from __future__ import annotations

from uuid import UUID

from suppli_contracts.events import ConnectionChanged
from suppli_contracts.events.connections import ConnectionState

from .conftest import TIE, Deployment, Heard, Person, until


async def test_an_owner_connects_ties_a_location_starts_and_syncs(
    admin: Person, tenant: UUID, code: str, deployment: Deployment, heard: Heard
) -> None:
    """Without this no shop's sales ever arrive."""
    begun = await admin.begin()
    assert begun["connection"]["state"] == "pending"
    assert begun["scopes"] == [{"name": "ORDERS_READ", "reason": "To read sales."}]

    answer = await admin.come_back(begun["authorize_url"], code=code)
    assert answer.status_code == 200, answer.text
    connected = answer.json()
    assert connected["revived"] is False
    connection = connected["connection"]
    assert connection["id"] == begun["connection"]["id"]
    assert connection["state"] == "connected"
    assert connection["account"]["name"] == "Corner Coffee"
    assert [location["chosen"] for location in connection["locations"]] == [False]

    await admin.ask("PUT", "/v1/locations/shop-1", json={"name": "Shop 1"})
    path = f"/v1/connections/{connection['id']}"
    patched = await admin.ask("PATCH", path, json={"locations": [TIE]})
    assert patched["locations"][0]["zones"] == [
        {"timezone": "America/New_York", "day_cutoff": "03:00", "from_date": None}
    ]
    schedule = {"kind": "daily", "daily_at": "04:00", "timezone": "America/New_York"}
    started = await admin.ask(
        "POST", f"{path}/start", 202, json={"start_date": "2026-01-01", "schedule": schedule}
    )
    assert started["run"]["kind"] == "backfill"
    run = await admin.ask("POST", f"{path}/sync", 202)
    assert run["kind"] == "manual"

    asked = deployment.neighbours.calls(f"{connection['id']}/runs")
    assert [call.body["settings_revision"] for call in asked] == [started["connection"]["revision"]] * 2
    assert {(call.tenant, call.actor) for call in asked} == {(str(tenant), f"admin@{tenant}")}

    await until(lambda: len(heard.of(ConnectionChanged, connection_id=connection["id"])) == 4)
    said = heard.of(ConnectionChanged, connection_id=connection["id"])
    assert [event.revision for event in said] == [1, 2, 3, 4]
    assert said[-1].state is ConnectionState.CONNECTED
    assert str(said[-1].start_date) == "2026-01-01"
    assert said[-2].start_date is None, "what is only drafted binds nobody"
