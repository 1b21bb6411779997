"""Webhook deliveries must pass the official SDK's check, and come as badly as Square's may."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import msgspec
import pytest
from square.utils.webhooks_helper import verify_signature
from suppli_sandbox.client import SandboxControl, WebhookEvent, WebhookSpec

KEY = "signature-key"


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[dict[str, str], str]]]]:
    received: list[tuple[dict[str, str], str]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook?x=1", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_deliveries_are_signed_doubled_and_marked_as_retries(
    control: SandboxControl, receiver: tuple[str, list[tuple[dict[str, str], str]]]
) -> None:
    """A receiver that trusts unsigned, or counts duplicates, must be found out here."""
    url, received = receiver
    events = tuple(
        WebhookEvent(merchant_id="M1", type="order.updated", object_id=f"O{n}", object={"order_id": f"O{n}"})
        for n in range(4)
    )
    spec = WebhookSpec(
        notification_url=url, signature_key=KEY, events=events, copies=2, shuffle_seed=1, retry_number=3
    )
    sent = control.deliver_webhooks(spec)
    assert [entry["status"] for entry in sent] == [200] * 8
    for headers, body in received:
        mark = headers["x-square-hmacsha256-signature"]
        assert verify_signature(
            request_body=body, signature_header=mark, signature_key=KEY, notification_url=url
        )
        assert (headers["square-retry-number"], headers["square-retry-reason"]) == ("3", "http_error")
    ids = [msgspec.json.decode(body)["event_id"] for _, body in received]
    assert (len(ids), len(set(ids))) == (8, 4)
    assert [msgspec.json.decode(body)["data"]["id"] for _, body in received] != ["O0", "O1", "O2", "O3"] * 2


def test_a_receiver_that_is_not_there_is_status_0(control: SandboxControl) -> None:
    """The order to deliver must come back with what happened, not hang or fail."""
    event = WebhookEvent(merchant_id="M1", type="payment.updated", object_id="P1")
    spec = WebhookSpec(notification_url="http://127.0.0.1:9/", signature_key=KEY, events=(event,))
    assert [entry["status"] for entry in control.deliver_webhooks(spec)] == [0]
