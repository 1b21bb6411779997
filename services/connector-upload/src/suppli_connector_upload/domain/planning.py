"""What a person is asked of a file, what was answered, and the plan that follows."""

from __future__ import annotations

from collections.abc import Mapping

from suppli_connector_upload.domain.detected import Detected
from suppli_connector_upload.domain.plan import Plan
from suppli_connector_upload.domain.plans import make_plan
from suppli_connector_upload.manifest import TILL

LOCATION = "location_id"
"""Not asked: a connection of files is one till."""
LAYOUT = ("encoding", "delimiter", "sheet", "header_line")
"""Answers about where the table is: the file is looked at anew before anything else is asked."""
_ALSO = ("tax_percent", "use_order_ids", "use_line_ids")
_COLUMN = "columns."


def suggested(detected: Detected, remembered: Mapping[str, str]) -> dict[str, str]:
    """Return the likely answers: what was confirmed for the last file of these columns, else what this file
    tells.
    """
    columns = {"", *detected.layout.columns}
    answers = {
        about: answer
        for about, answer in remembered.items()
        if about in _ALSO or (about.startswith(_COLUMN) and answer in columns)
    }
    for question in detected.questions:
        if question.about == LOCATION:
            continue
        answer = remembered.get(question.about, question.suggestion)
        if answer is not None and (not question.choices or answer in question.choices):
            answers[question.about] = answer
    return answers


def plan_of(detected: Detected, answers: Mapping[str, str]) -> Plan:
    """Return how the file is read by what was answered.

    Raises:
        PlanProblem: an answer is missing or wrong.
        FileRefused: no plan makes sales of the file.
    """
    return make_plan(detected, {**answers, LOCATION: TILL})


def reads_elsewhere(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Return whether other answers put the table elsewhere in the file."""
    return any(before.get(about) != after.get(about) for about in LAYOUT)
