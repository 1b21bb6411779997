"""Traces that continue through HTTP and Kafka (W3C `traceparent`), sent by OTLP where a collector is set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from suppli_service_kit.settings import TelemetrySettings

_PROPAGATOR = TraceContextTextMapPropagator()
_TRACER_NAME = "suppli"
MAX_LINKS = 32  # a batch names at most so many distinct causes


def configure_tracing(service: str, settings: TelemetrySettings) -> TracerProvider:
    """Start recording traces of this process; without an endpoint they are passed on but sent nowhere.

    Args:
        service: the `service.name` of every span.
        settings: where to send, and which share of new traces is recorded (a caller's decision is kept).
    """
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: service}),
        sampler=ParentBasedTraceIdRatio(settings.sample_ratio),
    )
    if settings.endpoint is not None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = OTLPSpanExporter(f"{settings.endpoint.rstrip('/')}/v1/traces", timeout=5)
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


def current_traceparent() -> str | None:
    """Return the `traceparent` of the work being done now, None outside of any trace."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def span(
    name: str,
    traceparent: str | None = None,
    *,
    links: Iterable[str] = (),
    kind: SpanKind = SpanKind.INTERNAL,
    **attributes: Any,
) -> Iterator[Span]:
    """Do the work inside as one span; an exception marks it as failed, by its kind alone, and goes on.

    Args:
        name: what is done, a constant, e.g. `fetch page`.
        traceparent: continue this trace; None = the one going on here, or a new one.
        links: traceparents of work that caused this without being its parent, e.g. of a batch's messages.
        kind: what part of a call it is.
        attributes: facts to search by; never secrets or personal data.
    """
    tracer = trace.get_tracer(_TRACER_NAME)
    context = None if traceparent is None else _context(traceparent)
    with tracer.start_as_current_span(
        name,
        context=context,
        kind=kind,
        links=_links(links),
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,  # it would send the exception's text, and nothing redacts a trace
    ) as current:
        try:
            yield current
        except Exception as error:
            current.set_status(StatusCode.ERROR, type(error).__name__)
            raise


@contextmanager
def branches(name: str, traceparents: Iterable[str | None]) -> Iterator[dict[str | None, str | None]]:
    """Continue several traces by the work inside: each gets a span of its own, linked with the one going on.

    So what a batch makes of a message stays in that message's trace, though the batch has many causes.

    Args:
        name: what is done, a constant.
        traceparents: of the causes, repeats and None included.

    Yields:
        Which `traceparent` to send on for each cause; the one going on here for None, for one that is no
        traceparent, and for causes beyond `MAX_LINKS`.
    """
    here = trace.get_current_span().get_span_context()
    links = [Link(here)] if here.is_valid else []
    sent_on: dict[str | None, str | None] = defaultdict(current_traceparent)
    spans: list[Span] = []
    for cause in dict.fromkeys(traceparents):
        if cause is None or len(spans) == MAX_LINKS:
            continue
        context = _context(cause)
        if trace.get_current_span(context).get_span_context().is_valid:
            spans.append(
                trace.get_tracer(_TRACER_NAME).start_span(
                    name, context=context, kind=SpanKind.CONSUMER, links=links
                )
            )
            carrier: dict[str, str] = {}
            _PROPAGATOR.inject(carrier, trace.set_span_in_context(spans[-1]))
            sent_on[cause] = carrier.get("traceparent")
    try:
        yield sent_on
    finally:
        for each in spans:
            each.end()


def _context(traceparent: str) -> Context:
    return _PROPAGATOR.extract({"traceparent": traceparent})


def _links(traceparents: Iterable[str]) -> list[Link]:
    links: list[Link] = []
    seen: set[str] = set()
    for traceparent in traceparents:
        if traceparent in seen:
            continue
        seen.add(traceparent)
        context = trace.get_current_span(_context(traceparent)).get_span_context()
        if context.is_valid:
            links.append(Link(context))
        if len(links) == MAX_LINKS:
            break
    return links
