"""The scheduler's own metrics, each with its meaning."""

from suppli_service_kit.metrics import counter, gauge

RUNS = counter("suppli_scheduler_runs_total", "Runs that ended, by kind and outcome.", ["kind", "outcome"])
SILENT_RUNS = counter(
    "suppli_scheduler_silent_runs_total", "Commands repeated because nothing was heard of the run."
)
DUE = gauge("suppli_scheduler_due", "Due times that have come and wait to be claimed.")
DUE_AGE = gauge("suppli_scheduler_due_oldest_seconds", "How long the oldest of them has waited (s).")
CLAIM_FAILURES = counter(
    "suppli_scheduler_claim_failures_total", "Due connections whose turn failed.", ["error"]
)
