"""Text typed at a till: what could point to a person is removed before it goes anywhere."""

from __future__ import annotations

import re

_EMAIL = re.compile(r"[^\s@<>()\[\],;:]+@[^\s@<>()\[\],;:]+")
_PHONE = re.compile(r"\+?\(?\d(?:[\s().\-/]{0,2}\d){6,}")
_DIGITS = re.compile(r"\d{6,}")
_SPACE = re.compile(r"\s+")


def redact_text(text: str | None) -> str | None:
    """Return `text` without e-mail addresses, phone numbers and runs of six digits or more; None if
    nothing is left.
    """
    if not text:
        return None
    for pattern in (_EMAIL, _PHONE, _DIGITS):
        text = pattern.sub(" ", text)
    return _SPACE.sub(" ", text).strip(" -,;:") or None
