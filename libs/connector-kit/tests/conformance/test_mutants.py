"""The suite finds what it is for: each of its checks fails on a mutant of its own, and the others do not."""

from __future__ import annotations

import asyncio

import pytest
from suppli_connector_kit.testing.conformance import CHECKS, Check
from suppli_connector_kit.testing.reference import ReferenceHarness

from .mutants import MUTANTS, Mutant

PATIENCE_SECONDS = 60.0


async def fails(check: Check, mutant: Mutant) -> bool:
    """Return whether a check fails on a mutant; one that never ends does."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await check(ReferenceHarness(make=mutant.connector))
    except Exception:
        return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
async def test_a_mutant_fails_its_checks_alone(mutant: Mutant) -> None:
    """A check that fails on nothing protects nobody; one that fails on everything tells nobody where to look.

    Slow checks are tried on the mutants alone that they are for.
    """
    tried = [check for check in CHECKS if not check.slow or check.name in mutant.finds]
    with mutant.wrong():
        failed = await asyncio.gather(*(fails(check, mutant) for check in tried))
    found = {check.name for check, is_found in zip(tried, failed, strict=True) if is_found}
    assert found == set(mutant.finds)


def test_every_check_has_a_mutant() -> None:
    """A check without one may be a check that cannot fail."""
    assert {check.name for check in CHECKS} == {mutant.finds[0] for mutant in MUTANTS}
