"""A service key's rules, without any server."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from suppli_gateway.auth.tokens import BadToken, Role
from suppli_gateway.events.hub import Subscription
from suppli_gateway.events.live import LiveEvent, key_revoked
from suppli_gateway.service_keys.domain import ServiceKey, digest, new_key, revoked
from suppli_service_kit.redaction import redact_text

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TENANT = uuid4()


def made(expires_at: datetime | None = None) -> tuple[str, ServiceKey]:
    return new_key(
        key_id=uuid4(),
        tenant_id=TENANT,
        name="Report",
        role=Role.VIEWER,
        expires_at=expires_at,
        created_by="ada",
        now=NOW,
    )


def test_a_key_has_256_random_bits_behind_a_beginning_that_scanners_know() -> None:
    """A scanner finds a leaked key by its beginning; nobody may guess the rest, from any number of others."""
    secrets = {made()[0] for _ in range(50)}
    assert len(secrets) == 50
    for secret in secrets:
        assert re.fullmatch(r"suppli_sk_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", secret)
        assert secret[19:] not in redact_text(f"key {secret} in a text")


def test_what_is_kept_tells_the_key_by_its_beginning_and_holds_no_more_of_it() -> None:
    secret, key = made()
    assert secret.startswith(f"{key.prefix}_")
    assert key.secret_hash == digest(secret)
    assert secret[19:] not in repr(key)


def test_a_key_opens_nothing_after_its_end_or_once_revoked() -> None:
    """To the second: the row is read at every call, so this is all that stands between."""
    _, key = made(NOW + timedelta(hours=1))
    key.check(NOW + timedelta(minutes=59, seconds=59))
    with pytest.raises(BadToken, match="expired"):
        key.check(NOW + timedelta(hours=1))
    gone = revoked(key, by="bob", now=NOW)
    with pytest.raises(BadToken, match="revoked"):
        gone.check(NOW)
    again = revoked(gone, by="eve", now=NOW + timedelta(days=1))
    assert (again.revoked_at, again.revoked_by) == (NOW, "bob"), "who was first stays written"


def test_a_use_is_noted_once_a_minute() -> None:
    """A script that calls a hundred times a second must not write a hundred times."""
    _, key = made()
    assert key.use_to_note(NOW)
    used = ServiceKey(
        **{name: getattr(key, name) for name in ServiceKey.__dataclass_fields__} | {"last_used_at": NOW}
    )
    assert not used.use_to_note(NOW + timedelta(seconds=59))
    assert used.use_to_note(NOW + timedelta(minutes=1))


def test_a_revoked_keys_stream_ends_and_nobody_elses() -> None:
    key, other = uuid4(), uuid4()
    notice = key_revoked(TENANT, key)
    mine = Subscription(TENANT, None, key)
    assert mine.ended_by(notice)
    assert not mine.wants(notice), "nobody is told of another's key"
    for spared in (
        Subscription(TENANT, None, other),
        Subscription(TENANT, None, None),
        Subscription(uuid4(), None, key),
    ):
        assert not spared.ended_by(notice)
        assert not spared.wants(notice)
    assert not mine.ended_by(LiveEvent(TENANT, uuid4(), "run", {"key_id": str(key)}))
