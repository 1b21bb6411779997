"""Webhook deliveries as Square signs them, on order: duplicated, out of order, marked as retries."""

import base64
import hashlib
import hmac
import random
import uuid
from typing import Any

import httpx
import msgspec

from suppli_sandbox.models import WebhookEvent, WebhookSpec
from suppli_sandbox.times import format_us

Json = dict[str, Any]

TIMEOUT_SECONDS = 10.0  # the limit that Square's older documentation names

# The key of data.object where it is not the first word of the type.
_OBJECT_OF = {
    "order.created": "order_created",
    "order.updated": "order_updated",
    "catalog.version.updated": "catalog_version",
    "oauth.authorization.revoked": "revocation",
}


def signature(key: str, notification_url: str, body: bytes) -> str:
    """Return `x-square-hmacsha256-signature`: base64 of HMAC-SHA256 over the URL followed by the raw body."""
    digest = hmac.digest(key.encode(), notification_url.encode() + body, hashlib.sha256)
    return base64.b64encode(digest).decode()


def envelope(event: WebhookEvent, now_us: int) -> Json:
    """Return the body of a delivery; `event_id` stays the same over duplicates and retries."""
    kind = _OBJECT_OF.get(event.type, event.type.partition(".")[0])
    data = {"type": kind, "id": event.object_id, "object": {kind: event.object}}
    return {
        "merchant_id": event.merchant_id,
        "type": event.type,
        "event_id": event.event_id or str(uuid.uuid4()),
        "created_at": format_us(now_us),
        "data": data,
    }


async def deliver(spec: WebhookSpec, now_us: int) -> list[Json]:
    """Send every event `copies` times and return (event id, HTTP status) in the order of sending.

    Status 0 stands for a receiver that could not be reached or did not answer in time.
    """
    bodies = [envelope(event, now_us) for event in spec.events] * spec.copies
    if spec.shuffle_seed is not None:
        random.Random(spec.shuffle_seed).shuffle(bodies)  # noqa: S311 - repeatable, not secret
    sent = []
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
        for body in bodies:
            content = msgspec.json.encode(body)
            try:
                answer = await client.post(
                    spec.notification_url, content=content, headers=_headers(spec, content, now_us)
                )
                status = answer.status_code
            except httpx.TransportError:
                status = 0
            sent.append({"event_id": body["event_id"], "status": status})
    return sent


def _headers(spec: WebhookSpec, content: bytes, now_us: int) -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "x-square-hmacsha256-signature": signature(spec.signature_key, spec.notification_url, content),
        "square-environment": "Sandbox",
        "square-initial-delivery-timestamp": format_us(now_us),
    }
    if spec.retry_number:
        headers["square-retry-number"] = str(spec.retry_number)
        headers["square-retry-reason"] = spec.retry_reason
    return headers
