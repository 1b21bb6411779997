"""Each service reaches what is its own, on real servers, and nothing of its neighbours'."""

from collections.abc import Callable

import hvac
import psycopg
import pytest
from hvac.exceptions import Forbidden, InvalidPath
from suppli_embedded.openbao import OpenBaoServer
from suppli_embedded.postgres import PostgresServer, ServiceDatabase

MakeDatabase = Callable[[str], ServiceDatabase]


def connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def kv(client: hvac.Client) -> hvac.api.secrets_engines.KvV2:
    return client.secrets.kv.v2


def read(client: hvac.Client, path: str) -> dict[str, str]:
    answer = kv(client).read_secret_version(path, mount_point="secret", raise_on_deleted_version=True)
    return dict(answer["data"]["data"])


def test_a_wrong_password_is_refused(make_database: MakeDatabase) -> None:
    """Else any program on the machine would read a customer's sales."""
    url = make_database("mapping").app_url
    password = url.split(":")[2].split("@")[0]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(url.replace(password, "wrong"))


def test_the_neighbours_database_is_refused(make_database: MakeDatabase) -> None:
    """Else one service's leak would be everybody's."""
    mine, other = make_database("mapping"), make_database("gateway")
    for url in (mine.owner_url, mine.app_url, mine.relay_url):
        for database in (other.name, "postgres"):
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                connect(f"{url.removesuffix(mine.name)}{database}")


def test_roles_have_the_rights_of_their_purpose(make_database: MakeDatabase) -> None:
    """Else the service could drop its tables, or the relay read tenants' rows."""
    database = make_database("mapping")
    with connect(database.owner_url) as owner:
        owner.execute("create table sale (id bigint generated always as identity, tenant text)")
        owner.execute("create sequence numbers")
    with connect(database.app_url) as app:
        app.execute("insert into sale (tenant) values ('a')")
        app.execute("update sale set tenant = 'b'")
        assert app.execute("select nextval('numbers'), tenant from sale").fetchone() == (1, "b")
        app.execute("delete from sale")
        for forbidden in ("drop table sale", "create table mine (id int)", "truncate sale"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(forbidden)
    with connect(database.relay_url) as relay, pytest.raises(psycopg.errors.InsufficientPrivilege):
        relay.execute("select * from sale")


def test_no_role_is_above_row_level_security(make_database: MakeDatabase, postgres: PostgresServer) -> None:
    """Else a forgotten condition would show one tenant the sales of another."""
    name = make_database("mapping").name
    with postgres.connect() as connection:
        roles = connection.execute(
            "select rolsuper or rolbypassrls or rolcreaterole from pg_roles where rolname like %s",
            [f"{name}_%"],
        ).fetchall()
    assert roles == [(False,)] * 3


def test_making_a_database_again_changes_nothing(
    make_database: MakeDatabase, postgres: PostgresServer
) -> None:
    """Else every start would lock out the processes of the one before."""
    database = make_database("mapping")
    assert postgres.create_service_database(database.name.removeprefix("suppli_")) == database


def test_a_connector_keeps_its_tokens_and_destroys_them_for_good(openbao: OpenBaoServer) -> None:
    """Else a disconnected shop's tokens would stay readable in old versions."""
    connector, path = openbao.login("connector-square"), "suppli/tokens/square/tenant/connection-to-destroy"
    kv(connector).create_or_update_secret(path, {"token": "one"}, cas=0, mount_point="secret")
    kv(connector).create_or_update_secret(path, {"token": "two"}, cas=1, mount_point="secret")
    assert read(connector, path) == {"token": "two"}
    with pytest.raises(Forbidden):  # the numbers of versions would begin at 1 again
        kv(connector).delete_metadata_and_all_versions(path, mount_point="secret")
    kv(connector).destroy_secret_versions(path, [1, 2], mount_point="secret")
    for version in (1, 2, None):
        with pytest.raises(InvalidPath):
            kv(connector).read_secret_version(
                path, version=version, mount_point="secret", raise_on_deleted_version=True
            )


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("connector-square", "suppli/tokens/clover/tenant/connection"),
        ("connector-square", "suppli/app/clover"),
        ("connector-square", "suppli/internal/mapping"),
        ("mapping", "suppli/tokens/square/tenant/connection"),
        ("mapping", "suppli/internal/sync-scheduler"),
        ("mapping", "suppli/app/square"),
        ("sync-scheduler", "suppli/internal/mapping"),
        ("gateway", "suppli/tokens/square/tenant/connection"),
        ("gateway", "suppli/app/square"),
        ("operator", "suppli/tokens/square/tenant/connection"),
    ],
)
def test_a_neighbours_path_is_forbidden(openbao: OpenBaoServer, service: str, path: str) -> None:
    """Else one service that is broken into would give away every shop's tokens."""
    client = openbao.login(service)
    with pytest.raises(Forbidden):
        read(client, path)
    with pytest.raises(Forbidden):
        kv(client).list_secrets("suppli/tokens/square", mount_point="secret")


def test_the_gateway_and_the_service_share_one_internal_token(openbao: OpenBaoServer) -> None:
    """Else the gateway could not call anybody, or anybody could call a service."""
    token = openbao.internal_token("mapping")
    assert len(token) >= 40
    for service in ("gateway", "mapping"):
        assert read(openbao.login(service), "suppli/internal/mapping") == {"token": token}
    with pytest.raises(Forbidden):
        kv(openbao.login("gateway")).create_or_update_secret(
            "suppli/internal/mapping", {"token": "mine"}, mount_point="secret"
        )


def test_a_service_token_is_short_lived_and_renewable(openbao: OpenBaoServer) -> None:
    """Else a token from an old log would open Vault for good."""
    token = openbao.login("mapping").auth.token.lookup_self()["data"]
    assert 0 < token["ttl"] <= 3600
    assert token["renewable"]
    assert set(token["policies"]) == {"default", "mapping"}
