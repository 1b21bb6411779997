"""Tokens and limits, dealt with wrongly."""

from __future__ import annotations

from typing import Any

from suppli_connector_kit import client, gates
from suppli_connector_kit.budgets import SharedBudget
from suppli_connector_kit.client import ProviderClient
from suppli_connector_kit.errors import (
    AuthError,
    TokenRevoked,
)
from suppli_connector_kit.protocol import (
    Session,
)
from suppli_connector_kit.tokens.keeper import TokenKeeper
from suppli_connector_kit.tokens.secret import StoredTokens

from .failures import swallowing
from .kinds import Mutant, putting


async def _ask_once_more_only(
    asked: ProviderClient, session: Session, method: str, path: str, read: Any, *, json: Any = None
) -> Any:
    """Ask with a renewed token without trying again."""
    token = await session.access_token()
    try:
        return await asked._read(session.account_id, method, path, token, read, json)
    except AuthError as refused:
        other = await asked._other_token(session, token, refused)
    headers = {"Authorization": f"Bearer {other}"}
    response = await asked._send(method, path, json, headers, retry=False)
    return asked._understood(response, read), client._date(response)


async def _never_renews(session: Session, token: str, refused: AuthError) -> str:
    raise refused


async def _given_up(keeper: TokenKeeper, key: Any, promised: StoredTokens, version: int, *_: Any) -> Any:
    await keeper._bury(key, promised, version)
    raise AuthError("the reply to a refresh was lost: the account must be authorized again")


async def _everybody(keeper: TokenKeeper, key: Any, old_access_token: str | None = None) -> StoredTokens:
    found = await keeper.stored(key)
    assert found is not None
    stored = found[0].refreshed(await keeper._call(found[0].tokens), attempt="", at=keeper._clock.now())
    await keeper._store.write(keeper.path(key), _secret(stored), cas=None)
    return stored


def _secret(stored: StoredTokens) -> dict[str, Any]:
    from suppli_connector_kit.tokens.secret import to_secret

    return to_secret(stored)


async def _free(_: SharedBudget) -> None:
    """Wait for nothing."""


MUTANTS = (
    Mutant(
        "a token is never renewed",
        (
            "a token that ends amid a run is renewed once",
            "a token that ends while a call is tried again is renewed",
            "coverage only grows, and ends at the provider's clock less the lag",
        ),
        wrong=putting(ProviderClient, _other_token=staticmethod(_never_renews)),
    ),
    Mutant(
        "a renewed token has one try",
        ("a token that ends while a call is tried again is renewed",),
        wrong=putting(ProviderClient, ask=_ask_once_more_only),
    ),
    Mutant(
        "a lost reply is the end",
        ("a reply to a refresh that is lost costs no sale",),
        wrong=putting(TokenKeeper, _unanswered=_given_up),
    ),
    Mutant(
        "everybody refreshes",
        ("eight workers make one refresh",),
        wrong=putting(TokenKeeper, refresh=_everybody),
    ),
    Mutant(
        "a withdrawn authorization ends the list",
        ("a withdrawn authorization ends the run, and connecting again goes on",),
        swallowing(lambda error, _: isinstance(error, TokenRevoked)),
    ),
    Mutant(
        "no permit is waited for",
        ("the provider sees no more calls a second than it allows",),
        wrong=putting(SharedBudget, ready=_free, use=lambda _: True),
    ),
    Mutant(
        "there is always room for a call",
        ("the provider sees no more calls at once than it allows",),
        wrong=putting(gates, _room=lambda _: None),
    ),
)
