"""Kafka messages as the kit passes them: bytes out, bytes in, nothing decoded before somebody asks."""

from __future__ import annotations

import msgspec
from suppli_contracts.envelope import Envelope

Header = tuple[str, bytes]


class OutMessage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One message to be published.

    Attributes:
        topic: where to.
        key: what keeps its order; decides the partition. None only for a dead letter whose message had none.
        value: the body; None is a tombstone, which deletes the key from a compacted topic.
        headers: in order, e.g. those of `Envelope.headers()`.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()


class InMessage(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One message as it was read.

    Attributes:
        topic: where it was read.
        partition: of that topic.
        offset: in that partition.
        key: None where the writer gave none.
        value: None is a tombstone.
        headers: decoded as UTF-8, wrong bytes replaced, a null value as ""; of a repeated name the last
            counts.
        timestamp_ms: when it was written, in milliseconds since 1970 (UTC).
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]
    timestamp_ms: int

    @property
    def envelope(self) -> Envelope:
        """The CloudEvents attributes.

        Raises:
            suppli_contracts.errors.BadEnvelope: the headers are not those of an event.
        """
        return Envelope.from_headers(self.headers)
