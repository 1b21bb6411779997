"""Service keys: what a script may do with one, and that nothing of one is left where it could leak."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from suppli_gateway.service_keys.domain import MOST_KEYS, digest

from .conftest import Deployment, Person
from .test_access import ENDPOINTS, ROLES
from .test_events import following, stream

PATH = "/v1/service-keys"


class Script(Person):
    """What calls with a service key."""

    def __init__(self, url: str, made: dict[str, Any]) -> None:
        super().__init__(url, made["key"])
        self.secret, self.key_id = str(made["key"]), str(made["service_key"]["id"])


Make = Callable[..., Awaitable[Script]]


@pytest.fixture
async def with_key(admin: Person, gateway_url: str) -> AsyncIterator[Make]:
    """Return a function that makes a key and gives somebody who calls with it."""
    scripts: list[Script] = []

    async def make(role: str = "viewer", *, by: Person = admin, **body: Any) -> Script:
        made = await by.ask("POST", PATH, 201, json={"name": "Report", "role": role, **body})
        script = Script(gateway_url, made)
        scripts.append(script)
        return script

    yield make
    for script in scripts:
        await script.http.aclose()


async def test_a_key_opens_what_its_role_does_and_nothing_else(
    admin: Person, code: str, with_key: Make
) -> None:
    """A script that reads reports must not be able to disconnect the shop."""
    connection = await admin.started(code)
    scripts = {role: await with_key(role) for role in ROLES}
    for method, path, body, least, status in ENDPOINTS:
        url = path.format(id=connection)
        for role in ROLES[: ROLES.index(least)]:
            await scripts[role].refused(403, "role-forbidden", method, url, json=body)
        for role in ROLES[ROLES.index(least) :]:
            if (method, path) == ("POST", PATH):
                await scripts[role].refused(403, "person-required", method, url, json=body)
                continue
            answer = await scripts[role].http.request(method, url, json=body)
            assert answer.status_code == status, (role, method, url, answer.text)


async def test_what_a_key_does_is_told_to_other_services_as_its_own(
    admin: Person, tenant: UUID, code: str, with_key: Make, deployment: Deployment
) -> None:
    """Who synced, a person or a script, is the first question when something went wrong."""
    connection = await admin.started(code)
    script = await with_key("operator")
    await script.ask("POST", f"/v1/connections/{connection}/sync", 202)
    asked = deployment.neighbours.calls(f"{connection}/runs")[-1]
    assert (asked.actor, asked.tenant) == (f"key:{script.key_id}", str(tenant))


async def test_another_tenants_keys_are_not_there(
    admin: Person, with_key: Make, sign_in: Callable[..., Person]
) -> None:
    """A stranger who could see or revoke a shop's keys could stop its reports."""
    script, stranger = await with_key("admin"), sign_in(uuid4())
    key_id = script.key_id
    await stranger.refused(404, "service-key-not-found", "POST", f"{PATH}/{key_id}/revoke")
    assert (await stranger.ask("GET", PATH))["items"] == []
    other = {"Suppli-Tenant": str(uuid4())}
    await script.refused(403, "tenant-forbidden", "GET", "/v1/connections", headers=other)
    abroad = await with_key("admin", by=stranger)
    await abroad.refused(404, "service-key-not-found", "POST", f"{PATH}/{key_id}/revoke")
    await script.ask("GET", "/v1/connections")


async def test_a_revoked_key_is_refused_at_once_by_every_replica_and_its_streams_end(
    admin: Person, tenant: UUID, gateway_url: str, with_key: Make, deployment: Deployment
) -> None:
    """Whoever finds a key in a public place must be able to end it now, not after a cache has."""
    second = deployment.start("keys")
    script, other = await with_key(), await with_key()
    abroad = Person(second, script.secret)
    await abroad.ask("GET", "/v1/connections")
    async with (
        stream(second, script.secret) as watched,
        stream(second, other.secret) as spared,
    ):
        revoked = await admin.ask("POST", f"{PATH}/{script.key_id}/revoke")
        assert (revoked["state"], revoked["revoked_by"]) == ("revoked", f"admin@{tenant}")
        for where in (script, abroad):
            refused = await where.refused(401, "unauthorized", "GET", "/v1/connections")
            assert "was revoked" in refused["detail"]
        assert await following(watched) is None
        await admin.begin()
        assert (await following(spared))[0] == "connection", "the other key's stream goes on"
    again = await admin.ask("POST", f"{PATH}/{script.key_id}/revoke")
    assert again["revoked_at"] == revoked["revoked_at"]
    await other.ask("GET", "/v1/connections")
    await abroad.http.aclose()


async def test_a_key_ends_when_it_was_to_end(admin: Person, with_key: Make, deployment: Deployment) -> None:
    """A key for one month's audit must not open the shop's books for years."""
    ends = datetime.now(UTC) + timedelta(hours=1)
    script = await with_key(expires_at=ends.isoformat())
    await script.ask("GET", "/v1/connections")
    deployment.move_clock(timedelta(hours=1, seconds=5))
    refused = await script.refused(401, "unauthorized", "GET", "/v1/connections")
    assert "has expired" in refused["detail"]
    deployment.move_clock(timedelta())
    for wrong, reason in (("2020-01-01T00:00:00Z", "past"), ("2100-01-01T00:00:00", "time zone")):
        body = {"name": "Late", "role": "viewer", "expires_at": wrong}
        refused = await admin.refused(422, "invalid-request", "POST", PATH, json=body)
        assert reason in refused["errors"][0]["message"]


async def test_keys_are_listed_with_who_made_them_and_when_they_were_used(
    admin: Person, tenant: UUID, with_key: Make
) -> None:
    """An owner who does not know what a key is for, or whether it is used, never dares to revoke it."""
    first, second = await with_key(name="One"), await with_key("admin", name="Two")
    await second.ask("GET", "/v1/connections")
    page = await admin.ask("GET", PATH, params={"limit": 1})
    rest = await admin.ask("GET", PATH, params={"limit": 1, "cursor": page["next_cursor"]})
    listed = [*page["items"], *rest["items"]]
    assert [each["name"] for each in listed] == ["One", "Two"]
    assert rest["next_cursor"] is None
    assert [each["last_used_at"] is not None for each in listed] == [False, True]
    for each, script in zip(listed, (first, second), strict=True):
        assert each["created_by"] == f"admin@{tenant}"
        assert script.secret.startswith(f"{each['prefix']}_")
        assert script.secret not in str(each)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda key: key[:-1], "malformed"),
        (lambda key: f"{key}x", "malformed"),
        (lambda key: f"{key[:-1]}{'A' if key[-1] != 'A' else 'B'}", "not known"),
        (lambda key: "suppli_sk_", "malformed"),
    ],
)
async def test_what_is_not_quite_a_key_opens_nothing(
    with_key: Make, change: Callable[[str], str], reason: str
) -> None:
    script = await with_key()
    header = {"Authorization": f"Bearer {change(script.secret)}"}
    refused = await script.refused(401, "unauthorized", "GET", "/v1/connections", headers=header)
    assert reason in refused["detail"]


async def test_a_key_is_shown_once_and_kept_nowhere(
    admin: Person, tenant: UUID, deployment: Deployment
) -> None:
    """A stored answer, a backup or a log that has the key is as good as the key."""
    body = {"name": "Report", "role": "viewer"}
    headers = {"Idempotency-Key": str(uuid4())}
    first = await admin.ask("POST", PATH, 201, json=body, headers=headers)
    again = await admin.http.post(PATH, json=body, headers=headers)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == {**first, "key": None}
    assert len((await admin.ask("GET", PATH))["items"]) == 1, "and no second one was made"
    script = Person(str(admin.http.base_url), first["key"])
    await script.ask("GET", "/v1/connections")
    await script.http.aclose()
    logs = deployment.logs()
    assert first["service_key"]["id"] in logs, "who made it is written down"
    assert f"admin@{tenant}" in logs
    secret = first["key"].removeprefix(first["service_key"]["prefix"])
    assert secret not in logs
    with psycopg.connect(deployment.database.owner_url.replace("+psycopg", "")) as connection:
        connection.execute("select set_config('app.tenants', %s, false)", [f"{{{tenant}}}"])
        owned = "select relname from pg_class where relkind = 'r' and relowner = current_user::regrole"
        tables = connection.execute(owned).fetchall()
        assert ("service_keys",) in tables
        for (table,) in tables:
            rows = connection.execute(f"select t::text from {table} t").fetchall()
            assert not [row for (row,) in rows if secret in row], table


async def test_the_holder_of_a_key_may_read_its_one_row_and_change_none(
    with_key: Make, deployment: Deployment
) -> None:
    """The look-up comes before the tenant is known: it must not open the table to a forgotten condition."""
    script, _ = await with_key(), await with_key()
    held = digest(script.secret).hex()
    with psycopg.connect(deployment.database.app_url.replace("+psycopg", "")) as connection:
        assert connection.execute("select count(*) from service_keys").fetchone() == (0,)
        connection.execute("select set_config('app.service_key', %s, false)", [held])
        rows = connection.execute("select key_id from service_keys").fetchall()
        assert [str(key_id) for (key_id,) in rows] == [script.key_id]
        changed = connection.execute("update service_keys set role = 'admin'")
        assert changed.rowcount == 0
        connection.execute("select set_config('app.service_key', %s, false)", ["00" * 32])
        assert connection.execute("select count(*) from service_keys").fetchone() == (0,)


async def test_a_tenant_has_only_so_many_keys(admin: Person, tenant: UUID, deployment: Deployment) -> None:
    """A script gone wild must not fill the table; revoked keys make room."""
    with psycopg.connect(deployment.database.owner_url.replace("+psycopg", "")) as connection:
        connection.execute("select set_config('app.tenants', %s, false)", [f"{{{tenant}}}"])
        connection.execute(
            "insert into service_keys"
            " (key_id, tenant_id, name, role, prefix, secret_hash, created_at, created_by)"
            " select gen_random_uuid(), %s, 'Old', 'viewer', 'suppli_sk_0',"
            " sha256(gen_random_uuid()::text::bytea), now(), 'x' from generate_series(1, %s)",
            [tenant, MOST_KEYS],
        )
    body = {"name": "One more", "role": "viewer"}
    await admin.refused(409, "too-many-service-keys", "POST", PATH, json=body)
    old = (await admin.ask("GET", PATH, params={"limit": 1}))["items"][0]
    await admin.ask("POST", f"{PATH}/{old['id']}/revoke")
    await admin.ask("POST", PATH, 201, json=body)
