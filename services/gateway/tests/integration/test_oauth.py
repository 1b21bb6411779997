"""The redirect to a provider and back: whoever is not the one who began it gets nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from suppli_contracts.events import ConnectionChanged
from suppli_contracts.events.connections import ConnectionState
from suppli_embedded.runtime import Servers

from .conftest import Deployment, Heard, Person, state_in, until


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("type", "").rsplit("/", 1)[-1]


async def test_a_used_state_is_refused(admin: Person, code: str) -> None:
    """Somebody who reads the address in a browser's history could otherwise connect again."""
    begun = await admin.begin()
    assert (await admin.come_back(begun["authorize_url"], code=code)).status_code == 200
    assert said(await admin.come_back(begun["authorize_url"], code=code)) == (409, "state-used")


async def test_another_browser_cannot_complete_it(
    admin: Person, tenant: UUID, code: str, sign_in: Callable[..., Person]
) -> None:
    """An attacker could otherwise make a victim's browser connect the attacker's account."""
    begun = await admin.begin()
    same_person_elsewhere = sign_in(tenant)
    answer = await same_person_elsewhere.come_back(begun["authorize_url"], code=code)
    assert said(answer) == (403, "state-foreign-session")
    other = sign_in(uuid4())
    await other.begin()
    assert said(await other.come_back(begun["authorize_url"], code=code)) == (403, "state-foreign-session")
    assert (await admin.come_back(begun["authorize_url"], code=code)).status_code == 200


async def test_it_must_be_completed_in_time(admin: Person, code: str, deployment: Deployment) -> None:
    """An authorization left open on a shared computer could otherwise be completed days later."""
    begun = await admin.begin()
    deployment.move_clock(timedelta(minutes=9))
    again = await admin.begin()
    deployment.move_clock(timedelta(minutes=11))
    assert said(await admin.come_back(begun["authorize_url"], code=code)) == (410, "state-expired")
    assert (await admin.come_back(again["authorize_url"], code=code)).status_code == 200


async def test_denied_consent_and_other_refusals_are_told_apart(admin: Person, code: str) -> None:
    """A person who pressed Deny must not read of a fault, nor the other way round."""
    begun = await admin.begin()
    denied = await admin.come_back(begun["authorize_url"], error="access_denied")
    assert said(denied) == (403, "consent-denied")
    assert said(await admin.come_back(begun["authorize_url"], code=code)) == (409, "state-used")
    broken = await admin.come_back((await admin.begin())["authorize_url"], error="<script>")
    assert said(broken) == (502, "provider-refused")
    assert "script" not in broken.text
    begun = await admin.begin()
    assert said(await admin.come_back(begun["authorize_url"])) == (400, "code-missing")
    unknown = await admin.http.get("/v1/oauth/callback", params={"state": "x" * 43, "code": code})
    assert said(unknown) == (400, "state-unknown")
    # The connection waits on: a person may try once more.
    path = f"/v1/connections/{begun['connection']['id']}"
    assert (await admin.ask("GET", path))["state"] == "pending"
    retried = await admin.ask("POST", f"{path}/reauthorize")
    answer = await admin.come_back(retried["authorize_url"], code=code)
    assert (answer.json()["connection"]["id"], answer.json()["revived"]) == (begun["connection"]["id"], False)


async def test_a_wrong_code_is_refused_and_a_lost_reply_costs_nothing(
    admin: Person, code: str, deployment: Deployment
) -> None:
    """A blip between two of our services must not make a person sign in at the provider again."""
    begun = await admin.begin()
    assert said(await admin.come_back(begun["authorize_url"], code="guess")) == (409, "code-invalid")
    begun = await admin.begin()
    deployment.neighbours.lose_reply.add("/exchange")
    assert (await admin.come_back(begun["authorize_url"], code=code)).status_code == 503
    deployment.neighbours.accounts.pop(code)  # the provider takes a code once
    assert (await admin.come_back(begun["authorize_url"], code=code)).status_code == 200


async def test_the_redirect_says_whose_account_it_is_where_the_tokens_do_not(
    admin: Person, code: str, deployment: Deployment
) -> None:
    """Tokens of a provider that does not name their account could not be used."""
    begun = await admin.begin()
    back = await admin.come_back(begun["authorize_url"], code=code, merchant_id="MERCHANT7")
    assert back.status_code == 200
    assert deployment.neighbours.named[-1] == "MERCHANT7"


async def test_what_is_typed_connects_at_once_and_is_kept_nowhere_here(
    admin: Person, code: str, deployment: Deployment, embedded: Servers
) -> None:
    """An owner without a redirect could not connect, or the token would lie about in our tables."""
    secret = f"typed-{uuid4()}"
    deployment.neighbours.accounts[secret] = deployment.neighbours.accounts[code]
    body = {"provider": "square", "credentials": {"token": secret}}
    done = await admin.ask(
        "POST", "/v1/connections", 201, json=body, headers={"Idempotency-Key": str(uuid4())}
    )
    assert (done["connection"]["state"], done["authorize_url"], done["revived"]) == ("connected", None, False)
    assert secret not in str(done)
    again = await admin.ask("POST", "/v1/connections", 201, json=body)
    assert (again["revived"], again["connection"]["id"]) == (True, done["connection"]["id"])
    path = f"/v1/connections/{done['connection']['id']}"
    renewed = await admin.ask("POST", f"{path}/reauthorize", json={"credentials": {"token": secret}})
    assert renewed["authorize_url"] is None
    kept = stored(embedded, deployment)
    assert done["connection"]["id"] in kept
    assert secret not in kept


def stored(servers: Servers, deployment: Deployment) -> str:
    """Return all that the gateway's database holds, as text; policies hide nothing from the superuser."""
    with servers.postgres.connect(deployment.database.name) as database:
        names = database.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        return str([database.execute(f'select t::text from "{name}" t').fetchall() for (name,) in names])


async def test_what_is_typed_wrongly_leaves_nothing(admin: Person) -> None:
    """A connection that never works would stay in the list after every slip of the finger."""
    before = (await admin.ask("GET", "/v1/connections"))["items"]
    for credentials, status, kind in (
        ({"token": "guess"}, 409, "code-invalid"),
        ({"token": " "}, 422, "credentials-invalid"),
        ({"tokn": "x"}, 422, "credentials-invalid"),
        ({"token": "x" * 5000}, 422, "credentials-invalid"),
    ):
        body = {"provider": "square", "credentials": credentials}
        await admin.refused(status, kind, "POST", "/v1/connections", json=body)
    broken = await admin.http.post(
        "/v1/connections",
        json={"provider": "square", "credentials": {"token": ["TOPSECRET"]}},
    )
    assert broken.status_code == 422
    assert "TOPSECRET" not in broken.text
    assert (await admin.ask("GET", "/v1/connections"))["items"] == before


async def test_the_same_account_again_revives_its_connection(
    admin: Person, code: str, deployment: Deployment, heard: Heard
) -> None:
    """Otherwise the same sales would count twice, under two connections."""
    first = (await admin.connect(code))["connection"]["id"]
    await admin.ask("POST", f"/v1/connections/{first}/disconnect", json={"erase": False})
    await until(lambda: deployment.neighbours.calls(f"{first}/revoke"))
    begun = await admin.begin()
    answer = (await admin.come_back(begun["authorize_url"], code=code)).json()
    assert (answer["revived"], answer["connection"]["id"], answer["connection"]["state"]) == (
        True,
        first,
        "connected",
    )
    pending = begun["connection"]["id"]
    (adopted,) = deployment.neighbours.calls(f"{first}/adopt")
    assert adopted.body == {"from_connection_id": pending}
    await admin.refused(404, "connection-not-found", "GET", f"/v1/connections/{pending}")
    assert [each["id"] for each in (await admin.ask("GET", "/v1/connections"))["items"]] == [first]
    await until(lambda: any(each.deleted for each in heard.of(ConnectionChanged, connection_id=pending)))
    # Connected already: again the same connection, none beside it.
    again = await admin.connect(code)
    assert (again["revived"], again["connection"]["id"]) == (True, first)


async def test_an_erased_account_starts_afresh(admin: Person, code: str) -> None:
    """What was erased must stay erased: its old connection is a marker that drops everything."""
    first = (await admin.connect(code))["connection"]["id"]
    await admin.ask("POST", f"/v1/connections/{first}/disconnect", json={"erase": True})
    second = await admin.connect(code)
    assert second["revived"] is False
    assert second["connection"]["id"] != first


async def test_another_tenants_account_is_refused_in_neutral_words(
    admin: Person,
    tenant: UUID,
    code: str,
    sign_in: Callable[..., Person],
    deployment: Deployment,
    heard: Heard,
) -> None:
    """Revoking ends an account's access for all: one tenant could otherwise cut off another."""
    mine = (await admin.connect(code))["connection"]["id"]
    stranger = sign_in(uuid4())
    begun = await stranger.begin()
    answer = await stranger.come_back(begun["authorize_url"], code=code)
    assert said(answer) == (409, "account-not-available")
    for secret in (mine, str(tenant), "tenant", "another"):
        assert secret not in answer.text
    assert (await stranger.ask("GET", "/v1/connections"))["items"] == []
    assert said(await stranger.come_back(begun["authorize_url"], code=code)) == (409, "state-used")
    pending = begun["connection"]["id"]
    await until(lambda: deployment.neighbours.calls(f"{pending}/discard"), "the discard of its secret")
    assert not deployment.neighbours.calls(f"{pending}/revoke"), "that would revoke the account for its owner"
    assert (await admin.ask("GET", f"/v1/connections/{mine}"))["state"] == "connected"
    await until(lambda: any(each.deleted for each in heard.of(ConnectionChanged, connection_id=pending)))
    states = {each.state for each in heard.of(ConnectionChanged, connection_id=pending)}
    assert states == {ConnectionState.PENDING}, "a connector revokes by itself what it hears is disconnected"


async def test_re_authorizing_with_another_account_changes_nothing(
    admin: Person, code: str, deployment: Deployment
) -> None:
    """A person signed in at the provider with the wrong account must not lose the connection that works."""
    connection = (await admin.connect(code))["connection"]["id"]
    deployment.neighbours.account("other", f"M{uuid4().hex}")
    begun = await admin.ask("POST", f"/v1/connections/{connection}/reauthorize")
    answer = await admin.come_back(begun["authorize_url"], code="other")
    assert said(answer) == (409, "wrong-account")
    (exchange,) = [
        call
        for call in deployment.neighbours.calls("/exchange")
        if call.body["state"] == state_in(begun["authorize_url"])
    ]
    exchanged = exchange.path.split("/")[-2]
    assert exchanged != connection, "the working secret would have been overwritten"
    await until(lambda: deployment.neighbours.calls(f"{exchanged}/discard"))
    begun = await admin.ask("POST", f"/v1/connections/{connection}/reauthorize")
    answer = await admin.come_back(begun["authorize_url"], code=code)
    assert answer.json()["connection"]["id"] == connection
    assert deployment.neighbours.calls(f"{connection}/adopt")


async def test_secrets_of_the_redirect_are_stored_hashed_and_logged_nowhere(
    admin: Person, code: str, deployment: Deployment, embedded: Servers
) -> None:
    """A backup or a log that leaks must not let anybody complete an open authorization."""
    key = str(uuid4())
    body = {"provider": "square", "environment": "sandbox"}
    begun = await admin.http.post("/v1/connections", json=body, headers={"Idempotency-Key": key})
    cookie = begun.headers["set-cookie"]
    assert {"HttpOnly", "Path=/v1/oauth", "SameSite=lax", "Max-Age=600"} <= set(cookie.split("; "))
    state, session = state_in(begun.json()["authorize_url"]), cookie.split("=", 1)[1].split(";")[0]
    assert (await admin.come_back(begun.json()["authorize_url"], code=code)).status_code == 200
    with embedded.postgres.connect(deployment.database.name) as connection:
        for table in ("oauth_states", "idempotency_keys", "connections"):
            rows: list[Any] = connection.execute(f"select * from {table}").fetchall()
            assert rows
            text = " ".join(
                bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
                for row in rows
                for value in row
            )
            for secret in (state, session, key):
                assert secret not in text, table
    for secret in (state, session, code):
        assert secret not in deployment.logs()
