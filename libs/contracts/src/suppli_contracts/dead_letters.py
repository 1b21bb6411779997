"""What a dead letter says of its fault, in headers beside the original ones. Key and value stay as they were.

The names are Kafka Connect's, which tools know (KIP-298), with two of our own: `stage` and `field`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PREFIX = "__connect.errors."

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "topic": "where the message was read",
        "partition": "its partition there",
        "offset": "its offset there",
        "connector.name": "the consumer group that set it aside",
        "task.id": "the process that did",
        "stage": "`decode` (its form is wrong) or `handle` (its content is)",
        "class.name": "the consumer group again",
        "exception.class.name": "the kind of fault",
        "exception.message": "the reason, without secrets, at most 1 KB",
        "exception.stacktrace": "files and lines, no data",
        "field": "the JSON path of the value at fault, where known",
    }
)
"""Every header's name after the prefix, and what it says."""

OPTIONAL = frozenset({"field"})


def replay_group(group: str) -> str:
    """Return the group that keeps how far the dead letters of `group` were fed in again."""
    return f"{group}.replay"
