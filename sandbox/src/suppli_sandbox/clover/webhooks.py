"""Webhook deliveries as Clover makes them, on order: batched, unsigned, doubled, shuffled, dropped."""

import random
import uuid
from collections import defaultdict
from typing import Any

import httpx
import msgspec

from suppli_sandbox.clover.models import CloverWebhookSpec

Json = dict[str, Any]

TIMEOUT_SECONDS = 10.0


async def deliver(spec: CloverWebhookSpec, app_id: str, now_ms: int) -> list[Json]:
    """Send the events; return what each delivery held and its status (0: not reached, -1: dropped)."""
    messages = [
        (event.merchant_id, {"objectId": event.object_id, "type": event.type, "ts": event.ts or now_ms})
        for event in spec.events
    ]
    size = max(1, spec.batch)
    bodies = [
        _body(app_id, messages[start : start + size]) for start in range(0, len(messages), size)
    ] * spec.copies
    if spec.shuffle_seed is not None:
        random.Random(spec.shuffle_seed).shuffle(bodies)  # noqa: S311 - repeatable, not secret
    sent = []
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
        for number, body in enumerate(bodies, 1):
            dropped = spec.drop and number % spec.drop == 0
            status = -1 if dropped else await _post(client, spec.url, body, {"X-Clover-Auth": spec.auth_code})
            sent.append({"merchants": body["merchants"], "status": status})
    return sent


async def verify(url: str) -> Json:
    """Make the handshake: the receiver gets a code, without any header to trust, and a person copies it."""
    code = str(uuid.uuid4())
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
        return {"verification_code": code, "status": await _post(client, url, {"verificationCode": code}, {})}


def _body(app_id: str, messages: list[tuple[str, Json]]) -> Json:
    merchants: dict[str, list[Json]] = defaultdict(list)
    for merchant_id, message in messages:
        merchants[merchant_id].append(message)
    return {"appId": app_id, "merchants": dict(merchants)}


async def _post(client: httpx.AsyncClient, url: str, body: Json, headers: dict[str, str]) -> int:
    content = msgspec.json.encode(body)
    try:
        answer = await client.post(
            url, content=content, headers={"content-type": "application/json", **headers}
        )
    except httpx.TransportError:
        return 0
    return answer.status_code
