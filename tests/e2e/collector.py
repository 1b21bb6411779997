"""A collector of traces on the loopback address: keeps what services send by OTLP over HTTP."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What has arrived; `url` is the endpoint to give to services."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._bodies: list[bytes] = []
        self._lock = threading.Lock()

    def keep(self, body: bytes) -> None:
        """Take one export as it was sent."""
        with self._lock:
            self._bodies.append(body)

    def places(self) -> Iterator[tuple[str, bytes]]:
        """Yield every export, as sent: the strings of a protobuf message lie open in its bytes."""
        with self._lock:
            yield from [(f"export {number}", body) for number, body in enumerate(self._bodies)]

    def environment(self) -> dict[str, str]:
        """Return what makes a service send every trace here, soon."""
        return {
            "SUPPLI_OTEL_ENDPOINT": self.url,
            "SUPPLI_OTEL_SAMPLE_RATIO": "1",
            "OTEL_BSP_SCHEDULE_DELAY": "300",
        }

    def by_id(self) -> dict[str, tuple[str, Span]]:
        """Return every span with the service that sent it, by `<trace>-<span>` as in a `traceparent`."""
        found: dict[str, tuple[str, Span]] = {}
        for _, body in self.places():
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
                for span in (span for scope in resource.scope_spans for span in scope.spans):
                    found[f"{span.trace_id.hex()}-{span.span_id.hex()}"] = attributes["service.name"], span
        return found

    def spans(self) -> dict[str, set[str]]:
        """Return the names of the spans of each service."""
        found: dict[str, set[str]] = {}
        for _, body in self.places():
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
                names = found.setdefault(attributes.get("service.name", ""), set())
                names.update(span.name for scope in resource.scope_spans for span in scope.spans)
        return found


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass = _handler(collector)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.keep(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing: a test's output is for its failures."""

    return Handler
