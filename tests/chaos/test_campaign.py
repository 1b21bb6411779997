"""A shop would lose or double sales if anything that dies, freezes or is cut off took its work with it."""

from __future__ import annotations

import random
import sys

import pytest

from tests.chaos.campaign import Campaign
from tests.chaos.faults import short
from tests.chaos.system import ChaosSystem

ORDERS, SEED = 5_000, 1


@pytest.mark.timeout(600)
def test_5000_orders_that_change_while_everything_fails_in_turn_end_as_the_provider_has_them(
    system: ChaosSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = short(system, random.Random(SEED))
    report = Campaign(system, SEED, orders=ORDERS).run(faults, len(faults))
    with capsys.disabled():
        sys.stdout.write(f"\n{report.text()}\n")  # worth reading also where nothing is wrong
    assert not report.wrong, report.text()
    sold = report.figures["orders at the provider"]
    assert isinstance(sold, int), sold
    assert sold >= ORDERS, "the world is as large as the name says"
