"""The checks by what they are about; importing this registers them all."""

from suppli_connector_kit.testing.conformance.checks import (
    changes,
    failures,
    limits,
    reading,
    times,
    tokens,
)

__all__ = ["changes", "failures", "limits", "reading", "times", "tokens"]
