"""Names of items, as keys are made of them: everybody who makes one must make the same."""

from __future__ import annotations

import re

# "Burger (VOID)", "Burger - Voided", "Burger [void]", "Burger VOID"; never the end of a word such as "Avoid".
_VOID = re.compile(
    r"\s*(?:\(\s*void(?:ed)?\s*\)|\[\s*void(?:ed)?\s*\]|[-–—:*]\s*void(?:ed)?)\s*$|\s+VOID(?:ED)?\s*$",
    re.IGNORECASE,
)
_VOID_WORD = re.compile(r"\s+VOID(?:ED)?\s*$")


def without_void_suffix(name: str) -> str:
    """Return a name trimmed and without what tills append to voided lines; a name that is only that stays."""
    trimmed = name.strip()
    match = _VOID.search(trimmed)
    if match is None:
        return trimmed
    marked = match.group().strip()
    # A bare word counts only in capitals: "Null and void" is a name.
    if marked.isalpha() and _VOID_WORD.search(trimmed) is None:
        return trimmed
    return trimmed[: match.start()].strip() or trimmed
