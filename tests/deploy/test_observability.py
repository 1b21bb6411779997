"""An alert on a metric that nobody serves never rings, and a table of other metrics sends people astray."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml
from suppli_service_kit.metrics import DEFINITIONS

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "generate.py"))
DOCUMENT = ROOT / "docs" / "observability.md"
ALERTS = ROOT / "deploy" / "observability" / "alerts.yaml"

# What Prometheus itself puts on every series, and the words of its language that the rules use.
FROM_SCRAPING = {"job", "instance"}
WORDS = {"sum", "max", "min", "by", "rate", "increase", "and", "or", "unless", "on", "absent"}
_METRIC = re.compile(r"\bsuppli_\w+")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\bby\s*\(([^)]*)\)")
_DURATION = re.compile(r"\d+(s|m|h|d)")
_HISTOGRAM_PARTS = re.compile(r"_(bucket|count|sum)$")


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(ALERTS.read_text())
    assert set(document) == {"groups"}
    return [rule for group in document["groups"] for rule in group["rules"]]


@pytest.fixture(scope="module", autouse=True)
def every_metric() -> None:
    """Have all metrics of all services defined."""
    TOOL["_load_all"]()


def metric_of(name: str) -> str:
    """Return the metric that a series belongs to."""
    return name if name in DEFINITIONS else _HISTOGRAM_PARTS.sub("", name)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_is_served(rule: dict[str, Any]) -> None:
    said: str = rule["expr"]
    named = {metric_of(name) for name in _METRIC.findall(said)}
    assert named, "a rule of no metric of ours"
    assert named <= set(DEFINITIONS)
    labels = set().union(*(DEFINITIONS[name][1] for name in named)) | FROM_SCRAPING
    matched = {label for label, _, _ in _MATCHER.findall(said)}
    grouped = {label.strip() for part in _GROUPING.findall(said) for label in part.split(",")}
    assert matched | grouped <= labels
    shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert shown <= grouped, "the message names a label that the expression drops"


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_is_written_as_prometheus_reads_it(rule: dict[str, Any]) -> None:
    """As far as it can be told without Prometheus: shape, brackets, words, durations and the comparison."""
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Suppli[A-Za-z]+", rule["alert"])
    assert "for" not in rule or _DURATION.fullmatch(rule["for"])
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert {"summary", "action"} == set(rule["annotations"])
    bare = _MATCHER.sub("", rule["expr"])
    depth: list[str] = []
    for character in bare:
        if character in "([{":
            depth.append(character)
        elif character in ")]}":
            assert depth, rule["expr"]
            assert depth.pop() + character in {"()", "[]", "{}"}, rule["expr"]
    assert not depth, rule["expr"]
    assert all(_DURATION.fullmatch(span) for span in re.findall(r"\[([^\]]*)\]", bare))
    words = re.findall(r"[A-Za-z_]\w*", re.sub(r"\[[^\]]*\]", "", _GROUPING.sub("", bare)))
    assert {word for word in words if not _METRIC.fullmatch(word)} <= WORDS
    assert re.search(r"(==|!=|>=|<=|>|<)\s*[\d.]+$", rule["expr"]), "an alert compares with a number"


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_values_that_the_code_says(rule: dict[str, Any]) -> None:
    """`outcome="putback"` would be as good as no alert."""
    code = "".join(
        path.read_text() for part in ("libs", "services") for path in (ROOT / part).glob("*/src/**/*.py")
    )
    for _, _, values in _MATCHER.findall(rule["expr"]):
        for value in values.split("|"):
            assert f'"{value}"' in code, value


def test_alerts_have_names_of_their_own_and_cover_what_the_design_promises() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    asked = {metric_of(name) for rule in rules() for name in _METRIC.findall(rule["expr"])}
    assert {
        "suppli_check_ok",
        "suppli_consumer_lag_messages",
        "suppli_connector_stale_connections",
        "suppli_connector_runs_total",
        "suppli_connector_tokens_near_expiry",
        "suppli_dead_letters_total",
    } <= asked


def test_the_table_says_what_to_do_about_whatever_rings() -> None:
    text = DOCUMENT.read_text()
    assert text == TOOL["_with_metrics"](DOCUMENT), "run `make generate`"
    advice = {row["name"]: row["advice"] for row in TOOL["_ROW"].finditer(text)}
    assert set(advice) == set(DEFINITIONS)
    for rule in rules():
        for name in _METRIC.findall(rule["expr"]):
            assert len(advice[metric_of(name)]) > len("Nothing."), name
