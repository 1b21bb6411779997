"""A door before the sandbox: notes every secret that passes, and answers by repeating it where told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

SECRET_FIELDS = ("access_token", "refresh_token", "client_secret", "code")
_DROPPED = {"host", "content-length", "connection", "transfer-encoding", "accept-encoding"}


@dataclass(frozen=True)
class Echo:
    """How the next calls of a path are answered instead of by the sandbox.

    Attributes:
        path: what the called path begins with.
        status: of the answer.
        kind: `errors` (the provider's own shape), `html`, `redirect`, or `garbled` (no JSON).
    """

    path: str
    status: int
    kind: str = "errors"


@dataclass
class Provider:
    """A running door: `url` is what the connector takes for the provider."""

    target: str
    url: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    echoed: list[Echo] = field(default_factory=list)
    _echoes: list[Echo] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def echo(self, *echoes: Echo) -> None:
        """Answer one call for each of `echoes`, in order."""
        with self._lock:
            self._echoes += echoes

    def take(self, path: str) -> Echo | None:
        """Return the echo that strikes a call."""
        with self._lock:
            for index, echo in enumerate(self._echoes):
                if path.startswith(echo.path):
                    self.echoed.append(echo)
                    return self._echoes.pop(index)
        return None

    def pending(self) -> int:
        """Return how many echoes have struck nothing yet."""
        with self._lock:
            return len(self._echoes)

    def note(self, kind: str, value: str) -> None:
        """Remember a secret."""
        if value and value not in self.secrets.values():
            self.secrets[f"{kind} {sum(name.startswith(kind) for name in self.secrets) + 1}"] = value

    def read(self, body: bytes) -> None:
        """Note the secrets of a JSON body."""
        try:
            content: Any = json.loads(body)
        except ValueError:
            return
        if isinstance(content, dict):
            for name in SECRET_FIELDS:
                if isinstance(content.get(name), str):
                    self.note(name, content[name])


@contextmanager
def provider_before(target: str) -> Iterator[Provider]:
    """Open a door before the sandbox at `target`."""
    provider = Provider(target)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(provider))
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    client = httpx.Client(base_url=provider.target, timeout=30, trust_env=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("content-length", 0))))

        def _answer(self, body: bytes) -> None:
            secret = self.headers.get("authorization", "").partition(" ")[2]
            provider.note("bearer", secret)
            provider.read(body)
            echo = provider.take(urlsplit(self.path).path)
            if echo is not None:
                self._send(*_echoed(echo, f"{secret} {body.decode()}", secret or _token(body)))
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _DROPPED}
            answer = client.request(self.command, self.path, content=body, headers=headers)
            provider.read(answer.content)
            for name in ("code", "state"):
                for value in parse_qs(urlsplit(answer.headers.get("location", "")).query).get(name, ()):
                    provider.note(name, value)
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _ANSWER}
            self._send(answer.status_code, kept, answer.content)

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing: what passes here is secret."""

    return Handler


_ANSWER = _DROPPED | {"content-encoding"}


def _token(body: bytes) -> str:
    content = json.loads(body or b"{}")
    return next((str(content[name]) for name in SECRET_FIELDS if name in content), "")


def _echoed(echo: Echo, received: str, secret: str) -> tuple[int, dict[str, str], bytes]:
    """Return an answer that repeats what was received wherever an answer of this kind has room for it."""
    if echo.kind == "redirect":
        return echo.status, {"location": f"/elsewhere/{secret}?access_token={secret}"}, received.encode()
    if echo.kind == "html":
        page = f"<html><title>{secret}</title><pre>{received}</pre></html>"
        return echo.status, {"content-type": "text/html", "retry-after": secret}, page.encode()
    if echo.kind == "garbled":
        return echo.status, {"content-type": "application/json"}, f'{{"orders": "{secret}'.encode()
    error = {"category": secret, "code": secret, "detail": received, "field": secret}
    body = {"errors": [error], "message": received, "type": secret}
    return echo.status, {"content-type": "application/json", "x-echo": secret}, json.dumps(body).encode()
