"""What the official SDK thinks of documents, and we too under the profile of that name.

The first test replays the reference cases where they lie. The tables below it are facts of the
same kind, typed anew: what OpenSLO/go-sdk (May 2026) answers, known from running it.
"""

from __future__ import annotations

import json

import pytest

from analysis.slo.openslo.validate import Profile, Verdict, validate

SECTIONS = ("openslo_sdk_cases", "openslo_v1_mutations", "openslo_examples")


def judged(documents):
    text = "\n---\n".join(json.dumps(one, ensure_ascii=False) for one in documents)
    report = validate({"case": text}, Profile.SDK)
    return report.verdict.value, {(one.path, one.code) for one in report.findings}


@pytest.mark.parametrize("section", SECTIONS)
def test_reference_cases(cases, section):
    """Every verdict, every property and every rule."""
    wrong = []
    for case in cases[section]:
        verdict, found = judged(case.get("documents") or [case["object"]])
        expected = {(path, code or "") for path, code in case["errors"]}
        if verdict != case["verdict"] or (verdict == "invalid" and found != expected):
            wrong.append((case["id"], verdict, sorted(found ^ expected)))
    assert wrong == []


def metric(**source):
    return {"metricSource": {"type": "Prometheus", "spec": {"query": "up"}, **source}}


def slo(**spec):
    """A valid SLO; a property given as ... is left out."""
    indicator = {"ratioMetric": {"counter": True, "good": metric(), "total": metric()}}
    filled = {
        "service": "web",
        "indicator": {"metadata": {"name": "ratio"}, "spec": indicator},
        "timeWindow": [{"duration": "1w", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": 0.99}],
        **spec,
    }
    kept = {key: value for key, value in filled.items() if value is not ...}
    return {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": "web"}, "spec": kept}


def window(**fields):
    return slo(timeWindow=[fields])


def calendar(start, zone):
    return window(duration="1w", calendar={"startTime": start, "timeZone": zone})


def sli(spec):
    return {"apiVersion": "openslo/v1", "kind": "SLI", "metadata": {"name": "x"}, "spec": spec}


def composite(*objectives):
    filled = [{"target": 0.9, **one} for one in objectives]
    return slo(indicator=..., objectives=filled)


def condition(**fields):
    filled = {"kind": "burnrate", "op": "gt", "threshold": 2, "lookbackWindow": "1h", **fields}
    kept = {key: value for key, value in filled.items() if value is not ...}
    return {
        "apiVersion": "openslo/v1",
        "kind": "AlertCondition",
        "metadata": {"name": "x"},
        "spec": {"severity": "page", "condition": kept},
    }


@pytest.mark.parametrize(
    "document",
    [
        slo(),
        slo(objectives=[]),
        slo(objectives=None),
        slo(objectives=[{"target": 0}]),
        slo(objectives=[{"target": 0.9}, {"targetPercent": 99.5}]),
        slo(alertPolicies=[]),
        slo(alertPolicies=[{"alertPolicyRef": "x"}, {"alertPolicyRef": "x"}]),
        window(duration=" 5m", isRolling=True),
        window(duration="0m", isRolling=True),
        calendar("2022-01-01 12:00:00", "EST5EDT"),
        calendar("2022-01-01 9:00:00.25", "UTC"),
        composite({"indicatorRef": "a"}, {"indicatorRef": "b", "compositeWeight": 100}),
        composite({"indicatorRef": "a"}, {}),
        condition(threshold=-1, lookbackWindow="0m"),
        condition(alertAfter=None),
        sli({"thresholdMetric": {"metricSource": {"spec": {"x": None}}}}),
        sli({"ratioMetric": {"rawType": "failure", "raw": metric()}}),
        {"apiVersion": "openslo/v1", "KIND": "Service", "metadata": {"name": "a"}, "spec": None},
    ],
)
def test_what_the_sdk_accepts(document):
    """Also what its text forbids: no objectives, windows of no length, negative thresholds."""
    assert (Verdict.VALID, set()) == judged([document])


@pytest.mark.parametrize(
    ("document", "path", "code"),
    [
        (slo(service=...), "spec.service", "required"),
        (slo(indicator=...), "spec", "mutually_exclusive"),
        (slo(indicatorRef="x"), "spec", "mutually_exclusive"),
        (slo(indicator=..., indicatorRef=""), "spec.indicatorRef", "dns:string_length"),
        (slo(timeWindow=...), "spec.timeWindow", "slice_length"),
        (slo(budgetingMethod="x"), "spec.budgetingMethod", "one_of"),
        (slo(alertPolicies=[{}]), "spec.alertPolicies[0]", "mutually_exclusive"),
        (slo(objectives=[{"target": 1}]), "spec.objectives[0].target", "less_than"),
        (slo(objectives=[{"target": 0.9, "op": "gt"}]), "spec.objectives[0].op", "forbidden"),
        (slo(objectives=[{"target": 0.9, "value": 0}]), "spec.objectives[0].value", "forbidden"),
        (window(duration="1w"), "spec.timeWindow[0]", ""),
        (window(duration="", isRolling=True), "spec.timeWindow[0].duration", "required"),
        (window(duration="1h30m", isRolling=True), "spec.timeWindow[0].duration.unit", "one_of"),
        (window(duration="1.5h", isRolling=True), "spec.timeWindow[0].duration.unit", "one_of"),
        (calendar("2022-13-01 00:00:00", "UTC"), "[0].calendar.startTime", "string_date_time"),
        (calendar("2022-02-29 00:00:00", "UTC"), "[0].calendar.startTime", "string_date_time"),
        (calendar("2022-01-01", "UTC"), "[0].calendar.startTime", "string_date_time"),
        (calendar("2022-01-01 00:00:00", "utc"), "[0].calendar.timeZone", "string_time_zone"),
        (calendar("2022-01-01 00:00:00", "Local"), "[0].calendar.timeZone", "string_time_zone"),
        (composite({"indicatorRef": "A"}), "[0].indicatorRef", "dns:string_match_regexp"),
        (composite({"indicatorRef": "a", "compositeWeight": 0}), "Weight", "greater_than"),
        (sli({}), "spec", "mutually_exclusive"),
        (sli({"thresholdMetric": {}}), "spec.thresholdMetric.metricSource", "required"),
        (sli({"ratioMetric": {"total": metric()}}), "spec.ratioMetric", "one_of_properties"),
        (
            sli({"ratioMetric": {"good": metric(), "bad": metric(), "total": metric()}}),
            "spec.ratioMetric",
            "mutually_exclusive",
        ),
        (sli({"ratioMetric": {"raw": metric()}}), "spec.ratioMetric.rawType", "required"),
        (condition(kind="Burnrate"), "spec.condition.kind", "one_of"),
        (condition(threshold=...), "spec.condition.threshold", "required"),
        (condition(alertAfter=""), "spec.condition.alertAfter.unit", "required"),
        (condition(op="eq"), "spec.condition.op", "one_of"),
    ],
)
def test_what_the_sdk_finds(document, path, code):
    """One broken rule, at one property."""
    verdict, found = judged([document])
    assert verdict == Verdict.INVALID
    ((found_path, found_code),) = found
    code = code.replace("dns:", "string_dns_label:")
    assert (True, code) == (found_path.endswith(path), found_code)


@pytest.mark.parametrize(
    "document",
    [
        slo(objectives=[{"target": "0.99"}]),
        slo(objectives={}),
        slo(color="red"),
        slo(indicator=[]),
        slo(alertPolicies=["x"]),
        window(duration=5, isRolling=True),
        window(duration="5", isRolling=True),
        window(duration="x", isRolling=True),
        window(duration="1w", isRolling="true"),
        condition(threshold="14.4"),
        sli({"thresholdMetric": {"metricSource": {"spec": "x"}}}),
        {"apiVersion": "openslo/v2alpha", "kind": "SLO"},
        {"apiVersion": "openslo/v1alpha", "kind": "SLI"},
        {"apiVersion": "openslo/v1", "kind": "slo"},
        {"apiVersion": "openslo/v1"},
        {},
    ],
)
def test_what_the_sdk_cannot_decode(document):
    """Unknown names, wrong types, unknown versions and kinds."""
    assert judged([document])[0] == Verdict.DECODE_ERROR


@pytest.mark.parametrize(
    ("key", "is_accepted"),
    [
        ("net", True),
        ("openslo.com/service", True),
        ("my-domain.org/my-key", True),
        ("Domain.org/key", False),
        ("domain..org/key", False),
        ("domain.org/", False),
        ("a_b", True),
        ("_a", False),
        ("a" * 63, True),
        ("a" * 64, False),
        (f"{'a' * 64}.org/key", False),
    ],
)
def test_keys_of_annotations(key, is_accepted):
    """A name, before it a domain if wanted; each part at most 63 characters."""
    document = slo()
    document["metadata"]["annotations"] = {key: ""}
    assert is_accepted is (judged([document])[0] == "valid")
