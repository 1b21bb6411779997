"""How an account's tokens are stored, and what a refresh decides by; pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from suppli_connector_kit.protocol import Tokens

MOST_PRESENTATIONS = 2
"""How often a single-use refresh token is presented: once, and once more after a reply that was lost."""


def fingerprint(token: str) -> str:
    """Return a token's hash: says whether two are the same, and nothing else."""
    return sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Intent:
    """Somebody's word that they are about to spend the refresh token.

    Attributes:
        attempt: whose word it is.
        spent: fingerprint of that refresh token.
        deadline: until when others wait.
        presentation: how often that token will then have been presented.
    """

    attempt: str
    spent: str
    deadline: datetime
    presentation: int = 1


@dataclass(frozen=True, slots=True)
class StoredTokens:
    """One version of the secret.

    Attributes:
        obtained_at: when the pair came from the provider.
        authorized_at: when a person authorized us, which no refresh changes; None = with this pair.
        attempt: the refresh that wrote the pair.
        state_hash: the authorization that the pair came from, as its exchange may be asked for again.
        dead: fingerprint of a refresh token that the provider will not take again.
        adopted_from: the pending connection whose tokens these were.
        revoking: our access is being withdrawn: no token is handed out any more.
    """

    tokens: Tokens
    obtained_at: datetime
    attempt: str | None = None
    intent: Intent | None = field(default=None)
    state_hash: str | None = None
    dead: str | None = None
    adopted_from: str | None = None
    revoking: bool = False
    authorized_at: datetime | None = None

    def authorized(self) -> datetime:
        """Return when a person authorized us, as far as it is known."""
        return self.authorized_at or self.obtained_at

    def refresh_at(self) -> datetime | None:
        """Return the half-life of the access token; None where nothing is to be refreshed."""
        if self.tokens.expires_at is None or self.tokens.refresh_token is None or self.is_dead():
            return None
        return self.obtained_at + (self.tokens.expires_at - self.obtained_at) / 2

    def is_dead(self) -> bool:
        """Return whether a person must authorize again before the access token ends."""
        token = self.tokens.refresh_token
        return token is not None and self.dead is not None and self.dead == fingerprint(token)

    def works(self, now: datetime, margin: timedelta = timedelta()) -> bool:
        """Return whether the access token works until `now` + `margin` at least."""
        if self.revoking or not self.tokens.access_token:
            return False
        return self.tokens.expires_at is None or now + margin < self.tokens.expires_at

    def next_intent(self, attempt: str, deadline: datetime) -> Intent:
        """Return the intent to spend the stored refresh token, counting earlier words that were not
        answered.
        """
        spent = fingerprint(self.tokens.refresh_token or "")
        before = self.intent.presentation if self.intent and self.intent.spent == spent else 0
        return Intent(attempt, spent, deadline, before + 1)

    def refreshed(self, tokens: Tokens, *, attempt: str, at: datetime) -> StoredTokens:
        """Return the secret with the pair that a refresh brought; what the reply left out stays."""
        kept = self.tokens
        pair = replace(
            tokens,
            refresh_token=tokens.refresh_token or kept.refresh_token,
            account_id=tokens.account_id or kept.account_id,
            environment=kept.environment,
        )
        return replace(
            self,
            tokens=pair,
            obtained_at=at,
            attempt=attempt,
            intent=None,
            dead=None,
            authorized_at=self.authorized(),
        )


def to_secret(stored: StoredTokens) -> dict[str, Any]:
    """Return the fields as Vault keeps them."""
    tokens, intent = stored.tokens, stored.intent
    return {
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "expires_at": _text(tokens.expires_at),
        "refresh_expires_at": _text(tokens.refresh_expires_at),
        "account_id": tokens.account_id,
        "environment": tokens.environment,
        "obtained_at": _text(stored.obtained_at),
        "attempt": stored.attempt,
        "intent": None
        if intent is None
        else {
            "attempt": intent.attempt,
            "spent": intent.spent,
            "deadline": _text(intent.deadline),
            "presentation": intent.presentation,
        },
        "state_hash": stored.state_hash,
        "dead": stored.dead,
        "adopted_from": stored.adopted_from,
        "revoking": stored.revoking,
        "authorized_at": _text(stored.authorized_at),
    }


def from_secret(data: dict[str, Any]) -> StoredTokens:
    """Read what `to_secret` wrote."""
    intent = data.get("intent")
    return StoredTokens(
        tokens=Tokens(
            access_token=data["access_token"],
            refresh_token=data.get("refresh_token"),
            expires_at=_instant(data.get("expires_at")),
            refresh_expires_at=_instant(data.get("refresh_expires_at")),
            account_id=data.get("account_id") or "",
            environment=data.get("environment") or "production",
        ),
        obtained_at=datetime.fromisoformat(data["obtained_at"]),
        attempt=data.get("attempt"),
        intent=None
        if not intent
        else Intent(
            intent["attempt"],
            intent["spent"],
            datetime.fromisoformat(intent["deadline"]),
            int(intent["presentation"]),
        ),
        state_hash=data.get("state_hash"),
        dead=data.get("dead"),
        adopted_from=data.get("adopted_from"),
        revoking=bool(data.get("revoking")),
        authorized_at=_instant(data.get("authorized_at")),
    )


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
