"""What Square is and what we ask of it: the one place where these facts stand."""

from suppli_contracts.internal import Manifest, Scope

SQUARE_VERSION = "2025-08-20"
"""The API version that every call names; later ones only add fields to what is read here."""

MANIFEST = Manifest(
    provider="square",
    name="Square",
    auth="oauth",
    environments=("production", "sandbox"),
    scopes=(
        Scope(name="ORDERS_READ", reason="to read your sales, returns and refunds, item by item"),
        Scope(name="MERCHANT_PROFILE_READ", reason="to list your locations with their time zones"),
        Scope(name="ITEMS_READ", reason="to match what you sell with products, by SKU or barcode"),
    ),
    refresh_tokens="reusable",  # with the client secret; PKCE would make them single-use
    account_hosts=("connect.squareup.com", "connect.squareupsandbox.com"),
    lateness_hours=72,  # offline payments reach Square up to 72 h late
    page_size=1000,
)
