"""`Idempotency-Key`: a POST sent again with the same key gets the first answer and does nothing twice.

Answers may hold secrets for one browser (an authorize URL, its cookie), so they are stored encrypted by a
key that only the holder of the Idempotency-Key can make again; the key itself is stored as a hash. A secret
that lasts is not stored even so: such an answer says what is kept in its place (`keep_instead`).
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from cryptography.fernet import Fernet
from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import insert
from suppli_service_kit.problems import Problem

from suppli_gateway.auth.access import Access, access_of
from suppli_gateway.context import Gateway, gateway_of
from suppli_gateway.tables import idempotency_keys

HEADER = "Idempotency-Key"
KEPT = timedelta(hours=24)
# A request that takes longer was killed with its process: its key may be taken over.
LOCKED = timedelta(seconds=90)
MAX_KEY_LENGTH = 200

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def keep_instead(request: Request, body: BaseModel) -> None:
    """Have `body` stored, and given when the request is repeated, in place of the answer's own body."""
    request.state.kept_body = body.model_dump_json().encode()


class StoredAnswer(msgspec.Struct, frozen=True):
    """A response as it is kept."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Key:
    access: Access
    key: str
    request_hash: bytes

    @property
    def row(self) -> dict[str, Any]:
        return {
            "tenant_id": self.access.tenant_id,
            "subject": self.access.subject,
            "key_hash": hashlib.sha256(self.key.encode()).digest(),
        }

    @property
    def cipher(self) -> Fernet:
        material = "\x1f".join(("suppli answer", str(self.access.tenant_id), self.access.subject, self.key))
        return Fernet(urlsafe_b64encode(hashlib.sha256(material.encode()).digest()))

    @property
    def condition(self) -> sa.ColumnElement[bool]:
        return sa.and_(*(idempotency_keys.c[name] == value for name, value in self.row.items()))


class IdempotentRoute(APIRoute):
    """A route whose POST honours `Idempotency-Key`."""

    def get_route_handler(self) -> Handler:
        """Wrap the handler; other methods stay as they are."""
        handler = super().get_route_handler()
        if self.methods != {"POST"}:
            return handler

        async def idempotent(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if key is None:
                return await handler(request)
            return await _once(request, key, handler)

        return idempotent


async def _once(request: Request, key: str, handler: Handler) -> Response:
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not (key.isascii() and key.isprintable()):
        detail = f"{HEADER} has 1 to {MAX_KEY_LENGTH} printable ASCII characters."
        raise Problem(400, "idempotency-key-invalid", "The idempotency key is not valid", detail)
    gateway, access = gateway_of(request), await access_of(request)
    asked = _Key(access, key, await _request_hash(request))
    now = gateway.clock.now()
    known = await _claim(gateway, asked, now)
    if known is not None:
        return _replayed(known)
    try:
        response = await handler(request)
    except Exception:
        # Nothing was done: asked again it may go better.
        await _forget(gateway, asked)
        raise
    if response.status_code >= 300:
        await _forget(gateway, asked)
    else:
        await _keep(gateway, asked, response, getattr(request.state, "kept_body", bytes(response.body)))
    return response


async def _request_hash(request: Request) -> bytes:
    parts = (
        request.method.encode(),
        request.url.path.encode(),
        request.url.query.encode(),
        request.headers.get("content-type", "").encode(),
        await request.body(),
    )
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


async def _claim(gateway: Gateway, asked: _Key, now: datetime) -> StoredAnswer | None:
    """Take the key for this request; return the answer where it was given before.

    Raises:
        Problem: 422 the key was used for another request, 409 the first one is not done yet.
    """
    fresh = {
        "request_hash": asked.request_hash,
        "created_at": now,
        "locked_until": now + LOCKED,
        "answer": None,
    }
    async with gateway.database.transaction([asked.access.tenant_id]) as transaction:
        added = await transaction.execute(
            insert(idempotency_keys)
            .values(**asked.row, **fresh)
            .on_conflict_do_nothing()
            .returning(idempotency_keys.c.key_hash)
        )
        if added.one_or_none() is not None:
            return None
        row = (
            await transaction.execute(sa.select(idempotency_keys).where(asked.condition).with_for_update())
        ).one_or_none()
        abandoned = row is None or (row.answer is None and row.locked_until <= now)
        if row is not None and row.created_at + KEPT > now and not abandoned:
            if row.request_hash != asked.request_hash:
                detail = "The key was used for another request. Take a new key for a new request."
                raise Problem(422, "idempotency-key-reused", "The idempotency key was used otherwise", detail)
            if row.answer is None:
                detail = "The first request with this key is not done yet."
                raise Problem(
                    409,
                    "request-in-progress",
                    "The request is being worked on",
                    detail,
                    headers={"Retry-After": "1"},
                )
            return msgspec.msgpack.decode(asked.cipher.decrypt(row.answer), type=StoredAnswer)
        await transaction.execute(
            insert(idempotency_keys)
            .values(**asked.row, **fresh)
            .on_conflict_do_update(index_elements=["tenant_id", "subject", "key_hash"], set_=fresh)
        )
        return None


async def _keep(gateway: Gateway, asked: _Key, response: Response, body: bytes) -> None:
    headers = [(name, value) for name, value in response.raw_headers if name != b"content-length"]
    answer = StoredAnswer(response.status_code, headers, body)
    stored = asked.cipher.encrypt(msgspec.msgpack.encode(answer))
    async with gateway.database.transaction([asked.access.tenant_id]) as transaction:
        await transaction.execute(sa.update(idempotency_keys).where(asked.condition).values(answer=stored))


async def _forget(gateway: Gateway, asked: _Key) -> None:
    async with gateway.database.transaction([asked.access.tenant_id]) as transaction:
        await transaction.execute(sa.delete(idempotency_keys).where(asked.condition))


def _replayed(answer: StoredAnswer) -> Response:
    response = Response(answer.body, answer.status)
    response.raw_headers = [
        *answer.headers,
        (b"content-length", str(len(answer.body)).encode()),
        (b"idempotency-replayed", b"true"),
    ]
    return response
