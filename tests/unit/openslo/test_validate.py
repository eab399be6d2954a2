"""Both profiles over small edits of valid definitions: verdict, property, place, accepted."""

from __future__ import annotations

import pytest

from analysis.slo.openslo.findings import Level, path_text
from analysis.slo.openslo.validate import Profile, Verdict, validate


def changed(text, old, new):
    """The text with one edit, which must be possible."""
    assert old in text
    return text.replace(old, new, 1)


def found(report, level=Level.ERROR):
    return [(one.path, one.code) for one in report.findings if one.level is level]


def test_one_file_may_hold_all_kinds(texts):
    """Seven kinds in one file refer to each other and are valid in both profiles."""
    for profile in Profile:
        report = validate({"all.yaml": texts.all_kinds}, profile)
        assert (report.verdict, report.findings) == (Verdict.VALID, ())
        assert len(report.definitions) == 8


def test_references_reach_across_files(texts):
    """Files are read together."""
    report = validate({name: text for name, text in vars(texts).items() if name != "all_kinds"})
    assert (report.verdict, report.findings) == (Verdict.VALID, ())


def test_a_document_may_be_a_list_of_objects(texts):
    """As the official tools write them."""
    items = texts.slo.replace("\n", "\n  ").rstrip()
    assert Verdict.VALID is validate({"f": f"- {items}\n- {items}\n"}, Profile.SDK).verdict


@pytest.mark.parametrize(
    ("old", "new", "path", "code"),
    [
        (
            "name: checkout",
            "name: Checkout",
            "metadata.name",
            "string_dns_label:string_match_regexp",
        ),
        ("name: checkout", f"name: {'a' * 64}", "metadata.name", "string_dns_label:string_length"),
        ("metadata:\n  name: checkout", "metadata:", "metadata", "required"),
        ("  service: shop\n", "", "spec.service", "required"),
        ("Occurrences", "occurrences", "spec.budgetingMethod", "one_of"),
        ("Occurrences", "Timeslices", "spec.objectives[0].timeSliceTarget", "required"),
        ("duration: 28d", "duration: 28y", "spec.timeWindow[0].duration.unit", "one_of"),
        ("duration: 28d", "duration: -1d", "spec.timeWindow[0].duration.value", ">="),
        ("isRolling: true", "isRolling: false", "spec.timeWindow[0]", ""),
        ("target: 0.999", "target: 1", "spec.objectives[0].target", "less_than"),
        ("target: 0.999", "targetPercent: -1", "spec.objectives[0].targetPercent", ">="),
        ("target: 0.999", "displayName: x", "spec.objectives[0]", "mutually_exclusive"),
        ("target: 0.999", "target: 0.9\n      op: gt", "spec.objectives[0].op", "forbidden"),
        ("spec: {query: good}", "spec: {}", ".good.metricSource.spec", "map_min_length"),
        ("good:\n", "ugly:\n", "", "decode"),
        ("spec: {query: good}", "spec: [1]", ".good.metricSource.spec", "decode"),
        ("isRolling: true", "isRolling: 1", "spec.timeWindow[0].isRolling", "decode"),
        ("duration: 28d", "duration: 28", "spec.timeWindow[0].duration", "decode"),
        ("duration: 28d", "duration: '28'", "spec.timeWindow[0].duration", "decode"),
        ("duration: 28d", f"duration: {'9' * 19}d", "spec.timeWindow[0].duration", "decode"),
        ("openslo/v1", "openslo/v3", "apiVersion", "decode"),
        ("kind: SLO", "kind: Slo", "kind", "decode"),
    ],
)
def test_the_official_rules(texts, old, new, path, code):
    """Each edit breaks one rule at one property."""
    code = {">=": "greater_than_or_equal_to"}.get(code, code.replace("dns:", "string_dns_label:"))
    report = validate({"f": changed(texts.slo, old, new)}, Profile.SDK)
    assert report.verdict is (Verdict.DECODE_ERROR if code == "decode" else Verdict.INVALID)
    assert any(one.path.endswith(path) and one.code == code for one in report.findings)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Metadata", "metadata"),
        ("  service: shop\n", "  SERVICE: shop\n"),
        ("duration: 28d", "duration: ' 28d'"),
        ("duration: 28d", "duration: 28d of them"),
        ("duration: 28d", "duration: +28d"),
        ("duration: 28d", "duration: 0d"),
        ("  objectives:\n    - target: 0.999\n", ""),
        ("  service: shop\n", "  service: shop\n  service: shop\n"),
        ("            type: Prometheus\n", ""),
    ],
)
def test_what_the_sdk_lets_pass_and_the_text_does_not(texts, old, new):
    """Valid under sdk, an error under strict."""
    text = texts.slo if old == "Metadata" else changed(texts.slo, old, new)
    text = text.replace("metadata:", "Metadata:") if old == "Metadata" else text
    assert Verdict.VALID is validate({"f": text}, Profile.SDK).verdict
    assert Verdict.INVALID is validate({"f": text}).verdict


@pytest.mark.parametrize(
    ("name", "old", "new", "path", "code"),
    [
        ("threshold_slo", "lte", "lt", None, None),
        ("threshold_slo", "latency", "nothing", "indicatorRef", "unresolved_reference"),
        ("policy", "fast", "slow", "conditions[0].conditionRef", "unresolved_reference"),
        ("sli", "prom", "x", "metricSource.metricSourceRef", "unresolved_reference"),
        ("threshold_slo", "op: lte\n      value", "value", "objectives[0].op", "required"),
        ("threshold_slo", "Window: 5m", "Window: 2M", "timeSliceWindow", "slice_window"),
        ("threshold_slo", "01-01 00:", "01-01 0:", "calendar.startTime", "start_time"),
        ("threshold_slo", "2026-01-01", "0000-01-01", "calendar.startTime", "start_time"),
        ("service", "shop", "checkout", None, None),
    ],
)
def test_strict_rules_across_objects(texts, name, old, new, path, code):
    """References lead somewhere, and objectives fit what they refer to."""
    files = {key: text for key, text in vars(texts).items() if key != "all_kinds"}
    files[name] = changed(files[name], old, new)
    report = validate(files)
    assert Verdict.VALID is validate(files, Profile.SDK).verdict
    errors = found(report)
    assert ([] if code is None else [code]) == [one[1] for one in errors]
    assert all(one[0].endswith(path) for one in errors)


def test_names_are_given_once(texts):
    """Two objects of a kind with one name: the second is wrong, with its place."""
    report = validate({"a": texts.slo, "b": texts.slo})
    (finding,) = report.findings
    assert (finding.file, finding.path, finding.line) == ("b", "metadata.name", 4)


def test_every_objective_of_a_composite_has_an_indicator(texts):
    """The SDK skips those that have none."""
    text = changed(texts.threshold_slo, "  indicatorRef: latency\n", "")
    text = changed(text, "    - op: lte", "    - indicatorRef: latency\n      op: lte")
    text += "  description: two\n"
    without = "    - {target: 0.9, timeSliceTarget: 1, timeSliceWindow: 5m}\n"
    text = changed(text, "  alertPolicies", f"{without}  alertPolicies")
    files = {"a": texts.all_kinds.replace(texts.threshold_slo, text)}
    assert Verdict.VALID is validate(files, Profile.SDK).verdict
    assert found(validate(files)) == [("spec.objectives[1]", "composite_indicator")]


def test_only_one_objective_with_a_threshold(texts):
    """The specification allows one; the SDK several."""
    other = "{op: lt, value: 1, target: 0.9, timeSliceTarget: 1, timeSliceWindow: 5m}"
    text = texts.all_kinds.replace("    - op: lte", f"    - {other}\n    - op: lte")
    assert Verdict.VALID is validate({"a": text}, Profile.SDK).verdict
    assert found(validate({"a": text})) == [("spec.objectives", "threshold_objectives")]


@pytest.mark.parametrize(
    ("old", "new", "path", "code"),
    [
        ("op: gte", "op: lt", "condition.op", "op_direction"),
        ("threshold: 14.4", "threshold: -1", "condition.threshold", "threshold"),
        ("threshold: 14.4", "threshold: 100.5", ".alertPolicyRef", "unreachable"),
        ("lookbackWindow: 1h", "lookbackWindow: 5w", ".alertPolicyRef", "lookback_window"),
        ("alertWhenBreaching: true", "alertWhenBreaching: false", "spec", "never_alerts"),
        ("{query: good}", "{query: total}", "ratioMetric.good", "same_query"),
        ("duration: 28d", "duration: 1M", "timeWindow[0].duration", "vague_duration"),
        ("target: 0.999", "target: 0.0", "objectives[0].target", "target"),
        ("target: 0.999", "target: 0.9\n      timeSliceWindow: 5m", "Window", "no_effect"),
        ("target: 0.999", "target: 0.9\n      compositeWeight: 2", "Weight", "no_effect"),
        ("name: checkout", "name: c\n  annotations: {openslo.com/a: b}", "']", "reserved_prefix"),
        ("metadata: {name: shop}", "metadata: {name: other}", "spec.service", "unknown_service"),
        ("2026-01-01 00:00:00", "2026-03-29 02:30:00", ".startTime", "skipped_start"),
    ],
)
def test_warnings(texts, old, new, path, code):
    """Allowed, so still valid, and pointed out."""
    report = validate({"f": changed(texts.all_kinds, old, new)})
    assert report.verdict is Verdict.VALID
    warnings = found(report, Level.WARNING)
    assert any(one[0].endswith(path) and one[1] == code for one in warnings)


def test_reachability_is_exact(texts):
    """At a target of 0.9 the burn rate of a total outage is 10, not 10.000000000000002."""
    text = changed(texts.all_kinds, "op: gte, threshold: 14.4", "op: gt, threshold: 10")
    text = changed(text, "target: 0.99\n", "target: 0.9\n")
    (warning,) = validate({"f": text}).findings
    assert warning.code == "unreachable"


def test_findings_name_place_given_and_accepted(texts):
    """What a person needs to mend it."""
    text = changed(texts.slo, "target: 0.999", "target: 1.5")
    (finding,) = validate({"slo.yaml": text}).findings
    expected = "slo.yaml:26:7: error spec.objectives[0].target: got 1.5, accepted: less than 1"
    assert expected == str(finding)


def test_a_file_that_is_no_document_does_not_hide_the_others(texts):
    """Every file is looked at."""
    report = validate({"bad": "a: [", "good": texts.slo})
    assert Verdict.DECODE_ERROR is report.verdict
    assert [one.file for one in report.findings] == ["bad"]
    assert len(report.definitions) == 1


def test_every_decode_error_is_reported(texts):
    """Not only the first one."""
    text = changed(changed(texts.slo, "isRolling: true", "isRolling: 7"), "0.999", "high")
    paths = [one.path for one in validate({"f": text}, Profile.SDK).findings]
    assert paths == ["spec.timeWindow[0].isRolling", "spec.objectives[0].target"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("spec", "objectives", 0, "op"), "spec.objectives[0].op"),
        (("metadata", "labels", "a.b"), "metadata.labels['a.b']"),
        (("metadata", "labels", "-net"), "metadata.labels['-net']"),
        (("metadata", "labels", "net_"), "metadata.labels.net_"),
        (("a'b\n",), "['a\\'b\\n']"),
        (("",), "['']"),
        ((), ""),
    ],
)
def test_paths_are_written_as_the_official_validator_does(path, expected):
    """Names that are no plain words stand in brackets and quotes."""
    assert expected == path_text(path)
