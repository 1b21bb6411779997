"""Instants as integers: microseconds since 1970 UTC, exact and cheap to compare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND_US = 1_000
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US


def to_us(at: datetime) -> int:
    """Return an aware instant as microseconds since 1970 UTC."""
    return (at - EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    """Return the aware UTC instant of so many microseconds since 1970."""
    return EPOCH + timedelta(microseconds=us)


def instant(text: str) -> datetime:
    """Return an RFC 3339 instant with 0 to 9 fraction digits, to the microsecond.

    Raises:
        ValueError: it is none, or has no zone.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("an instant without a zone")
    return at


def to_text(at: datetime, *, up: bool = False) -> str:
    """Return an instant in whole milliseconds, as providers write them: `2026-03-08T06:58:01.123Z`.

    Args:
        at: aware instant.
        up: round up, so that an end cuts nothing off; else down.
    """
    us = to_us(at)
    milliseconds = -(-us // _MILLISECOND_US) if up else us // _MILLISECOND_US
    whole = from_us(milliseconds * _MILLISECOND_US)
    return whole.isoformat(timespec="milliseconds").replace("+00:00", "Z")
