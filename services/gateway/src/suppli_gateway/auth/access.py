"""FastAPI dependencies: who calls, for which tenant, and whether they may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from suppli_service_kit.internal_api import Caller
from suppli_service_kit.problems import Problem, ServiceUnavailable

from suppli_gateway.auth.keys import KeysUnavailable
from suppli_gateway.auth.service_keys import read_key
from suppli_gateway.auth.tokens import BadToken, Identity, Role
from suppli_gateway.context import Gateway, gateway_of
from suppli_gateway.service_keys.domain import PREFIX

TENANT_HEADER = "Suppli-Tenant"
BEARER = HTTPBearer(
    scheme_name="platform",
    bearerFormat="JWT",
    description="A token of the platform's identity provider with the claims `tenants` and `role`, or a"
    " service key (`suppli_sk_...`), which has one tenant and one role.",
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class Access:
    """A caller acting for one tenant.

    Attributes:
        subject: who; written into what they change.
        expires_at: end of the token; live streams end then.
        key_id: the service key that calls, None = somebody with a token of the platform's.
    """

    subject: str
    tenant_id: UUID
    role: Role
    expires_at: datetime
    key_id: UUID | None = None

    @property
    def caller(self) -> Caller:
        """The same, as other services of ours are told."""
        return Caller(self.tenant_id, self.subject)


async def access_of(request: Request) -> Access:
    """Return who calls for which tenant; checked once a request.

    Raises:
        Problem: 401 without a valid token, 400 or 403 where the tenant is not clear or not theirs, 503
        without keys.
    """
    known: Access | None = getattr(request.state, "access", None)
    if known is not None:
        return known
    identity = await _identity(gateway_of(request), request.headers.get("authorization", ""))
    tenant = _tenant(identity, request.headers.get(TENANT_HEADER))
    access = Access(identity.subject, tenant, identity.role, identity.expires_at, identity.key_id)
    request.state.access = access
    return access


async def _identity(gateway: Gateway, authorization: str) -> Identity:
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise _unauthorized("Send a bearer token of the platform's identity provider, or a service key.", "")
    is_key = token.startswith(PREFIX)
    try:
        if is_key:
            return await read_key(gateway.database, gateway.clock, token)
        return await gateway.tokens.read(token)
    except BadToken as error:
        what = "service key" if is_key else "token"
        raise _unauthorized(f"The {what} {error}.", ' error="invalid_token"') from None
    except KeysUnavailable:
        raise ServiceUnavailable("The identity provider") from None


def _unauthorized(detail: str, error: str) -> Problem:
    challenge = 'Bearer realm="suppli"' + ("," + error if error else "")
    return Problem(
        401, "unauthorized", "The caller is not known", detail, headers={"WWW-Authenticate": challenge}
    )


def _tenant(identity: Identity, header: str | None) -> UUID:
    if header is None:
        if len(set(identity.tenants)) == 1:
            return identity.tenants[0]
        detail = f"The token is for several tenants: choose one with the header {TENANT_HEADER}."
        raise Problem(400, "tenant-required", "The tenant is not clear", detail)
    try:
        tenant = UUID(header)
    except ValueError:
        raise Problem(
            400, "tenant-required", "The tenant is not clear", f"{TENANT_HEADER} must be a UUID."
        ) from None
    if tenant not in identity.tenants:
        raise Problem(
            403, "tenant-forbidden", "Not one of the caller's tenants", "The token is not for that tenant."
        )
    return tenant


def at_least(role: Role) -> Callable[..., Awaitable[Access]]:
    """Return a dependency that gives the `Access` of a caller with `role` or more, or answers 401 or 403."""

    async def allowed(
        request: Request,
        _: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
        tenant: Annotated[
            str | None,
            Header(
                alias=TENANT_HEADER, description="Which of the token's tenants; needed where it has several."
            ),
        ] = None,
    ) -> Access:
        access = await access_of(request)
        if access.role < role:
            detail = f"This needs the role {role.name.lower()}; the caller has {access.role.name.lower()}."
            raise Problem(403, "role-forbidden", "The caller's role does not allow this", detail)
        return access

    return allowed


Viewer = Annotated[Access, Depends(at_least(Role.VIEWER))]
Operator = Annotated[Access, Depends(at_least(Role.OPERATOR))]
Admin = Annotated[Access, Depends(at_least(Role.ADMIN))]
