"""Connecting by what a person typed: the same as a redirect and back, in one step.

What is typed goes to the connector in one call and nowhere else; the connector tests it before it keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from suppli_contracts.internal import ExchangeRequest, Manifest
from suppli_service_kit.problems import Problem

from suppli_gateway.auth.access import Access
from suppli_gateway.connections.domain import Connection
from suppli_gateway.context import Gateway
from suppli_gateway.oauth import service, states
from suppli_gateway.services import Connector

MAX_LENGTH = 4_000


async def connect(
    gateway: Gateway, access: Access, *, provider: str, environment: str, credentials: Mapping[str, str]
) -> service.Connected:
    """Connect an account; refused, nothing of it stays.

    Raises:
        Problem: 422 unknown provider or environment, fields that are not the provider's, or what the provider
            does not accept; 409 another tenant's account; 503 the connector or the provider is down.
    """
    connector = gateway.services.connector(provider)
    manifest = await connector.manifest(access.caller)
    if manifest.auth != "file":  # of which `begin` says what to do
        _check(manifest, credentials)
    connection = service.begin(gateway, access, manifest, provider=provider, environment=environment)
    ticket = states.new_ticket()
    await service.add_pending(gateway, access, connection, ticket)
    return await _exchanged(gateway, access, connector, connection, ticket, credentials, new=True)


async def reauthorize(
    gateway: Gateway, access: Access, connection_id: UUID, *, credentials: Mapping[str, str]
) -> service.Connected:
    """Give a connection other credentials of the same account; what works goes on until they are tested.

    Raises:
        Problem: as `connect`, and 404, 409 where the connection is removed or the account is another one.
    """
    connection, _ = await service.authorizable(gateway, access, connection_id)
    connector = gateway.services.connector(connection.provider)
    _check(await connector.manifest(access.caller), credentials)
    ticket = states.new_ticket()
    exchange_id = service.exchange_of(connection)
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        await service.add_state(gateway, transaction, access, connection, exchange_id, ticket)
    return await _exchanged(gateway, access, connector, connection, ticket, credentials, new=False)


async def _exchanged(
    gateway: Gateway,
    access: Access,
    connector: Connector,
    connection: Connection,
    ticket: states.Ticket,
    credentials: Mapping[str, str],
    *,
    new: bool,
) -> service.Connected:
    async with gateway.database.transaction() as transaction:
        record = await states.find(transaction, ticket.state)
    if record is None:
        raise RuntimeError("the state that was stored a moment ago is not there")
    request = ExchangeRequest(
        state=ticket.state,
        code="",
        redirect_uri="",
        environment=connection.environment,
        credentials=dict(credentials),
    )
    try:
        account = await connector.exchange(record.exchange_id, request, access.caller)
    except Problem as problem:
        await service.give_up(gateway, record, problem.type[:100], remove_pending=new)
        raise
    return await service.settle(gateway, record, account, connector, access.caller)


def _check(manifest: Manifest, credentials: Mapping[str, str]) -> None:
    wanted = {field.name: field.label for field in manifest.credentials}
    if not wanted:
        detail = f"{manifest.name} accounts are connected by a redirect: leave credentials out."
        raise Problem(422, "credentials-not-taken", "Nothing is typed for this provider", detail)
    empty = [name for name in wanted if not credentials.get(name, "").strip()]
    unknown = sorted(credentials.keys() - wanted.keys())
    long = [name for name in wanted if len(credentials.get(name, "")) > MAX_LENGTH]
    if empty or unknown or long:
        fields = "; ".join(f"{name}: {label}" for name, label in wanted.items())
        wrong = [*(f"{name} is missing" for name in empty), *(f"{name} is not known" for name in unknown)]
        wrong += [f"{name} is too long" for name in long]
        detail = f"{', '.join(wrong)}. {manifest.name} takes {fields}."
        raise Problem(422, "credentials-invalid", "The credentials are not complete", detail)
