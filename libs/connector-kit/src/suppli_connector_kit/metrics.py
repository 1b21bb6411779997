"""What a connector measures, with each meaning. No label holds a tenant, a connection or an order."""

from __future__ import annotations

from suppli_service_kit.metrics import counter, gauge, histogram

RUNS = counter(
    "suppli_connector_runs_total", "Runs that ended here, by kind and outcome.", ["kind", "outcome"]
)
RUN_SECONDS = histogram(
    "suppli_connector_run_seconds",
    "How long a run was held here (s).",
    ["kind"],
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600),
)
RUNNING = gauge("suppli_connector_runs_active", "Runs that this process holds.")
TAKE_OVERS = counter("suppli_connector_take_overs_total", "Runs resumed after their holder was lost.")
LEASES_LOST = counter("suppli_connector_leases_lost_total", "Runs given up because the lease was lost.")
EMPTY_RUNS = counter(
    "suppli_connector_empty_runs_total", "Runs that found no sale, by what that is worth.", ["outcome"]
)
PAGES = counter("suppli_connector_pages_total", "Pages of orders recorded.")
ORDERS = counter("suppli_connector_orders_total", "Orders read, by what became of them.", ["outcome"])
ITEMS = counter("suppli_connector_items_total", "Catalog items that changed.")
PUBLISH_SECONDS = histogram(
    "suppli_connector_publish_seconds", "How long a page's sales took to be acknowledged (s)."
)
FRESHNESS = gauge(
    "suppli_connector_oldest_freshness_seconds",
    "Age of the newest covered instant of the scheduled connection that is furthest behind (s).",
)
STALE = gauge(
    "suppli_connector_stale_connections",
    "Connections further behind than their schedule allows: 3 intervals (30 min to 26 h), else 26 hours.",
)
CIRCUITS_OPEN = gauge(
    "suppli_connector_circuits_open", "Accounts whose provider is not asked now, as it kept failing."
)
CIRCUIT_CHANGES = counter(
    "suppli_connector_circuit_changes_total", "Circuits that changed, by what to.", ["to"]
)
CALLS_REFUSED = counter("suppli_connector_calls_refused_total", "Calls not made because a circuit was open.")
BUDGET_SECONDS = histogram(
    "suppli_connector_budget_wait_seconds", "How long a call waited for its share of the budget (s)."
)
SHARES = counter(
    "suppli_connector_budget_shares_total", "Shares of budgets asked for, by outcome.", ["outcome"]
)
REFRESHES = counter("suppli_connector_token_refreshes_total", "Token refreshes, by outcome.", ["outcome"])
EXPIRING = gauge(
    "suppli_connector_tokens_near_expiry",
    "Connections whose access token ends within a day, refresh overdue.",
)
REVOCATIONS = counter(
    "suppli_connector_revocations_total", "Attempts to withdraw our access, by outcome.", ["outcome"]
)
DROPPED = counter(
    "suppli_connector_dropped_messages_total", "Messages of erased or unknown connections.", ["reason"]
)
