"""What files are, as a way in."""

from __future__ import annotations

from suppli_contracts.internal import Manifest

PROVIDER = "upload"
TILL = "till"
"""The external location of every sale: a connection of this provider is one till."""

MANIFEST = Manifest(
    provider=PROVIDER,
    name="Files",
    auth="file",
    environments=("production",),
    scopes=(),
    refresh_tokens="reusable",
    lateness_hours=0,
)


class Files:
    """What deployment knows this connector by."""

    manifest = MANIFEST
