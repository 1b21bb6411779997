"""Working through one batch: halving it where the data is wrong, until each bad message stands alone.

Pure of Kafka: what is done, bad or not yet done is kept by position, and the caller commits and publishes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import psycopg.errors
import sqlalchemy.exc
from suppli_contracts.errors import ContractError

from suppli_service_kit.kafka.messages import InMessage
from suppli_service_kit.kafka.producer import MessageTooLarge

BatchHandler = Callable[[Sequence[InMessage]], Awaitable[None]]
"""Takes a batch; its effect, all or none, is durable when it returns. Idempotent: batches come again."""

MAX_CONSECUTIVE_BAD = 50


class BadMessage(Exception):
    """The data of a message is wrong for good; trying again will not help.

    Attributes:
        message: which one, where known: it alone is set aside then, without halving the batch.
        field: path of the wrong value, e.g. `$.lines[2].quantity`, where known.
    """

    def __init__(self, reason: str, message: InMessage | None = None, field: str | None = None) -> None:
        super().__init__(reason)
        self.message = message
        self.field = field


class TooManyBad(Exception):
    """So many messages in a row are refused that the code is to be suspected, not the data."""


PERMANENT: tuple[type[BaseException], ...] = (
    BadMessage,
    ContractError,
    MessageTooLarge,
    msgspec.DecodeError,  # includes ValidationError
    psycopg.errors.DataError,
    psycopg.errors.IntegrityError,
    sqlalchemy.exc.DataError,
    sqlalchemy.exc.IntegrityError,
)
# Two writers may have met: alone and again, it may go through.
_MAY_BE_A_RACE = (psycopg.errors.IntegrityError, sqlalchemy.exc.IntegrityError)


@dataclass
class Outcome:
    """What has become of a batch so far.

    Attributes:
        settled: (topic, partition, offset) of messages whose effect is durable or that are bad; not filled
            where the whole batch went through at once.
        bad: the bad ones, with what is wrong, in order.
        transient: why the rest could not be done now, None when all is settled.
    """

    settled: set[tuple[str, int, int]] = field(default_factory=set)
    bad: list[tuple[InMessage, BaseException]] = field(default_factory=list)
    transient: BaseException | None = None


class Streak:
    """How many messages in a row were bad, over batches."""

    def __init__(self, limit: int = MAX_CONSECUTIVE_BAD) -> None:
        self._limit = limit
        self.length = 0

    def good(self) -> None:
        """A message went through."""
        self.length = 0

    def bad(self, error: BaseException) -> None:
        """A message is bad; raises `TooManyBad` when that is no longer believable."""
        if self.length >= self._limit:
            raise TooManyBad(
                f"{self.length} messages in a row were refused, last: {type(error).__name__}"
            ) from error
        self.length += 1


async def work_through(messages: Sequence[InMessage], handler: BatchHandler, streak: Streak) -> Outcome:
    """Hand `messages` to `handler`, whole where possible, in order; never raises what the handler raises."""
    outcome = Outcome()
    try:
        await handler(messages)
        streak.good()
    except PERMANENT as error:
        try:
            await _in_parts(_divided(_Part(list(messages)), error), handler, streak, outcome)
        except Exception as later:
            outcome.transient = later
    except Exception as error:
        outcome.transient = error
    return outcome


@dataclass(frozen=True)
class _Part:
    """Messages to be tried together; `again` = a single one that gets its second chance."""

    messages: list[InMessage]
    again: bool = False


@dataclass(frozen=True)
class _Bad:
    """A message found to be bad, at its place in the order."""

    message: InMessage
    error: BaseException


async def _in_parts(
    parts: list[_Part | _Bad], handler: BatchHandler, streak: Streak, outcome: Outcome
) -> None:
    """Work through parts from left to right, dividing those that are refused. A stack: no depth limits it."""
    waiting = parts[::-1]
    while waiting:
        part = waiting.pop()
        if isinstance(part, _Bad):
            streak.bad(part.error)
            outcome.bad.append((part.message, part.error))
            outcome.settled.add(_position(part.message))
            continue
        try:
            await handler(part.messages)
        except PERMANENT as error:
            waiting.extend(reversed(_divided(part, error)))
        else:
            streak.good()
            outcome.settled.update(map(_position, part.messages))


def _divided(part: _Part, error: BaseException) -> list[_Part | _Bad]:
    """Return what a refused part becomes, in order."""
    messages = part.messages
    named = _index(messages, error.message if isinstance(error, BadMessage) else None)
    if len(messages) == 1:
        if isinstance(error, _MAY_BE_A_RACE) and not part.again:
            return [_Part(messages, again=True)]
        return [_Bad(messages[0], error)]
    if named is None:
        middle = len(messages) // 2
        return [_Part(messages[:middle]), _Part(messages[middle:])]
    around: list[_Part | _Bad] = [_Bad(messages[named], error)]
    if messages[:named]:
        around.insert(0, _Part(messages[:named]))
    if messages[named + 1 :]:
        around.append(_Part(messages[named + 1 :]))
    return around


def _position(message: InMessage) -> tuple[str, int, int]:
    return message.topic, message.partition, message.offset


def _index(messages: list[InMessage], wanted: InMessage | None) -> int | None:
    return next((index for index, message in enumerate(messages) if message is wanted), None)
