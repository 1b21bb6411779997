"""Prometheus metrics: one registry for the process, and every metric of the kit with its meaning in one
place.

A label never holds a tenant, a key or an id: the number of series stays small.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

DEFINITIONS: dict[str, tuple[str, tuple[str, ...], str]] = {}
"""Name to (kind, labels, meaning) of every metric defined through this module."""

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def counter(name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
    """Define a number that only grows; `name` ends in `_total`."""
    _define(name, "counter", labels, meaning)
    return Counter(name, meaning, labels, registry=REGISTRY)


def gauge(name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
    """Define a number that goes up and down."""
    _define(name, "gauge", labels, meaning)
    return Gauge(name, meaning, labels, registry=REGISTRY)


def histogram(
    name: str, meaning: str, labels: Sequence[str] = (), buckets: Sequence[float] = _SECONDS
) -> Histogram:
    """Define a distribution, by default of seconds."""
    _define(name, "histogram", labels, meaning)
    return Histogram(name, meaning, labels, registry=REGISTRY, buckets=buckets)


def metrics_response() -> bytes:
    """Return all metrics in Prometheus' text format; serve them with `CONTENT_TYPE`."""
    return generate_latest(REGISTRY)


def metrics_table() -> str:
    """Return a Markdown table of the metrics: name, kind, labels, meaning."""
    rows = [
        f"| `{name}` | {kind} | {', '.join(labels) or '-'} | {meaning} |"
        for name, (kind, labels, meaning) in sorted(DEFINITIONS.items())
    ]
    return "\n".join(["| metric | kind | labels | meaning |", "| --- | --- | --- | --- |", *rows])


def _define(name: str, kind: str, labels: Sequence[str], meaning: str) -> None:
    DEFINITIONS[name] = (kind, tuple(labels), meaning)


# --- Kafka
CONSUMED = counter("suppli_consumed_messages_total", "Messages whose effect is durable.", ["topic", "group"])
BATCH_SECONDS = histogram(
    "suppli_batch_seconds", "How long a batch took until its effect was durable.", ["group"]
)
DEAD_LETTERS = counter(
    "suppli_dead_letters_total", "Messages set aside because their data is wrong.", ["topic", "group"]
)
CONSUMER_RETRIES = counter(
    "suppli_consumer_retries_total", "Batches put back after a transient failure.", ["group", "error"]
)
LOST_COMMITS = counter(
    "suppli_lost_commits_total",
    "Offsets not committed because partitions moved; messages come again.",
    ["group"],
)
PUBLISHED = counter(
    "suppli_published_messages_total", "Messages acknowledged by all in-sync replicas.", ["topic"]
)
PUBLISH_FAILURES = counter(
    "suppli_publish_failures_total", "Publish calls that were not acknowledged.", ["error"]
)
PRODUCER_RESTARTS = counter("suppli_producer_restarts_total", "Producers replaced after a failure.")
LAG_NAME = "suppli_consumer_lag_messages"
_define(LAG_NAME, "gauge", ["topic", "partition", "group"], "Messages of an assigned partition not yet done.")

# --- Outbox
OUTBOX_MESSAGES = gauge(
    "suppli_outbox_messages", "Messages waiting in the outbox (seen by the active relay)."
)
OUTBOX_AGE = gauge("suppli_outbox_oldest_seconds", "Age of the oldest waiting outbox row (s).")
OUTBOX_ACTIVE = gauge(
    "suppli_outbox_relay_active", "1 where this process's relay is the active one of its database."
)
OUTBOX_FAILURES = counter(
    "suppli_outbox_failures_total", "Relay rounds that failed and were repeated.", ["error"]
)

DIRECT = counter(
    "suppli_direct_messages_total",
    "Messages published from memory after their commit, or left to the relay.",
    ["outcome"],
)

# --- Outgoing calls
HTTP_CALLS = counter(
    "suppli_http_client_calls_total", "Outgoing HTTP calls, each attempt.", ["client", "status"]
)
HTTP_SECONDS = histogram("suppli_http_client_seconds", "How long an outgoing attempt took.", ["client"])
VAULT_CALLS = counter("suppli_vault_calls_total", "Calls to Vault.", ["operation", "outcome"])

# --- Process
LOOP_LAG = gauge("suppli_event_loop_lag_seconds", "How late the event loop turned at the last look (s).")
CHECK_OK = gauge("suppli_check_ok", "1 where a health check passed at the last look.", ["check"])
