"""A service key in place of the platform's token."""

from __future__ import annotations

from datetime import timedelta

from suppli_service_kit.clock import Clock
from suppli_service_kit.database import Database

from suppli_gateway.auth.tokens import BadToken, Identity
from suppli_gateway.service_keys import repository
from suppli_gateway.service_keys.domain import digest

# A revoked key's streams are ended when it is revoked; one that was just opening may last this long.
STREAM_LIFE = timedelta(minutes=5)


async def read_key(database: Database, clock: Clock, secret: str) -> Identity:
    """Return who calls with a key. It is read anew each time: every replica refuses a revoked one at once.

    Raises:
        BadToken: malformed, unknown, revoked or expired.
    """
    secret_hash = digest(secret)
    async with database.transaction() as transaction:
        key = await repository.held(transaction, secret_hash)
    if key is None:
        raise BadToken("is not known")
    now = clock.now()
    key.check(now)
    if key.use_to_note(now):
        async with database.transaction([key.tenant_id]) as transaction:
            await repository.note_use(transaction, key.key_id, now)
    ends = now + STREAM_LIFE
    return Identity(
        key.subject,
        (key.tenant_id,),
        key.role,
        ends if key.expires_at is None else min(ends, key.expires_at),
        key.key_id,
    )
