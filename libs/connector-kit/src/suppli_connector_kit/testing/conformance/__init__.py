"""The conformance suite: what every connector must be right about, against its provider's local stand-in.

A connector's tests are one function; what fails of it is the list of what is left to do:

    @pytest.mark.parametrize("check", CHECKS, ids=str)
    async def test_conforms(check: Check, harness: ProviderHarness) -> None:
        await check(harness)
"""

# ruff: noqa: E402 - said before they are imported

import pytest

pytest.register_assert_rewrite(f"{__name__}.checks", f"{__name__}.world")

from suppli_connector_kit.testing.conformance import checks as checks
from suppli_connector_kit.testing.conformance.harness import Ability as Ability
from suppli_connector_kit.testing.conformance.harness import Facts as Facts
from suppli_connector_kit.testing.conformance.harness import Fault as Fault
from suppli_connector_kit.testing.conformance.harness import Odd as Odd
from suppli_connector_kit.testing.conformance.harness import ProviderHarness as ProviderHarness
from suppli_connector_kit.testing.conformance.harness import Rates as Rates
from suppli_connector_kit.testing.conformance.harness import ShopLine as ShopLine
from suppli_connector_kit.testing.conformance.harness import ShopOrder as ShopOrder
from suppli_connector_kit.testing.conformance.harness import Stream as Stream
from suppli_connector_kit.testing.conformance.harness import Strike as Strike
from suppli_connector_kit.testing.conformance.harness import Wrap as Wrap
from suppli_connector_kit.testing.conformance.harness import local_transport as local_transport
from suppli_connector_kit.testing.conformance.registry import CHECKS as CHECKS
from suppli_connector_kit.testing.conformance.registry import Check as Check
from suppli_connector_kit.testing.conformance.sandboxes import SandboxHarness as SandboxHarness
