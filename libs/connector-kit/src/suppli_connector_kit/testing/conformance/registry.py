"""The list of checks: each a function over a fresh world, with what it needs of a provider."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from suppli_connector_kit.testing.conformance.harness import Ability, ProviderHarness

Body = Callable[[ProviderHarness], Awaitable[None]]

CHECKS: list[Check] = []
"""Every check, in the sequence of their definition."""


@dataclass(frozen=True)
class Check:
    """One thing that every connector must be right about.

    Attributes:
        name: what holds when it passes.
        harm: what a shop would lose.
        needs: what the provider must be able to do.
        slow: whether it is about time or many repeats: the suite's own test leaves it out where it can.
    """

    name: str
    harm: str
    needs: tuple[Ability, ...]
    slow: bool
    body: Body

    async def __call__(self, harness: ProviderHarness) -> None:
        """Do it; raises `AssertionError` where it does not hold, skips what the provider cannot do."""
        for ability in self.needs:
            if ability in harness.facts.cannot:
                pytest.skip(f"needs {ability.value}, but {harness.facts.cannot[ability]}")
        await self.body(harness)

    def __str__(self) -> str:
        return self.name


def check(name: str, *needs: Ability, slow: bool = False) -> Callable[[Body], Body]:
    """Add a function to the list; its docstring is the harm. May be applied more than once."""

    def add(body: Body) -> Body:
        if any(each.name == name for each in CHECKS):
            raise ValueError(f"there are two checks named {name!r}")
        CHECKS.append(Check(name, (body.__doc__ or "").strip(), needs, slow, body))
        return body

    return add
