"""Who may do what: every endpoint with every role, without a token, and as a stranger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from .conftest import TIE, Deployment, Person

ID = "{id}"
# method, path, body, least role, what an admin gets on a connected, started connection
ENDPOINTS: list[tuple[str, str, Any, str, int]] = [
    ("GET", "/v1/connections", None, "viewer", 200),
    ("GET", "/v1/connections/{id}", None, "viewer", 200),
    ("GET", "/v1/connections/{id}/runs", None, "viewer", 200),
    ("GET", "/v1/connections/{id}/coverage", None, "viewer", 200),
    ("GET", "/v1/connections/{id}/set-aside", None, "viewer", 200),
    ("GET", "/v1/connections/{id}/days", None, "viewer", 200),
    ("GET", "/v1/connections/{id}/preview", None, "operator", 200),
    ("GET", "/v1/items?connection_id={id}", None, "viewer", 200),
    ("GET", "/v1/products", None, "viewer", 200),
    ("GET", "/v1/locations", None, "viewer", 200),
    ("GET", "/v1/locations/shop-1/days", None, "viewer", 200),
    ("POST", "/v1/connections/{id}/sync", None, "operator", 202),
    ("POST", "/v1/connections/{id}/republish", {"order_ids": ["O1"]}, "operator", 202),
    ("POST", "/v1/connections/{id}/pause", None, "operator", 200),
    ("POST", "/v1/connections/{id}/resume", None, "operator", 200),
    ("PATCH", "/v1/connections/{id}", {"locations": [TIE]}, "admin", 200),
    ("POST", "/v1/connections/{id}/start", {"start_date": "2026-01-01"}, "admin", 202),
    ("POST", "/v1/connections/{id}/reauthorize", None, "admin", 200),
    ("GET", "/v1/service-keys", None, "admin", 200),
    ("POST", "/v1/service-keys", {"name": "Report", "role": "viewer"}, "admin", 201),
    ("POST", f"/v1/service-keys/{uuid4()}/revoke", None, "admin", 404),
    ("POST", "/v1/connections/{id}/disconnect", {"erase": False}, "admin", 200),
    ("POST", "/v1/connections", {"provider": "square", "environment": "sandbox"}, "admin", 201),
    ("POST", "/v1/products/import", {"products": []}, "admin", 200),
    ("PUT", "/v1/locations/shop-2", {"name": "Shop 2"}, "admin", 200),
    ("POST", f"/v1/runs/{uuid4()}/cancel", None, "operator", 202),
    ("PUT", f"/v1/items/{uuid4()}/mapping", {"state": "ignored"}, "operator", 404),
    ("GET", f"/v1/items/{uuid4()}", None, "viewer", 404),
    ("GET", f"/v1/runs/{uuid4()}", None, "viewer", 404),
]
ROLES = ("viewer", "operator", "admin")


async def test_each_endpoint_takes_its_least_role_and_no_lower_one(
    tenant: UUID, admin: Person, code: str, sign_in: Callable[..., Person]
) -> None:
    """A viewer who could disconnect, or an operator who could not sync, makes roles worthless."""
    connection = await admin.started(code)
    people = {role: sign_in(tenant, role) for role in ROLES}
    nobody = Person(str(admin.http.base_url), "")
    for method, path, body, least, status in ENDPOINTS:
        url = path.format(id=connection)
        answer = await nobody.http.request(method, url, json=body, headers={"Authorization": ""})
        assert answer.status_code == 401, (method, url)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        for role in ROLES[: ROLES.index(least)]:
            await people[role].refused(403, "role-forbidden", method, url, json=body)
        for role in ROLES[ROLES.index(least) :]:
            answer = await people[role].http.request(method, url, json=body)
            assert answer.status_code == status, (role, method, url, answer.text)
    await nobody.http.aclose()


async def test_another_tenants_ids_are_not_there(
    admin: Person, code: str, sign_in: Callable[..., Person], deployment: Deployment
) -> None:
    """A shop's sales and settings are nobody else's business, not even that they exist."""
    connection = await admin.started(code)
    stranger = sign_in(uuid4())
    before = len(deployment.neighbours.asked)
    for method, path, body, _, _ in ENDPOINTS:
        if ID in path:
            await stranger.refused(404, "connection-not-found", method, path.format(id=connection), json=body)
    assert (await stranger.ask("GET", "/v1/connections"))["items"] == []
    assert (await stranger.ask("GET", "/v1/locations"))["items"] == []
    stream = await stranger.http.get(f"/v1/connections/{connection}/events")
    assert stream.status_code == 404
    assert len(deployment.neighbours.asked) == before, "no other service was asked for a stranger"


async def test_with_several_tenants_the_header_chooses(
    tenant: UUID, admin: Person, code: str, sign_in: Callable[..., Person]
) -> None:
    """Support sees many tenants: what they do must land with the one they mean."""
    connection = (await admin.connect(code))["connection"]["id"]
    both = sign_in(tenant, "viewer", tenants=(tenant, uuid4()))
    path = f"/v1/connections/{connection}"
    await both.refused(400, "tenant-required", "GET", path)
    await both.ask("GET", path, headers={"Suppli-Tenant": str(tenant)})
    await both.refused(403, "tenant-forbidden", "GET", path, headers={"Suppli-Tenant": str(uuid4())})
    await both.refused(400, "tenant-required", "GET", path, headers={"Suppli-Tenant": "mine"})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ttl_s": -60}, "expired"),
        ({"audience": "another-service"}, "aud"),
        ({"issuer": "http://evil.example"}, "iss"),
        ({"role": "owner"}, "role"),
        ({"tenants": ()}, "tenants"),
    ],
)
async def test_a_token_that_does_not_hold_is_refused_with_the_reason(
    tenant: UUID, sign_in: Callable[..., Person], changes: dict[str, Any], reason: str
) -> None:
    """Forged and stale tokens open nothing; whoever integrates learns what to mend."""
    body = await sign_in(tenant, **{"role": "admin", **changes}).refused(
        401, "unauthorized", "GET", "/v1/connections"
    )
    assert reason in body["detail"]


async def test_a_new_signing_key_is_found_and_an_issuer_that_is_down_keeps_the_known_ones(
    tenant: UUID, sign_in: Callable[..., Person], deployment: Deployment, admin: Person
) -> None:
    """Keys change without a restart, and the identity provider's outage signs nobody out."""
    await admin.ask("GET", "/v1/connections")
    deployment.issuer.rotate()
    await sign_in(tenant).ask("GET", "/v1/connections")
    deployment.issuer.available = False
    try:
        await sign_in(tenant).ask("GET", "/v1/connections")
        forged = deployment.issuer.keys
        deployment.issuer.rotate()
        stranger = sign_in(tenant)
        deployment.issuer.keys = forged
        await stranger.refused(401, "unauthorized", "GET", "/v1/connections")
    finally:
        deployment.issuer.available = True
