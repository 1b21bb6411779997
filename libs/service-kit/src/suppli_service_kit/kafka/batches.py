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
            await _divide(list(messages), error, handler, streak, outcome)
        except Exception as later:
            outcome.transient = later
    except Exception as error:
        outcome.transient = error
    return outcome


async def _attempt(
    messages: list[InMessage], handler: BatchHandler, streak: Streak, outcome: Outcome
) -> None:
    if not messages:
        return
    try:
        await handler(messages)
    except PERMANENT as error:
        await _divide(messages, error, handler, streak, outcome)
    else:
        streak.good()
        outcome.settled.update(map(_position, messages))


async def _divide(
    messages: list[InMessage], error: BaseException, handler: BatchHandler, streak: Streak, outcome: Outcome
) -> None:
    named = error.message if isinstance(error, BadMessage) else None
    index = _index(messages, named)
    if index is not None:
        # What comes before keeps its turn: the named message is settled only after it.
        await _attempt(messages[:index], handler, streak, outcome)
        _set_aside(messages[index], error, streak, outcome)
        await _attempt(messages[index + 1 :], handler, streak, outcome)
    elif len(messages) > 1:
        middle = len(messages) // 2
        await _attempt(messages[:middle], handler, streak, outcome)
        await _attempt(messages[middle:], handler, streak, outcome)
    elif isinstance(error, _MAY_BE_A_RACE) and await _second_chance(messages, handler, streak, outcome):
        return
    else:
        _set_aside(messages[0], error, streak, outcome)


async def _second_chance(
    messages: list[InMessage], handler: BatchHandler, streak: Streak, outcome: Outcome
) -> bool:
    try:
        await handler(messages)
    except PERMANENT:
        return False
    streak.good()
    outcome.settled.update(map(_position, messages))
    return True


def _set_aside(message: InMessage, error: BaseException, streak: Streak, outcome: Outcome) -> None:
    streak.bad(error)
    outcome.bad.append((message, error))
    outcome.settled.add(_position(message))


def _position(message: InMessage) -> tuple[str, int, int]:
    return message.topic, message.partition, message.offset


def _index(messages: list[InMessage], wanted: InMessage | None) -> int | None:
    return next((index for index, message in enumerate(messages) if message is wanted), None)
