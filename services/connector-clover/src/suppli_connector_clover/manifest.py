"""What Clover is and what we ask of it: the one place where these facts stand."""

from suppli_connector_kit.domain.instants import DAY_US, SECOND_US
from suppli_contracts.internal import CredentialField, Manifest, Scope

MOST_DAYS_US = 80 * DAY_US
"""A longer time window is silently cut to its last 90 days."""
STEP_US = SECOND_US // 1000
NESTED_CAP = 100
"""A nested list ends here, and nothing says so."""

MANIFEST = Manifest(
    provider="clover",
    name="Clover",
    auth="oauth",
    environments=("production", "sandbox"),
    scopes=(
        Scope(name="Read merchant", reason="to show your shop's name, currency and time zone"),
        Scope(name="Read orders", reason="to read your sales, item by item"),
        Scope(name="Read payments", reason="to know which orders were paid, refunded and taxed"),
        Scope(name="Read inventory", reason="to match what you sell with products, by SKU"),
    ),
    refresh_tokens="single_use",
    account_hosts=(
        "api.clover.com",
        "api.eu.clover.com",
        "api.la.clover.com",
        "apisandbox.dev.clover.com",
    ),
    lateness_hours=72,  # devices that were offline upload later; Clover states no limit
    page_size=1000,
    credentials=(
        CredentialField(name="merchant_id", label="Merchant ID"),
        CredentialField(name="token", label="API token with read permissions", secret=True),
    ),
    account_parameter="merchant_id",
    requests_in_flight=5,
    application_requests_in_flight=10,
    # Clover allows 50 a second: after a pause twice as many come, the network brings some together
    application_requests_per_second=23,
)
