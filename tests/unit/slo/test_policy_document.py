"""Policies as YAML: what is read, and every refusal with its line."""

from __future__ import annotations

import pytest

from analysis.slo.budget_policy import (
    ExhaustedWithin,
    PolicyAction,
    RemainingAtMost,
    SpentAtLeast,
)
from analysis.slo.errors import SloError, SloFileError
from analysis.slo.policy_document import read_policies

TEXT = """\
apiVersion: davylamp/v1
kind: ErrorBudgetPolicy
metadata: {name: playback}
spec:
  objectives: [starts]
  steps:
    - name: low
      when: {remainingAtMost: 0.25}
    - name: burst
      when: {spentAtLeast: 0.2, within: 1h}
      severity: page
      actions: [notify, freeze, rollBack]
    - name: soon
      when: {exhaustedWithin: 3d}
"""
WINDOWS_S = {"starts": 30 * 86_400, "hour": 3_600}


def test_steps():
    low, burst, soon = read_policies(TEXT, "policies.yaml", WINDOWS_S)
    assert low.full_name == "playback/low"
    assert (low.condition, low.severity) == (RemainingAtMost(0.25), "ticket")
    assert low.actions == {PolicyAction.NOTIFY}
    assert low.objectives == {"starts"}
    assert (burst.condition, burst.severity) == (SpentAtLeast(0.2, 3_600), "page")
    assert burst.actions == set(PolicyAction)
    assert soon.condition == ExhaustedWithin(3 * 86_400)


def test_several_documents():
    other = TEXT.replace("playback", "other")
    assert len(read_policies(f"{TEXT}---\n{other}", "x", WINDOWS_S)) == 6
    with pytest.raises(SloFileError, match="playback/low"):
        read_policies(f"{TEXT}---\n{TEXT}", "x", WINDOWS_S)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("davylamp/v1", "davylamp/v2", 1, "davylamp/v1"),
        ("ErrorBudgetPolicy", "Policy", 2, "ErrorBudgetPolicy"),
        ("{name: playback}", "{name: Play}", 3, "metadata.name"),
        ("[starts]", "[ends]", 5, "hour, starts"),
        ("[starts]", "[starts, hour]", 14, "3600 s"),
        ("remainingAtMost: 0.25", "remainingAtMost: 2", 8, "-1000 to 1"),
        ("remainingAtMost: 0.25", "remainingAtMost: low", 8, "a number"),
        ("remainingAtMost: 0.25", "", 8, "exhaustedWithin"),
        ("remainingAtMost: 0.25", "remainingAtMost: 0, exhaustedWithin: 1d", 8, "with within"),
        ("spentAtLeast: 0.2, within: 1h", "spentAtLeast: 0.2", 10, "with within"),
        ("within: 1h", "within: 1y", 10, "to the objective's window"),
        ("within: 1h", "within: 0m", 10, "to the objective's window"),
        ("severity: page", "severity: scream", 11, "page or ticket"),
        ("rollBack", "rollback", 12, "rollBack"),
        ("name: soon", "nome: soon", 13, "only name"),
    ],
)
def test_refusals_name_their_line(old, new, line, words):
    assert old in TEXT
    with pytest.raises(SloError) as caught:
        read_policies(TEXT.replace(old, new, 1), "policies.yaml", WINDOWS_S)
    assert f"policies.yaml:{line}:" in str(caught.value)
    assert words in str(caught.value)


def test_what_is_no_document():
    for text in ("", "[]", "{", "apiVersion: davylamp/v1"):
        if text:
            with pytest.raises(SloError):
                read_policies(text, "x", WINDOWS_S)
    assert read_policies("", "x", WINDOWS_S) == ()
