"""How Square is asked."""

from __future__ import annotations

from suppli_connector_kit.client import Budget, ProviderClient

from suppli_connector_square.adapters.faults import failure
from suppli_connector_square.manifest import MANIFEST, SQUARE_VERSION


def square_client(
    base_url: str, *, version: str = SQUARE_VERSION, budget: Budget | None = None
) -> ProviderClient:
    """Return a client that names the API version with every call."""
    headers = {"Square-Version": version}
    return ProviderClient(base_url, name=MANIFEST.name, failure=failure, headers=headers, budget=budget)
