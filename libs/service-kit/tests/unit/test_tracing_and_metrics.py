"""Traces continue over process borders, metrics are listed, and importing stays light."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from suppli_service_kit import metrics, tracing
from suppli_service_kit.settings import TelemetrySettings

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_spans_continue_a_trace_and_link_its_causes() -> None:
    """Support follows one sale from the provider's page to the ledger by its trace."""
    provider = tracing.configure_tracing("sample", TelemetrySettings())
    exporter = InMemorySpanExporter()
    active = trace.get_tracer_provider()
    assert isinstance(active, TracerProvider)
    active.add_span_processor(SimpleSpanProcessor(exporter))
    with tracing.span("outer", PARENT, topic="t"):
        inside = tracing.current_traceparent()
    assert inside is not None
    assert inside.split("-")[1] == PARENT.split("-")[1]
    assert inside.split("-")[2] != PARENT.split("-")[2]
    with tracing.span("batch", links=[PARENT, PARENT, "nonsense"]):
        assert tracing.current_traceparent() is not None
    assert tracing.current_traceparent() is None
    with tracing.span("linked", PARENT, links=[inside, inside, "nonsense"]):
        pass
    linked = next(each for each in exporter.get_finished_spans() if each.name == "linked")
    assert len(linked.links) == 1
    provider.shutdown()


def test_what_a_batch_makes_of_a_message_stays_in_the_messages_trace() -> None:
    """From a product sale nobody would find its page, where many pages came in one batch."""
    exporter = InMemorySpanExporter()
    active = trace.get_tracer_provider()
    assert isinstance(active, TracerProvider)
    active.add_span_processor(SimpleSpanProcessor(exporter))
    other, sampled = (PARENT.replace("0af7651916cd43dd", f"{n}af7651916cd43dd") for n in (1, 2))
    with tracing.span("batch", sampled, links=[PARENT, other]):
        batch = tracing.current_traceparent()
        with tracing.branches("map", [PARENT, other, PARENT, None, "nonsense"]) as sent_on:
            assert sent_on[None] == sent_on["nonsense"] == sent_on["never seen"] == batch
            sent = {cause: sent_on[cause] for cause in (PARENT, other)}
    spans = {f"{each.context.span_id:016x}": each for each in exporter.get_finished_spans() if each.context}
    assert len(spans) == 3
    for cause, traceparent in sent.items():
        assert traceparent is not None
        _, trace_id, span_id, _ = traceparent.split("-")
        assert trace_id == cause.split("-")[1]
        branch = spans[span_id]
        assert branch.parent is not None
        assert f"{branch.parent.span_id:016x}" == cause.split("-")[2]
        assert [f"{link.context.span_id:016x}" for link in branch.links] == [(batch or "").split("-")[2]]


def test_a_failed_span_says_what_kind_of_error_and_none_of_its_text() -> None:
    """An error's text may hold a token or a name, and a trace goes to where no redaction looks."""
    exporter = InMemorySpanExporter()
    active = trace.get_tracer_provider()
    assert isinstance(active, TracerProvider)
    active.add_span_processor(SimpleSpanProcessor(exporter))
    with pytest.raises(ValueError, match="secret"), tracing.span("work", PARENT):
        raise ValueError("the secret is hunter2")
    (failed,) = exporter.get_finished_spans()
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "ValueError")
    assert "hunter2" not in failed.to_json()


def test_every_metric_has_a_meaning_and_no_label_is_an_identity() -> None:
    """Labels by tenant or key would grow without end and leak who our customers are."""
    table = metrics.metrics_table()
    for name, (_, labels, meaning) in metrics.DEFINITIONS.items():
        assert name in table
        assert meaning.endswith((".", ")"))
        assert not set(labels) & {"tenant", "key", "id", "connection"}


def test_importing_the_process_stays_light() -> None:
    """Ten services share a small machine: what a service does not use must not be loaded."""
    code = (
        "import sys, suppli_service_kit.service;"
        "print([m for m in ('hvac', 'alembic', 'opentelemetry.exporter', 'requests') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", done.stdout
