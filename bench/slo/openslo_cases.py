"""OpenSLO documents with the verdicts of the official SDK."""

from __future__ import annotations

import json
from typing import Any

from analysis.slo.openslo.validate import Profile, validate


def _document(case: dict[str, Any]) -> list[str]:
    """Same verdict; if invalid, findings at the same properties."""
    documents = case["documents"] if "documents" in case else [case["object"]]
    text = "\n---\n".join(json.dumps(one, ensure_ascii=False) for one in documents)
    report = validate({"case": text}, Profile.SDK)
    if report.verdict.value != case["verdict"]:
        found = [str(finding) for finding in report.findings[:3]]
        return [f"verdict {report.verdict.value}, expected {case['verdict']}: {found}"]
    expected = {path for path, _ in case["errors"]}
    paths = {finding.path for finding in report.findings}
    if case["verdict"] == "invalid" and paths != expected:
        return [f"at {sorted(paths)}, expected {sorted(expected)}"]
    return []


SECTIONS = {
    "openslo_sdk_cases": _document,
    "openslo_v1_mutations": _document,
    "openslo_examples": _document,
}
