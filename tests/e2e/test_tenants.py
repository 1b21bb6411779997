"""A shop that could see, or touch, anything of another's would be the end of trust in all of this."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import hvac
import orjson
import psycopg
import pytest
from hvac.exceptions import Forbidden
from psycopg import sql
from suppli_demo.shop import Shop, wait_for
from suppli_demo.system import CONNECTORS, SERVICES, System
from suppli_sandbox.client import LocationSpec, MerchantSpec

from tests.e2e.clover import connect_clover, new_merchant
from tests.e2e.conftest import ROOT, ZONE, World, generate, sign_in
from tests.e2e.isolation import OPEN, connect, copied, database_of, held, tenant_tables, visible

OPENAPI = ROOT / "services" / "gateway" / "openapi.json"
ROLES = ("viewer", "operator", "admin")
NAMES = tuple(part.name for part in SERVICES)
PROVIDERS = {part.name: part.provider for part in CONNECTORS}
SPAN = {"from": "2026-03-01", "to": "2026-03-31"}
Json = dict[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """One operation of the public API: who may do it, and what it answers to its own tenant."""

    method: str
    path: str
    least: str
    own: int = 200
    body: Json | None = None
    query: str = ""

    @property
    def names_something(self) -> bool:
        """Whether its path names what may be another tenant's."""
        return "{" in self.path and self.path != "/v1/locations/{location_id}"


CONNECTION = "/v1/connections/{connection_id}"
# In an order that leaves the connection usable to the end: what ends it comes last.
ENDPOINTS = (
    Endpoint("GET", "/v1/connections", "viewer"),
    Endpoint("GET", CONNECTION, "viewer"),
    Endpoint("GET", f"{CONNECTION}/coverage", "viewer"),
    Endpoint("GET", f"{CONNECTION}/days", "viewer", query=f"?{urlencode(SPAN)}"),
    Endpoint("GET", f"{CONNECTION}/events", "viewer"),
    Endpoint("GET", f"{CONNECTION}/runs", "viewer"),
    Endpoint("GET", f"{CONNECTION}/set-aside", "viewer"),
    Endpoint("GET", "/v1/events", "viewer"),
    Endpoint("GET", "/v1/items", "viewer"),
    Endpoint("GET", "/v1/items/{item_id}", "viewer"),
    Endpoint("GET", "/v1/locations", "viewer"),
    Endpoint("GET", "/v1/locations/{location_id}/days", "viewer", query=f"?{urlencode(SPAN)}"),
    Endpoint("GET", "/v1/products", "viewer"),
    Endpoint("GET", "/v1/runs/{run_id}", "viewer"),
    Endpoint("GET", f"{CONNECTION}/preview", "operator"),
    Endpoint("PUT", "/v1/items/{item_id}/mapping", "operator", body={"state": "ignored"}),
    Endpoint("POST", "/v1/runs/{run_id}/cancel", "operator", own=202),  # it is over, and stays so
    Endpoint("POST", f"{CONNECTION}/sync", "operator", own=202),
    Endpoint("POST", f"{CONNECTION}/republish", "operator", own=202, body={"order_ids": ["NONE"]}),
    Endpoint("POST", f"{CONNECTION}/pause", "operator"),
    Endpoint("POST", f"{CONNECTION}/resume", "operator"),
    # An import that was taken back, of a till that is paused: whoever may ask hears that, each time.
    Endpoint("GET", "/v1/uploads", "viewer"),
    Endpoint("GET", "/v1/uploads/{upload_id}", "viewer"),
    Endpoint("GET", "/v1/uploads/{upload_id}/errors", "viewer"),
    Endpoint("POST", "/v1/uploads", "operator", own=201, body={"no": "table"}),
    Endpoint(
        "PUT",
        "/v1/uploads/{upload_id}/plan",
        "operator",
        own=422,
        body={"till": {"suppli_location_id": "nowhere"}},
    ),
    Endpoint("POST", "/v1/uploads/{upload_id}/import", "operator", own=409),
    Endpoint("POST", "/v1/uploads/{upload_id}/undo", "operator", own=409),
    Endpoint("DELETE", "/v1/uploads/{upload_id}", "operator", own=409),
    Endpoint("POST", "/v1/products/import", "admin", body={"products": []}),
    Endpoint("PUT", "/v1/locations/{location_id}", "admin", body={"name": "Mine", "timezone": ZONE}),
    Endpoint("POST", "/v1/connections", "admin", own=201, body={"provider": "square"}),
    Endpoint("PATCH", CONNECTION, "admin", body={"schedule": {"kind": "manual"}}),
    Endpoint("POST", f"{CONNECTION}/start", "admin", own=202, body={"start_date": "2026-03-01"}),
    Endpoint("GET", "/v1/service-keys", "admin"),
    Endpoint("POST", "/v1/service-keys", "admin", own=201, body={"name": "Mine", "role": "viewer"}),
    Endpoint("POST", "/v1/service-keys/{key_id}/revoke", "admin"),
    Endpoint("POST", f"{CONNECTION}/reauthorize", "admin"),
    Endpoint("POST", f"{CONNECTION}/disconnect", "admin", body={"erase": False}),
)
# The provider's redirect brings no token; state and cookie decide (tests of connecting).
WITHOUT_TOKEN = {("GET", "/v1/oauth/callback")}


@dataclass(frozen=True)
class Tenant:
    """A tenant with a shop, and the ids that are its own."""

    world: World
    ids: dict[str, str]
    connections: dict[str, str]
    """One of each provider, by its name; the ids speak of Square's."""

    @property
    def id(self) -> UUID:
        """The tenant's id."""
        return self.world.tenant

    def ids_at(self, provider: str | None) -> dict[str, str]:
        """Return the ids with the connection that is a provider's, where it is one."""
        return self.ids | {"connection_id": self.connections.get(provider or "", self.ids["connection_id"])}


@pytest.fixture(scope="module")
def tenants(system: System) -> tuple[Tenant, Tenant]:
    """Two tenants with sales, mapped."""
    return a_tenant(system), a_tenant(system)


def a_tenant(system: System) -> Tenant:
    """Make a tenant whose shop is connected, has sold, and is mapped; it has one broken order.

    It has another till, at Clover.
    """
    number = uuid4().hex[:8].upper()
    location, merchant = f"LTENANT{number}", f"MLTENANT{number}"
    system.control.create_merchant(
        MerchantSpec(
            id=merchant,
            name=f"Tenant {number}",
            locations=(LocationSpec(id=location, name="Bar", timezone=ZONE),),
        )
    )
    generate(system, merchant, 40, 1)
    broken = {"id": f"BROKEN{number}", "line_items": "none", "updated_at": "2026-03-05T15:00:00Z"}
    system.control.put_orders(merchant, [broken])
    world = World(system, sign_in(system, uuid4()), merchant, (location,))
    connection = world.connect()
    wait_for(lambda: world.shop.items(connection, "unmapped") or None, "items to map")
    world.map_everything(connection)
    own = f"only-{number.lower()}"
    world.shop.put_location(own, "Only here", ZONE)
    world.shop.import_products([{"product_id": own, "name": "Only here", "unit": "each"}])
    ids = {
        "connection_id": connection,
        "run_id": world.shop.runs(connection)[0]["run_id"],
        "item_id": world.shop.items(connection, "mapped")[0]["item_id"],
        "location_id": own,
        "key_id": service_key(world.shop, "viewer")["service_key"]["id"],
        "upload_id": undone_upload(world.shop, own),
    }
    clover = connect_clover(world.shop, new_merchant(system))
    return Tenant(world, ids, {"square": connection, "clover": clover})


def undone_upload(shop: Shop, location: str) -> str:
    """Have a tenant import a file and take it back; its till is paused."""
    content = b"order_id,datetime,item,quantity,net\nU1,2026-03-02 12:00:00,Latte,1,4.50\n"
    upload_id = str(shop.upload(content, "sales.csv")["upload_id"])
    answers = {"timezone": ZONE, "currency": "USD", "day_cutoff": "00:00", "prices_include_tax": "no"}
    shop.plan_upload(upload_id, answers, {"suppli_location_id": location})
    assert shop.import_upload(upload_id)["state"] == "imported"
    undone = shop.undo_upload(upload_id)
    assert undone["state"] == "undone"
    shop.call("POST", f"/v1/connections/{undone['connection_id']}/pause")
    return upload_id


def service_key(shop: Shop, role: str) -> Json:
    """Make a service key of a tenant."""
    made: Json = shop.call("POST", "/v1/service-keys", json={"name": "Script", "role": role})
    return made


# Who calls: a person of each role, and a script with a key. Keys of every role: the gateway's own tests.
# An admin, who may disconnect, comes last.
CALLERS = (("operator", "key"), *((role, "token") for role in ROLES))


def caller(system: System, tenant: UUID, role: str, by: str) -> httpx.Client:
    """Return a client of a tenant with a person's token or a service key."""
    if by == "token":
        return sign_in(system, tenant, role).client
    key = service_key(sign_in(system, tenant), role)["key"]
    return httpx.Client(base_url=system.gateway_url, headers={"Authorization": f"Bearer {key}"}, timeout=30)


def call(client: httpx.Client, endpoint: Endpoint, ids: dict[str, str], **headers: str) -> httpx.Response:
    """Call an endpoint; of a stream only the head and the first bytes are waited for."""
    path = endpoint.path.format(**ids) + endpoint.query
    request = client.build_request(endpoint.method, path, json=endpoint.body, headers=headers)
    answer = client.send(request, stream=True)
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        answer.close()
    else:
        answer.read()
    return answer


def kind(answer: httpx.Response) -> str:
    """Return a problem's type, without its address."""
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
    return str(answer.json()["type"]).rsplit("/", 1)[-1]


def test_the_walk_knows_every_endpoint() -> None:
    """An endpoint that nobody tried as a stranger is the one that leaks."""
    document = orjson.loads(Path(OPENAPI).read_bytes())
    stated = {
        (method.upper(), path) for path, operations in document["paths"].items() for method in operations
    }
    assert {(each.method, each.path) for each in ENDPOINTS} | WITHOUT_TOKEN == stated


@pytest.mark.parametrize(("role", "by"), CALLERS)
def test_a_stranger_finds_nothing_of_another_tenant(
    system: System, tenants: tuple[Tenant, Tenant], role: str, by: str
) -> None:
    """Whatever role a stranger has at home, another tenant's ids are not even there, and nothing happens."""
    owner, other = tenants
    stranger = caller(system, other.id, role, by)
    before = state(owner)
    for endpoint in ENDPOINTS:
        answer = call(stranger, endpoint, owner.ids)
        where = (role, endpoint.method, endpoint.path, answer.status_code)
        if ROLES.index(role) < ROLES.index(endpoint.least):
            assert (answer.status_code, kind(answer)) == (403, "role-forbidden"), where
        elif endpoint.names_something:
            assert answer.status_code == 404, where
            unknown = {name: str(uuid4()) for name in owner.ids}
            assert told(answer, owner.ids) == told(call(stranger, endpoint, unknown), unknown), where
        else:
            assert answer.status_code == endpoint.own, where
            if not answer.headers["content-type"].startswith("text/event-stream"):
                text = answer.text
                # The location that the stranger just made has the id that the call gave it.
                foreign = [value for name, value in owner.ids.items() if name != "location_id"]
                assert not [value for value in foreign if value in text], where
    for connection in owner.connections.values():
        answer = stranger.get("/v1/items", params={"connection_id": connection})
        assert answer.status_code == 404 or answer.json()["items"] == []
    assert state(owner) == before


def told(answer: httpx.Response, ids: dict[str, str]) -> str:
    """Return an answer with the ids that were asked for left out."""
    text = answer.text
    for name, value in ids.items():
        text = text.replace(value, name)
    return text


def state(tenant: Tenant) -> tuple[Any, ...]:
    """Return what nobody else may change."""
    shop = tenant.world.shop
    location = tenant.ids["location_id"]
    return (
        *(shop.call("GET", f"/v1/connections/{each}") for each in tenant.connections.values()),
        shop.call("GET", f"/v1/items/{tenant.ids['item_id']}"),
        [each for each in shop.pages("/v1/locations") if each["location_id"] == location],
        list(shop.pages("/v1/service-keys")),
        tenant.world.system.control.calls(tenant.world.merchant),
    )


def test_nobody_calls_without_a_token_or_for_a_tenant_that_is_not_theirs(
    system: System, tenants: tuple[Tenant, Tenant]
) -> None:
    """A header that chose the tenant freely would make the token worthless."""
    owner, other = tenants
    stranger = sign_in(system, other.id).client
    nobody = httpx.Client(base_url=system.gateway_url)
    for endpoint in ENDPOINTS:
        answer = call(nobody, endpoint, owner.ids)
        assert answer.status_code == 401, endpoint
        answer = call(stranger, endpoint, owner.ids, **{"Suppli-Tenant": str(owner.id)})
        assert (answer.status_code, kind(answer)) == (403, "tenant-forbidden"), endpoint


def test_another_tenants_things_cannot_be_named_in_a_body_nor_its_answers_replayed(
    system: System, tenants: tuple[Tenant, Tenant]
) -> None:
    """A reference that is not checked ties one shop's sales to another's products."""
    owner, other = tenants
    shop = other.world.shop
    tie = {
        "location_id": other.world.locations[0],
        "chosen": True,
        "suppli_location_id": owner.ids["location_id"],
        "timezone": ZONE,
        "day_cutoff": "00:00",
    }
    path = f"/v1/connections/{other.ids['connection_id']}"
    answer = shop.client.patch(path, json={"locations": [tie]})
    # An earlier stranger's walk may have made a location of that id at home: then it is its own.
    at_home = {each["location_id"] for each in shop.pages("/v1/locations")}
    assert answer.status_code == (200 if owner.ids["location_id"] in at_home else 422), answer.text
    target = {"product_id": owner.ids["location_id"], "factor": "1"}
    answer = shop.client.put(
        f"/v1/items/{other.ids['item_id']}/mapping", json={"state": "mapped", "targets": [target]}
    )
    assert kind(answer) == "invalid-mapping"
    assert "product" in answer.json()["errors"][0]["field"], answer.text
    key = {"Idempotency-Key": str(uuid4())}
    first = owner.world.shop.client.post("/v1/connections", json={"provider": "square"}, headers=key)
    second = shop.client.post("/v1/connections", json={"provider": "square"}, headers=key)
    assert first.status_code == second.status_code == 201
    assert first.json()["connection"]["id"] != second.json()["connection"]["id"]


def test_services_take_their_gateways_word_alone(system: System, tenants: tuple[Tenant, Tenant]) -> None:
    """Whoever reaches a service's port without its token, or with a neighbour's, must learn nothing."""
    owner, other = tenants
    openbao = system.runtime.openbao
    callers = {name: openbao.internal_token(name) for name in NAMES if openbao.folder.has_internal_api(name)}
    assert set(callers) == set(NAMES) - {"gateway"}
    for name, token in callers.items():
        client = httpx.Client(base_url=f"http://127.0.0.1:{system.services[name].internal_port}")
        who = {"Suppli-Tenant": str(other.id), "Suppli-Actor": "stranger"}
        wrong = [{}, *({"Authorization": f"Bearer {each}"} for each in callers.values() if each != token)]
        paths = client.get("/openapi.json").json()["paths"]
        walked = {(method, path) for path, methods in paths.items() for method in methods}
        assert walked, name
        theirs = owner.ids_at(PROVIDERS.get(name))
        for method, path in walked:
            url = path.format(**theirs, entry_key=uuid4())
            for headers in wrong:
                answer = client.request(method, url, headers=who | headers, json={})
                assert answer.status_code == 401, (name, method, path)
            if method == "get" and "{" in path:
                known = who | {"Authorization": f"Bearer {token}"}
                answer = client.get(url, params=SPAN, headers=known)
                empty = answer.status_code == 200 and not any(answer.json().values())
                assert answer.status_code == 404 or empty, (name, path, answer.text)


@pytest.mark.parametrize("service", NAMES)
def test_the_database_itself_keeps_tenants_apart(
    system: System, tenants: tuple[Tenant, Tenant], service: str
) -> None:
    """A forgotten condition in a query must cost nothing: the database shows and takes one tenant's rows."""
    mine, other = tenants[0].id, tenants[1].id
    postgres, database = system.runtime.postgres, database_of(system, service)
    tables = tenant_tables(postgres, database.name) - OPEN[service]
    with postgres.connect(database.name) as connection:
        forced = connection.execute(
            "select relname from pg_class where relrowsecurity and relforcerowsecurity and relkind = 'r'"
        ).fetchall()
    assert tables <= {name for (name,) in forced}, "every table that names tenants has a policy"
    full = held(postgres, database.name, tables, other)
    assert full, "there is something to see"
    for url in (database.app_url, database.owner_url):
        assert visible(url, tables, act_for=mine, whose=other) == {}
        assert visible(url, tables, act_for=None, whose=other) == {}
        assert set(visible(url, tables, act_for=other, whose=other)) == full
    with connect(database.app_url) as connection:
        connection.execute("select set_config('app.tenants', %s, false)", [f"{{{mine}}}"])
        for table in sorted(held(postgres, database.name, tables, mine)):
            give = sql.SQL("update {} set tenant_id = %s where tenant_id = %s").format(sql.Identifier(table))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(give, [other, mine])
            take = sql.SQL("delete from {} where tenant_id = %s").format(sql.Identifier(table))
            assert connection.execute(take, [other]).rowcount == 0


@pytest.mark.parametrize("service", NAMES)
def test_switched_off_row_level_security_is_seen_as_a_leak(
    system: System, tenants: tuple[Tenant, Tenant], service: str
) -> None:
    """The look for foreign rows must be able to find them, or it would call any leak a success."""
    mine, other = tenants[0].id, tenants[1].id
    with copied(system, service) as copy:
        postgres = system.runtime.postgres
        tables = tenant_tables(postgres, copy.name) - OPEN[service]
        full = held(postgres, copy.name, tables, other)
        assert full
        assert visible(copy.app_url, tables, act_for=mine, whose=other) == {}
        with connect(copy.owner_url) as owner:
            for table in tables:
                owner.execute(
                    sql.SQL("alter table {} no force row level security").format(sql.Identifier(table))
                )
        assert set(visible(copy.owner_url, tables, act_for=mine, whose=other)) == full
        assert visible(copy.app_url, tables, act_for=mine, whose=other) == {}
        with connect(copy.owner_url) as owner:
            for table in tables:
                owner.execute(
                    sql.SQL("alter table {} disable row level security").format(sql.Identifier(table))
                )
        assert set(visible(copy.app_url, tables, act_for=mine, whose=other)) == full


# A work's kind and subject (ids), locations' ids and dates; of ended runs: locations, instants and dates, and
# the ends of Kafka's partitions.
IDS_AND_TIMES = {"kind", "subject", "location_id", "business_date", "coverage", "days", "ends"}


@pytest.mark.parametrize("service", NAMES)
def test_what_has_no_policy_holds_ids_and_times_only(system: System, service: str) -> None:
    """Queues are read for any tenant at once: whatever else lay in them would be open to all."""
    postgres, database = system.runtime.postgres, database_of(system, service)
    query = "select column_name, data_type from information_schema.columns where table_name = %s"
    plain = {"uuid", "timestamp with time zone", "interval", "integer", "smallint", "bigint", "boolean"}
    with postgres.connect(database.name) as connection:
        for table in OPEN[service]:
            columns = connection.execute(query, [table]).fetchall()
            assert columns, table
            assert {name for name, type_ in columns if type_ not in plain} <= IDS_AND_TIMES, table
    tables = tenant_tables(postgres, database.name) - OPEN[service]
    with connect(database.relay_url) as relay:
        for table in sorted(tables):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                relay.execute(sql.SQL("select 1 from {} limit 1").format(sql.Identifier(table)))
    with connect(database.app_url) as app, pytest.raises(psycopg.errors.InsufficientPrivilege):
        app.execute("select messages from outbox limit 1")


@pytest.mark.parametrize("service", NAMES)
def test_a_services_roles_and_policy_refuse_its_neighbours(
    system: System, tenants: tuple[Tenant, Tenant], service: str
) -> None:
    """One service that is broken into must give away its own, and nothing more."""
    mine = database_of(system, service)
    others = [database_of(system, name).name for name in NAMES if name != service]
    for url in (mine.app_url, mine.relay_url, mine.owner_url):
        for other in [*others, "suppli_openbao", "postgres", "template1"]:
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                connect(f"{url.removesuffix(mine.name)}{other}")
    client = system.runtime.openbao.login(service)
    for path in secret_paths(tenants):
        if may_read(service, path):
            assert read(client, path)["data"]
        else:
            with pytest.raises(Forbidden):
                read(client, path)
        if not owns_tokens(service, path):
            for change in (write, destroy):
                with pytest.raises(Forbidden):
                    change(client, path)
    for path in administration():
        with pytest.raises(Forbidden):
            client.read(path)
        with pytest.raises(Forbidden):
            client.write_data(path, data={})


def secret_paths(tenants: tuple[Tenant, Tenant]) -> Iterator[str]:
    """Yield where every kind of secret lies; those of tokens are the tenants' real ones."""
    for tenant in tenants:
        for provider, connection in tenant.connections.items():
            yield f"suppli/tokens/{provider}/{tenant.id}/{connection}"
    yield from (f"suppli/app/{provider}" for provider in tenants[0].connections)
    yield from (f"suppli/internal/{name}" for name in NAMES if name != "gateway")


def may_read(service: str, path: str) -> bool:
    """Return what each service's work needs, as the design states it."""
    if path == f"suppli/internal/{service}":
        return True
    if service == "gateway":
        return path.startswith("suppli/internal/")
    return owns_tokens(service, path) or path == f"suppli/app/{PROVIDERS.get(service)}"


def owns_tokens(service: str, path: str) -> bool:
    """Tell whether tokens lie there that are the service's own to write."""
    return service in PROVIDERS and path.startswith(f"suppli/tokens/{PROVIDERS[service]}/")


def administration() -> Iterator[str]:
    """Yield paths that would let a service become another."""
    for name in NAMES:
        yield f"sys/policies/acl/{name}"
        yield f"auth/approle/role/{name}/secret-id"
    yield "secret/metadata/suppli/tokens"


def read(client: hvac.Client, path: str) -> dict[str, Any]:
    """Read a secret's newest version."""
    answer = client.secrets.kv.v2.read_secret_version(
        path, mount_point="secret", raise_on_deleted_version=True
    )
    found: dict[str, Any] = answer["data"]
    return found


def write(client: hvac.Client, path: str) -> None:
    """Write a secret."""
    client.secrets.kv.v2.create_or_update_secret(path, {"mine": "now"}, mount_point="secret")


def destroy(client: hvac.Client, path: str) -> None:
    """Destroy a secret."""
    client.secrets.kv.v2.delete_metadata_and_all_versions(path, mount_point="secret")


@pytest.mark.parametrize(("role", "by"), CALLERS)
def test_each_role_may_do_at_home_what_it_is_for(
    system: System, tenants: tuple[Tenant, Tenant], role: str, by: str
) -> None:
    """A viewer who could disconnect, or an operator who could not sync, would make roles worthless."""
    owner = tenants[0]
    person = caller(system, owner.id, role, by)
    shop = owner.world.shop
    for endpoint in ENDPOINTS:
        answer = call(person, endpoint, owner.ids)
        where = (role, endpoint.method, endpoint.path, answer.status_code, answer.headers)
        if ROLES.index(role) < ROLES.index(endpoint.least):
            assert (answer.status_code, kind(answer)) == (403, "role-forbidden"), where
        else:
            assert answer.status_code == endpoint.own, where
        if endpoint.path.endswith(("/sync", "/republish")) and answer.status_code == 202:
            shop.wait_for_runs(owner.ids["connection_id"])
