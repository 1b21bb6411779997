"""The redirect to a provider and back, step by step. Every way it can end has its own problem."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import sqlalchemy.exc
from sqlalchemy.ext.asyncio import AsyncConnection
from suppli_contracts.events.connections import ConnectionState
from suppli_contracts.internal import Account, AuthorizeAnswer, AuthorizeRequest, ExchangeRequest, Manifest
from suppli_service_kit.ids import new_id
from suppli_service_kit.internal_api import Caller
from suppli_service_kit.logs import get_logger
from suppli_service_kit.problems import Problem

from suppli_gateway import due
from suppli_gateway.auth.access import Access
from suppli_gateway.connections.domain import (
    Connection,
    NotAllowed,
    authorized,
    may_authorize,
    new_connection,
    superseded,
)
from suppli_gateway.connections.repository import ConnectionRepository
from suppli_gateway.connections.schemas import ConnectionDetails
from suppli_gateway.connections.views import connection_details
from suppli_gateway.context import Gateway
from suppli_gateway.oauth import states
from suppli_gateway.oauth.states import StateRecord, Ticket
from suppli_gateway.refusals import no_such, not_allowed
from suppli_gateway.services import Connector

log = get_logger(__name__)

DAILY_ROUND = timedelta(days=1)
FILES = "upload"
"""The provider of tills that files fill."""
MAX_CODE_LENGTH = 4_000
MAX_ACCOUNT_LENGTH = 200
_ERROR_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,60}")


@dataclass(frozen=True, slots=True)
class Begun:
    """A redirect that may begin: the browser goes to `answer.authorize_url` with the ticket's session
    cookie.
    """

    ticket: Ticket
    answer: AuthorizeAnswer
    details: ConnectionDetails


@dataclass(frozen=True, slots=True)
class Connected:
    """What an authorization led to."""

    details: ConnectionDetails
    revived: bool


async def connect(gateway: Gateway, access: Access, *, provider: str, environment: str) -> Begun:
    """Begin a new connection.

    Raises:
        Problem: 422 unknown provider or environment, 503 its connector is down.
    """
    connector = gateway.services.connector(provider)
    manifest = await connector.manifest(access.caller)
    connection = begin(gateway, access, manifest, provider=provider, environment=environment)
    ticket = states.new_ticket()
    answer = await _authorize(gateway, connector, access.caller, connection, connection.connection_id, ticket)
    details = await add_pending(gateway, access, connection, ticket)
    return Begun(ticket, answer, details)


def begin(
    gateway: Gateway, access: Access, manifest: Manifest, *, provider: str, environment: str
) -> Connection:
    """Return a new connection, not yet stored; raises `Problem` (422) for an unknown environment, or where
    nothing is authorized.
    """
    if manifest.auth == "file":
        detail = "Nothing is connected for files: upload one (`POST /v1/uploads`), its till is made with it."
        raise Problem(422, "filled-by-files", "A till is filled by its files", detail)
    if environment not in manifest.environments:
        known = list(manifest.environments)
        detail = f"{manifest.name} has no environment {environment!r}; it has: {', '.join(known)}."
        raise Problem(
            422, "unknown-environment", "The environment is not known", detail, extra={"environments": known}
        )
    return new_connection(
        connection_id=new_id(),
        tenant_id=access.tenant_id,
        provider=provider,
        environment=environment,
        now=gateway.clock.now(),
    )


async def add_pending(
    gateway: Gateway, access: Access, connection: Connection, ticket: Ticket
) -> ConnectionDetails:
    """Store a new connection with the state of its authorization."""
    round_at = gateway.clock.now() + DAILY_ROUND
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        await ConnectionRepository(transaction, gateway.clock).add(connection)
        await add_state(gateway, transaction, access, connection, connection.connection_id, ticket)
        await due.plan(transaction, "tenant", access.tenant_id, access.tenant_id, round_at)
        return await connection_details(transaction, connection, gateway.outages)


async def reauthorize(gateway: Gateway, access: Access, connection_id: UUID) -> Begun:
    """Begin another authorization of a connection.

    What works now goes on working until the new authorization has shown the same account.

    Raises:
        Problem: 404, 409 where it is removed, 503 its connector is down.
    """
    connection, details = await authorizable(gateway, access, connection_id)
    connector = gateway.services.connector(connection.provider)
    exchange_id = exchange_of(connection)
    ticket = states.new_ticket()
    answer = await _authorize(gateway, connector, access.caller, connection, exchange_id, ticket)
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        await add_state(gateway, transaction, access, connection, exchange_id, ticket)
    return Begun(ticket, answer, details)


async def authorizable(
    gateway: Gateway, access: Access, connection_id: UUID
) -> tuple[Connection, ConnectionDetails]:
    """Return a connection that may be authorized again; raises `Problem` (404, 409)."""
    async with gateway.database.transaction([access.tenant_id]) as transaction:
        connection = await ConnectionRepository(transaction, gateway.clock).find(connection_id)
        if connection is None:
            raise no_such("connection", connection_id)
        details = await connection_details(transaction, connection, gateway.outages)
    try:
        may_authorize(connection)
    except NotAllowed as error:
        raise not_allowed(error) from None
    if connection.provider == FILES:
        detail = "A till that is filled by files needs no authorization: upload a file."
        raise Problem(409, "filled-by-files", "A till is filled by its files", detail)
    return connection, details


def exchange_of(connection: Connection) -> UUID:
    """Return whose secret an authorization writes first: not that of a connection that works already."""
    return connection.connection_id if connection.account_id is None else new_id()


async def _authorize(
    gateway: Gateway,
    connector: Connector,
    caller: Caller,
    connection: Connection,
    exchange_id: UUID,
    ticket: Ticket,
) -> AuthorizeAnswer:
    request = AuthorizeRequest(
        state=ticket.state, redirect_uri=gateway.settings.redirect_uri, environment=connection.environment
    )
    return await connector.authorize(exchange_id, request, caller)


async def add_state(
    gateway: Gateway,
    transaction: AsyncConnection,
    access: Access,
    connection: Connection,
    exchange_id: UUID,
    ticket: Ticket,
) -> StateRecord:
    """Store a fresh state and return its record."""
    record = states.new_record(
        ticket,
        tenant_id=access.tenant_id,
        subject=access.subject,
        connection_id=connection.connection_id,
        exchange_id=exchange_id,
        provider=connection.provider,
        environment=connection.environment,
        now=gateway.clock.now(),
        life=timedelta(seconds=gateway.settings.state_seconds),
    )
    await states.add(transaction, record)
    return record


async def complete(
    gateway: Gateway,
    *,
    state: str,
    session: str | None,
    code: str | None,
    error: str | None,
    redirected: Mapping[str, str],
) -> Connected:
    """End a redirect. Interrupted before its end it may be called again with the same state and code.

    Args:
        state: as the provider gave it back.
        session: the browser's cookie that belongs to the state.
        code: the provider's authorization code.
        error: why the provider gives none.
        redirected: all that the redirect said; some providers say there whose account it is.

    Raises:
        Problem: see `_checked`, `_refused` and `settle`; 503 where the connector is down: try again.
    """
    record = await _checked(gateway, state, session)
    if error is not None:
        raise await _refused(gateway, record, error)
    if not code or len(code) > MAX_CODE_LENGTH:
        raise Problem(400, "code-missing", "The provider's answer is incomplete", "The code is missing.")
    caller = Caller(record.tenant_id, record.subject)
    connector = gateway.services.connector(record.provider)
    named = (await connector.manifest(caller)).account_parameter
    request = ExchangeRequest(
        state=state,
        code=code,
        redirect_uri=gateway.settings.redirect_uri,
        environment=record.environment,
        account_id=redirected.get(named, "")[:MAX_ACCOUNT_LENGTH] if named else "",
    )
    try:
        account = await connector.exchange(record.exchange_id, request, caller)
    except Problem as problem:
        if problem.status < 500:  # the code is spent or wrong: this state leads nowhere any more
            await spend(gateway, record, problem.type)
        raise
    return await settle(gateway, record, account, connector, caller)


async def _checked(gateway: Gateway, state: str, session: str | None) -> StateRecord:
    """Return the record of a state that is good now, in this browser."""
    if not 1 <= len(state) <= states.MAX_STATE_LENGTH or not state.isascii():
        raise Problem(400, "state-unknown", "The authorization is not known", "Start connecting again.")
    async with gateway.database.transaction() as transaction:
        record = await states.find(transaction, state)
    if record is None:
        raise Problem(400, "state-unknown", "The authorization is not known", "Start connecting again.")
    if record.used_at is not None:
        raise _used()
    if gateway.clock.now() >= record.expires_at:
        minutes = round((record.expires_at - record.created_at).total_seconds() / 60)
        detail = f"It had to be completed within {minutes} minutes. Start connecting again."
        raise Problem(410, "state-expired", "The authorization took too long", detail)
    if not record.same_session(session):
        detail = "It was started in another browser session. Start connecting again in this one."
        raise Problem(403, "state-foreign-session", "The authorization belongs to another session", detail)
    return record


def _used() -> Problem:
    detail = "This authorization was completed before. Look at the connection, or start connecting again."
    return Problem(409, "state-used", "The authorization was used already", detail)


async def _refused(gateway: Gateway, record: StateRecord, error: str) -> Problem:
    if not await spend(gateway, record, "denied"):
        return _used()
    if error == "access_denied":
        detail = "Access was not allowed at the provider; nothing was connected. You may try again."
        return Problem(403, "consent-denied", "The consent was denied", detail)
    named = error if _ERROR_NAME.fullmatch(error) else "an error without a name"
    detail = f"The provider answered {named}; nothing was connected. You may try again."
    return Problem(502, "provider-refused", "The provider did not authorize", detail)


async def spend(gateway: Gateway, record: StateRecord, outcome: str) -> bool:
    """Use a state up; False where it was already."""
    async with gateway.database.transaction([record.tenant_id]) as transaction:
        return await states.spend(transaction, record, outcome=outcome[:100], now=gateway.clock.now())


async def settle(
    gateway: Gateway, record: StateRecord, account: Account, connector: Connector, caller: Caller
) -> Connected:
    """Give the authorization to the connection it belongs to.

    Raises:
        Problem: 409 another account than the connection's, another tenant's account, a used state, or a
        connection
            that was removed meanwhile.
    """
    for last_try in (False, True):
        target = await _target(gateway, record, account)
        if target.account_id is not None and target.account_id != account.account_id:
            raise await _wrong_account(gateway, record)
        if target.connection_id != record.exchange_id:
            await connector.adopt(target.connection_id, record.exchange_id, caller)
        try:
            return await _record(gateway, record, account, target.connection_id)
        except sqlalchemy.exc.IntegrityError:
            # The account has a connection: one of this tenant made meanwhile is found now, another's is not
            # seen.
            if last_try:
                break
    raise await _taken(gateway, record)


async def _target(gateway: Gateway, record: StateRecord, account: Account) -> Connection:
    """Return which connection the account goes to: its own where it has one, else the one that was begun."""
    async with gateway.database.transaction([record.tenant_id]) as transaction:
        repository = ConnectionRepository(transaction, gateway.clock)
        begun = await repository.find(record.connection_id)
        if begun is None:
            raise Problem(
                409, "connection-removed", "The connection was removed meanwhile", "Start connecting again."
            )
        if begun.account_id is not None:
            return begun
        known = await repository.find_by_account(record.provider, record.environment, account.account_id)
        return known or begun


async def _record(gateway: Gateway, record: StateRecord, account: Account, target_id: UUID) -> Connected:
    """Write the outcome: state spent, connection connected, the pending one it replaces removed."""
    now = gateway.clock.now()
    async with gateway.database.transaction([record.tenant_id]) as transaction:
        if not await states.spend(transaction, record, outcome="connected", now=now):
            raise _used()
        repository = ConnectionRepository(transaction, gateway.clock)
        target = await repository.find(target_id, lock=True)
        if target is None:
            raise Problem(
                409, "connection-removed", "The connection was removed meanwhile", "Start connecting again."
            )
        try:
            after = authorized(target, account, now)
        except NotAllowed as error:
            raise not_allowed(error) from None
        after = await repository.save(target, after)
        replaced = target_id != record.connection_id
        if replaced:
            pending = await repository.find(record.connection_id, lock=True)
            if pending is not None:
                await repository.save(pending, superseded(pending, now))
        revived = replaced or target.state is ConnectionState.DISCONNECTED
        return Connected(await connection_details(transaction, after, gateway.outages), revived)


async def _wrong_account(gateway: Gateway, record: StateRecord) -> Problem:
    await give_up(gateway, record, "wrong-account")
    detail = (
        "Another account was authorized than the one this connection belongs to; nothing was changed. "
        "Sign in to the provider with the connection's account and try again."
    )
    return Problem(409, "wrong-account", "The authorized account is another one", detail)


async def _taken(gateway: Gateway, record: StateRecord) -> Problem:
    """The account is another tenant's. The words are neutral: they tell nothing of whose."""
    await give_up(gateway, record, "account-not-available", remove_pending=True)
    log.warning("account_not_available", connection_id=str(record.connection_id), provider=record.provider)
    detail = "This account cannot be connected here. If you think that it should be, ask our support."
    return Problem(409, "account-not-available", "The account cannot be connected", detail)


async def give_up(
    gateway: Gateway, record: StateRecord, outcome: str, *, remove_pending: bool = False
) -> None:
    """Spend the state and have the secret that belongs to no connection discarded.

    It is not revoked: providers revoke by account, which would end the connection that works with it.
    """
    now = gateway.clock.now()
    async with gateway.database.transaction([record.tenant_id]) as transaction:
        await states.spend(transaction, record, outcome=outcome, now=now)
        await due.plan(transaction, "discard", record.exchange_id, record.tenant_id, now)
        if remove_pending:
            repository = ConnectionRepository(transaction, gateway.clock)
            pending = await repository.find(record.connection_id, lock=True)
            if pending is not None and pending.account_id is None:
                await repository.save(pending, superseded(pending, now))
