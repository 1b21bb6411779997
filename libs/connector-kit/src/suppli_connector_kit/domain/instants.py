"""Instants as integers: microseconds since 1970 UTC, exact and cheap to compare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
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
