"""A bearer token and what it allows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from uuid import UUID

import jwt
from suppli_service_kit.clock import Clock

from suppli_gateway.auth.keys import SigningKeys

ALGORITHMS = ("RS256", "ES256")
LEEWAY_SECONDS = 15
MAX_TOKEN_LENGTH = 8_192


class Role(IntEnum):
    """What a person may do; each may all that the ones below may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


class BadToken(Exception):
    """The token does not prove who calls; the message says why without repeating any of it."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the token says is calling.

    Attributes:
        subject: the platform's id of the person or part.
        tenants: whose data it may touch.
        expires_at: end of the token (UTC).
        key_id: the service key that it is, None = a token of the platform's.
    """

    subject: str
    tenants: tuple[UUID, ...]
    role: Role
    expires_at: datetime
    key_id: UUID | None = None


class TokenReader:
    """Checks tokens of one issuer for one audience."""

    def __init__(self, keys: SigningKeys, *, issuer: str, audience: str, clock: Clock) -> None:
        self._keys, self._issuer, self._audience, self._clock = keys, issuer, audience, clock

    async def read(self, token: str) -> Identity:
        """Return who the token is for.

        Raises:
            BadToken: malformed, not signed by the issuer, for others, not valid now, or its claims are
            incomplete.
            KeysUnavailable: the issuer's keys are not known.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise BadToken("is too long")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise BadToken("is not a JWT") from None
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            raise BadToken(f"must be signed by {' or '.join(ALGORITHMS)}")
        if not isinstance(key_id, str) or not key_id:
            raise BadToken("names no key (kid)")
        key = await self._keys.key(key_id)
        if key is None or key.algorithm_name not in (None, algorithm):
            raise BadToken("is signed by a key that the issuer does not have")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                # The instants are checked below, by our clock.
                options={
                    "require": ["iss", "aud", "sub", "exp"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.InvalidTokenError as error:
            raise BadToken(_why(error)) from None
        return self._identity(claims)

    def _identity(self, claims: dict[str, object]) -> Identity:
        now = self._clock.now().timestamp()
        expires, begins = _instant(claims, "exp"), _instant(claims, "nbf")
        if expires is None or expires <= now - LEEWAY_SECONDS:
            raise BadToken("has expired")
        if begins is not None and begins > now + LEEWAY_SECONDS:
            raise BadToken("is not valid yet")
        subject = claims["sub"]
        if (
            not isinstance(subject, str)
            or not 1 <= len(subject) <= 200
            or not (subject.isascii() and subject.isprintable())
        ):
            raise BadToken("has no usable sub")
        return Identity(
            subject,
            _tenants(claims.get("tenants")),
            _role(claims.get("role")),
            datetime.fromtimestamp(expires, UTC),
        )


def _why(error: jwt.InvalidTokenError) -> str:
    reasons: tuple[tuple[type[Exception], str], ...] = (
        (jwt.InvalidSignatureError, "has a wrong signature"),
        (jwt.InvalidAudienceError, "is not meant for this service (aud)"),
        (jwt.InvalidIssuerError, "is from another issuer (iss)"),
        (jwt.MissingRequiredClaimError, "lacks one of iss, aud, sub, exp"),
    )
    return next((reason for kind, reason in reasons if isinstance(error, kind)), "is not valid")


def _instant(claims: dict[str, object], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise BadToken(f"has an unreadable {name}")
    return float(value)


def _tenants(value: object) -> tuple[UUID, ...]:
    if not isinstance(value, list) or not value or len(value) > 1_000:
        raise BadToken("names no tenants")
    try:
        return tuple(UUID(str(tenant)) for tenant in value)
    except ValueError:
        raise BadToken("names a tenant that is no UUID") from None


def _role(value: object) -> Role:
    try:
        return Role[str(value).upper()] if isinstance(value, str) else Role(0)
    except (KeyError, ValueError):
        raise BadToken("has no role viewer, operator or admin") from None
