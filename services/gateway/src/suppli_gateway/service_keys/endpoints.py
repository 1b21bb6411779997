"""`/v1/service-keys`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request
from suppli_service_kit.ids import new_id
from suppli_service_kit.logs import get_logger
from suppli_service_kit.problems import Problem

from suppli_gateway.auth.access import Access, Admin
from suppli_gateway.auth.tokens import Role
from suppli_gateway.connections.changes import FieldError, Invalid
from suppli_gateway.context import InGateway
from suppli_gateway.documentation import problems
from suppli_gateway.events.live import announce, key_revoked
from suppli_gateway.idempotency import IdempotentRoute, keep_instead
from suppli_gateway.paging import Cursor, Limit, decode_cursor, next_cursor
from suppli_gateway.refusals import invalid, no_such
from suppli_gateway.service_keys import repository
from suppli_gateway.service_keys.domain import MOST_KEYS, ServiceKey, new_key, revoked
from suppli_gateway.service_keys.schemas import (
    CreatedServiceKey,
    NewServiceKey,
    ServiceKeyPage,
    ServiceKeyView,
)

log = get_logger(__name__)

router = APIRouter(prefix="/v1/service-keys", tags=["service keys"], route_class=IdempotentRoute)


@router.post("", status_code=201, responses=problems(409, 422))
async def create_service_key(
    body: NewServiceKey, request: Request, access: Admin, gateway: InGateway
) -> CreatedServiceKey:
    """Make a key with which another service or a script of the tenant calls this API.

    The key is shown in this answer and never again. Keys are made by people: a key cannot make another.
    """
    _made_by_a_person(access)
    now = gateway.clock.now()
    if fault := _expiry_error(body.expires_at, now):
        raise invalid(Invalid([fault]))
    secret, key = new_key(
        key_id=new_id(),
        tenant_id=access.tenant_id,
        name=body.name,
        role=Role[body.role.upper()],
        expires_at=body.expires_at,
        created_by=access.subject,
        now=now,
    )
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        if not await repository.has_room(transaction, now):
            detail = f"The tenant has {MOST_KEYS} keys in use: revoke one that is not needed."
            raise Problem(409, "too-many-service-keys", "There are too many service keys", detail)
        await repository.add(transaction, key)
    log.info(
        "service_key_created", key_id=str(key.key_id), prefix=key.prefix, role=body.role, actor=access.subject
    )
    view = _view(key, now)
    keep_instead(request, CreatedServiceKey(service_key=view, key=None))
    return CreatedServiceKey(service_key=view, key=secret)


@router.get("", responses=problems(400))
async def list_service_keys(
    access: Admin, gateway: InGateway, limit: Limit = 50, cursor: Cursor = None
) -> ServiceKeyPage:
    """List the tenant's keys, oldest first: who made them, when they were last used, which are revoked."""
    after = decode_cursor(cursor, "service-keys", UUID)
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        found = await repository.page(transaction, after=after, limit=limit + 1)
    shown = found[:limit]
    last = shown[-1].key_id if shown else None
    return ServiceKeyPage(
        items=[_view(key, gateway.clock.now()) for key in shown],
        next_cursor=next_cursor("service-keys", last, more=len(found) > limit),
    )


@router.post("/{key_id}/revoke", responses=problems(404))
async def revoke_service_key(key_id: UUID, access: Admin, gateway: InGateway) -> ServiceKeyView:
    """Refuse a key from now on, everywhere; its open streams end. Revoked before, it stays as it is."""
    now = gateway.clock.now()
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        before = await repository.find(transaction, key_id)
        if before is None:
            raise no_such("service key", key_id)
        after = revoked(before, by=access.subject, now=now)
        await repository.save(transaction, after)
        await announce(transaction, key_revoked(access.tenant_id, key_id))
    log.info("service_key_revoked", key_id=str(key_id), prefix=after.prefix, actor=access.subject)
    return _view(after, now)


def _made_by_a_person(access: Access) -> None:
    if access.key_id is not None:
        detail = "Sign in as a person to make a key: one that leaked could make others that outlive it."
        raise Problem(403, "person-required", "Only a person may do this", detail)


def _expiry_error(expires_at: datetime | None, now: datetime) -> FieldError | None:
    if expires_at is None:
        return None
    given = expires_at.isoformat()
    if expires_at.tzinfo is None:
        return FieldError("expires_at", given, "has no time zone: write e.g. `2027-03-02T00:00:00Z`")
    if expires_at <= now:
        return FieldError("expires_at", given, "lies in the past")
    return None


def _view(key: ServiceKey, now: datetime) -> ServiceKeyView:
    said = {
        name: getattr(key, name)
        for name in ServiceKeyView.model_fields
        if name not in ("id", "state", "role")
    }
    return ServiceKeyView.model_validate(
        {**said, "id": key.key_id, "role": key.role.name.lower(), "state": key.state(now)}
    )
