"""What all events have in common."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Self
from uuid import UUID

import msgspec

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A point in time with its zone, UTC by convention; one without a zone is refused."""


class OpenEnum(StrEnum):
    """An enumeration that grows: a value that this version does not know reads as `unknown`."""

    @classmethod
    def _missing_(cls, value: object) -> Self:
        return cls("unknown")


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A value inside an event. Fields left at their default are not written.

    Values are never part of a cycle, so the garbage collector need not look at them.
    """


class Event(Part, frozen=True, kw_only=True):
    """A message on a topic. Unknown fields are ignored, so writers and readers deploy in any order.

    Attributes:
        tenant_id: whose data it is.
    """

    event_type: ClassVar[str]

    tenant_id: UUID

    def topic_key(self) -> str:
        """Return the Kafka key: what must stay in order, or what is compacted."""
        raise TypeError(f"{type(self).__name__} has no topic key")
