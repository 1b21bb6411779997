"""Keeps secrets out of what is written: by the name of a field, and by the shape of a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[hidden]"

# A field whose name has one of these words hides its value, whatever it is.
_SECRET_WORDS = frozenset(
    {"token", "tokens", "secret", "secrets", "authorization", "password", "passwd", "passphrase", "cookie"}
    | {"cookies", "credential", "credentials", "apikey", "jwt", "bearer", "pin", "cvv", "pan"}
)
_SECRET_PHRASES = ("api_key", "private_key", "access_key", "signing_key", "secret_id", "dsn", "database_url")
# Whole names only: "status_code" and "state" are ordinary elsewhere.
_SECRET_NAMES = frozenset({"code", "auth_code", "authorization_code", "code_verifier", "state_token"})
_ORDINARY_NAMES = frozenset({"token_type", "token_ttl_seconds", "tokens_left", "secret_version"})

_SHAPES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # JWT: three base64url parts, the first a JSON object.
        (r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*", HIDDEN),
        (r"(?i)\b(bearer|basic)\s+[\w\-.~+/=]{6,}", rf"\1 {HIDDEN}"),
        # Vault and OpenBao tokens; access tokens, refresh tokens and application secrets of a provider.
        (r"\b(?:hv[sbr]|[sbr])\.[A-Za-z0-9_-]{20,}", HIDDEN),
        (r"\b(?:EAAA|EQAA|sq0[a-z]{3}-|sandbox-sq0[a-z]{3}-)[\w-]{16,}", HIDDEN),
        # Service keys of our own public API; their public beginning tells which one it was.
        (r"\b(suppli_sk_(?:[0-9a-f]{8}_)?)[\w-]{16,}", rf"\1{HIDDEN}"),
        # The password of a URL: scheme://user:password@host.
        (r"(?i)\b([a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s@/]+@", rf"\1:{HIDDEN}@"),
        # name=value, "name": "value", also inside exception texts and query strings.
        (
            r"(?i)([\"']?\b[\w-]*(?:token|secret|password|passwd|api_?key|cookie|credential|secret_id)\b[\"']?"
            r"\s*[=:]\s*)([\"']?)[^\s\"'&,;)}\]]{4,}\2",
            rf"\1\2{HIDDEN}\2",
        ),
        (r"(?i)([?&](?:code|state|access_token|refresh_token|client_secret)=)[^&\s\"']+", rf"\1{HIDDEN}"),
        (r"(?i)([\"'](?:code|code_verifier)[\"']\s*:\s*)([\"'])[^\"']+\2", rf"\1\2{HIDDEN}\2"),
    )
)
# Cheap first look: a text without any of these can match none of the shapes above.
_SUSPICIOUS = re.compile(
    r"(?i)eyJ|bearer|basic|hv[sbr]\.|\b[sbr]\.[a-z0-9]|EAAA|EQAA|sq0|suppli_sk_|://|token|secret|passw|api_?key|cookie|credential|code"
)
_MAX_DEPTH = 12


def is_secret_name(name: str) -> bool:
    """Return whether a field of this name holds a secret."""
    lowered = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
    if lowered in _ORDINARY_NAMES:
        return False
    if lowered in _SECRET_NAMES or any(phrase in lowered for phrase in _SECRET_PHRASES):
        return True
    return not _SECRET_WORDS.isdisjoint(lowered.split("_"))


def redact_text(text: str) -> str:
    """Return `text` with everything that looks like a secret replaced."""
    if _SUSPICIOUS.search(text) is None:
        return text
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


def redact(value: Any, depth: int = 0) -> Any:
    """Return `value` with secrets replaced, nested ones too; objects of other kinds as redacted text."""
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if depth >= _MAX_DEPTH:
        return "[too deep]"
    if isinstance(value, Mapping):
        return {
            str(key): HIDDEN if _hides(str(key), item) else redact(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact(item, depth + 1) for item in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"[{len(value)} bytes]"
    return redact_text(str(value))


def _hides(name: str, value: Any) -> bool:
    """A secret's name hides any value but None, a flag and "", which only say whether it is there."""
    return value is not None and value != "" and not isinstance(value, bool) and is_secret_name(name)
