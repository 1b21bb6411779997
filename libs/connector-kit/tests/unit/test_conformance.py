"""The suite on the kit's own provider: a friendly one, whose connector is right."""

from __future__ import annotations

import pytest
from suppli_connector_kit.testing.conformance import CHECKS, Check
from suppli_connector_kit.testing.reference import ReferenceHarness


@pytest.mark.parametrize("check", CHECKS, ids=str)
async def test_the_reference_conforms(check: Check) -> None:
    await check(ReferenceHarness())
