"""The two protocols that tests can only sample, in every state of a small world: docs/models, by TLC.

Each rule of a protocol is a constant of its model. With all rules everything must hold; with one switched off
TLC must find the way to the harm, or the model would prove nothing.
"""

from __future__ import annotations

import pytest

from tests.models.tlc import check

SINGLE_USE = {"SingleUse": "TRUE"}
NOBODY_WITHDRAWS = {"MaxWithdrawn": "0"}
GOES_BACK = {"Orders": "{x}", "Imported": "{x}", "MaxClock": "3", "ContentReturns": "TRUE"}


@pytest.mark.parametrize(
    ("model", "world", "at_least"),
    [
        pytest.param("TokenRefresh", {}, 70_000, id="reusable-tokens"),
        pytest.param("TokenRefresh", SINGLE_USE, 60_000, id="single-use-tokens"),
        pytest.param("Sync", {}, 25_000, id="sync"),
        pytest.param("Sync", GOES_BACK, 15_000, id="sync-an-order-goes-back"),
    ],
)
def test_the_protocol_holds_in_every_state(model: str, world: dict[str, str], at_least: int) -> None:
    """Some sequence of crashes would disconnect a shop, or lose or undo a sale."""
    outcome = check(model, world)
    assert outcome.passed, outcome.output
    assert outcome.states >= at_least, "a world this small proves nothing"


@pytest.mark.parametrize(
    ("model", "world", "rule", "harm"),
    [
        pytest.param("TokenRefresh", NOBODY_WITHDRAWS, "CheckAndSet", {"OneSpender", "NeverOlder"}),
        pytest.param(
            "TokenRefresh", SINGLE_USE | NOBODY_WITHDRAWS, "CheckAndSet", {"OneSpender", "NeverOlder"}
        ),
        pytest.param("TokenRefresh", NOBODY_WITHDRAWS, "PairCompared", {"NeverOlder"}),
        pytest.param("TokenRefresh", {}, "VersionsGoOn", {"NeverOlder"}),
        pytest.param("Sync", {}, "FenceChecked", {"CoverageGrows"}),
        pytest.param("Sync", {}, "PublishBeforeRecord", {"CoveredIsHeld"}),
        pytest.param("Sync", {}, "LeaseChecked", {"NeverBack"}),
        pytest.param("Sync", {}, "FollowingSeen", {"CoveredIsHeld"}),
        pytest.param("Sync", GOES_BACK, "UnfinishedSaysAgain", {"CoveredIsHeld"}),
    ],
)
def test_without_the_rule_it_breaks(model: str, world: dict[str, str], rule: str, harm: set[str]) -> None:
    """A model that allows whatever the code does would go on passing when the rule is dropped."""
    outcome = check(model, world | {rule: "FALSE"})
    assert outcome.violated in harm, outcome.output
    assert outcome.steps, "a counterexample is a sequence of steps"
