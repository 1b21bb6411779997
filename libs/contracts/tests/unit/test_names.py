"""Names decide which lines are one item."""

from __future__ import annotations

import pytest
from suppli_contracts.names import without_void_suffix


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("Burger (VOID)", "Burger"),
        ("Burger - Voided", "Burger"),
        ("Burger [void]", "Burger"),
        ("Burger VOID", "Burger"),
        ("Avoid", "Avoid"),
        ("Null and void", "Null and void"),
        ("(VOID)", "(VOID)"),
    ],
)
def test_void_suffix(name: str, clean: str) -> None:
    """A voided line must fall under its item, and no real name may lose its end."""
    assert without_void_suffix(name) == clean
