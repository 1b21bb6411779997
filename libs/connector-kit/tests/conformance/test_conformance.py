"""The suite on the kit's own provider: a friendly one, whose connector is right."""

from __future__ import annotations

import pytest
from suppli_connector_kit.testing.conformance import CHECKS, Ability, Check
from suppli_connector_kit.testing.reference import ReferenceHarness


@pytest.mark.parametrize("check", CHECKS, ids=str)
async def test_the_reference_conforms(check: Check) -> None:
    await check(ReferenceHarness())


@pytest.mark.parametrize("check", [each for each in CHECKS if Ability.EXPIRY in each.needs], ids=str)
async def test_single_use_refresh_tokens_conform(check: Check) -> None:
    await check(ReferenceHarness(single_use=True))
