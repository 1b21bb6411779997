"""What a mutant is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from suppli_connector_kit.protocol import (
    OrderPage,
)
from suppli_connector_kit.testing.reference import ReferenceConnector
from suppli_connector_kit.testing.reference.connector import Order

Pages = AsyncIterator[OrderPage[Order]]


@dataclass(frozen=True)
class Mutant:
    """Something done wrong.

    Attributes:
        name: what.
        finds: all checks that fail on it.
        connector: the reference connector, or a wrong one.
        wrong: puts a part of the kit wrong while it is open.
    """

    name: str
    finds: tuple[str, ...]
    connector: type[ReferenceConnector] = ReferenceConnector
    wrong: Callable[[], AbstractContextManager[Any]] = nullcontext


def putting(target: Any, **wrong: Any) -> Callable[[], AbstractContextManager[Any]]:
    """Put attributes wrong."""

    @contextmanager
    def put() -> Any:
        with ExitStack() as stack:
            for name, value in wrong.items():
                stack.enter_context(patch.object(target, name, value))
            yield

    return put
