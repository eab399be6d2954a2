"""Files of every dialect as OpenSLO v1 and as rules: valid, and back again without loss."""

from __future__ import annotations

import json

import pytest
import yaml

from analysis.slo.openslo.dialects import Dialect, as_yaml, convert, dialect_of, rules
from analysis.slo.openslo.errors import ConversionError, DefinitionError
from analysis.slo.openslo.pyrra.rules import Options as PyrraOptions
from analysis.slo.openslo.sloth.generate import Options as SlothOptions
from analysis.slo.openslo.validate import Profile, Verdict, validate

SLOTH_OPTIONS, PYRRA_OPTIONS = SlothOptions(version="test"), PyrraOptions()

SLOTH = """\
version: prometheus/v1
service: shop
labels: {owner: us}
slos:
  - name: up
    objective: 99.9
    sli:
      events:
        error_query: sum(rate(bad_total[{{.window}}]))
        total_query: sum(rate(all_total[{{.window}}]))
    alerting:
      name: ShopDown
      page_alert: {labels: {severity: page}}
      ticket_alert: {disable: true}
"""

PYRRA = """\
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: errors, namespace: shop}
spec:
  target: "99.5"
  window: 2w
  indicator:
    ratio:
      errors: {metric: 'bad_total{job="a"}'}
      total: {metric: 'all_total{job="a"}'}
      grouping: [path]
---
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: fast, namespace: shop}
spec:
  target: "99"
  window: 4w
  indicator:
    latencyNative: {latency: 200ms, total: {metric: seconds}}
"""

V1ALPHA = """\
apiVersion: openslo/v1alpha
kind: Service
metadata: {name: shop}
spec: {description: sells}
---
apiVersion: openslo/v1alpha
kind: SLO
metadata: {name: up}
spec:
  service: shop
  budgetingMethod: METHOD
  timeWindows: [{count: 1, unit: Month, isRolling: true}]
  objectives:
    - displayName: a
      value: 1
      target: 0.99
      timeSliceTarget: 0.95
      ratioMetrics:
        incremental: true
        good: {source: prometheus, queryType: promql, query: good_total}
        total: {source: prometheus, queryType: promql, query: all_total}
    - displayName: b
      value: 1
      target: 0.9
      timeSliceTarget: 0.95
      ratioMetrics:
        incremental: true
        good: {source: prometheus, queryType: promql, query: 'good_total{a="b"}'}
        total: {source: prometheus, queryType: promql, query: 'all_total{a="b"}'}
"""

V2ALPHA = """\
apiVersion: openslo.com/v2alpha
kind: SLO
metadata: {name: up, labels: {team: us}}
spec:
  serviceRef: shop
  budgetingMethod: Occurrences
  timeWindow: [{duration: 1w, isRolling: true}]
  sli:
    metadata: {name: up}
    spec:
      ratioMetric:
        counter: true
        good: {dataSourceSpec: {type: Prometheus, connectionDetails: {url: x}}, spec: {query: g}}
        total: {dataSourceSpec: {type: Prometheus, connectionDetails: {url: x}}, spec: {query: t}}
  objectives: [{target: 0.99}]
---
apiVersion: openslo.com/v2alpha
kind: Service
metadata: {name: shop}
spec: {}
"""


def joined(*documents):
    return "---\n".join(documents)


def converted(text, window=None):
    made = as_yaml(convert({"file": text}, SLOTH_OPTIONS, window))
    for profile in Profile:
        report = validate({"made": made}, profile)
        assert report.verdict is Verdict.VALID, [str(one) for one in report.findings]
    return made


def ruled(text, target=Dialect.SLOTH):
    return [
        group.plain()
        for group in rules({"file": text}, SLOTH_OPTIONS, PYRRA_OPTIONS, target=target)
    ]


@pytest.mark.parametrize(
    ("text", "dialect"),
    [(SLOTH, Dialect.SLOTH), (PYRRA, Dialect.PYRRA), (V2ALPHA, Dialect.OPENSLO)],
)
def test_dialects_are_told_apart(text, dialect):
    """By their versions."""
    assert dialect_of("file", text) is dialect


def test_a_file_has_one_dialect():
    """Mixed ones are refused by name."""
    with pytest.raises(ConversionError, match="pyrra, sloth"):
        dialect_of("file", f"{SLOTH}---\n{PYRRA}")


def test_sloth_there_and_back():
    """The same rules, but for where they say they come from."""
    before, after = ruled(SLOTH), ruled(converted(SLOTH))
    for groups in (before, after):
        info = groups[1]["rules"][-1]["labels"]
        assert info.pop("sloth_mode") in ("cli-gen-prom", "export")
        assert info.pop("sloth_spec") in ("prometheus/v1", "openslo/v1")
    assert before == after


def test_pyrra_there_and_back():
    """The same rules, native histograms and groups included."""
    assert ruled(PYRRA) == ruled(converted(PYRRA), Dialect.PYRRA)


def test_v1alpha():
    """One SLO for each indicator; counters get their rates."""
    text = V1ALPHA.replace("METHOD", "Occurrences")
    documents = list(yaml.safe_load_all(converted(text)))
    assert [one["metadata"]["name"] for one in documents] == ["shop", "up-0", "up-1"]
    assert documents[1]["spec"]["timeWindow"] == [{"duration": "1M", "isRolling": True}]
    first = ruled(text)[0]["rules"][0]
    assert "sum(rate(all_total[5m]))" in first["expr"]


def test_v1alpha_does_not_say_how_long_a_slice_is():
    """So somebody must."""
    text = V1ALPHA.replace("METHOD", "Timeslices")
    with pytest.raises(ConversionError, match="how long a time slice is"):
        converted(text)
    assert "timeSliceWindow: 5m" in converted(text, "5m")


def test_v2alpha():
    """Names of v1; equal inline sources become one object."""
    documents = list(yaml.safe_load_all(converted(V2ALPHA)))
    assert [one["kind"] for one in documents] == ["DataSource", "SLO", "Service"]
    good = documents[1]["spec"]["indicator"]["spec"]["ratioMetric"]["good"]
    assert good == {"metricSource": {"spec": {"query": "g"}, "metricSourceRef": "up-source-0"}}


def test_names_in_any_case_are_read(texts):
    """As the official decoder reads them."""
    shouting = texts.service.replace("metadata", "METADATA").replace("kind", "Kind")
    (document,) = convert({"file": shouting}, SLOTH_OPTIONS)
    assert document["metadata"] == {"name": "shop"}


def test_alerts_of_openslo_policies(texts):
    """A condition is one window, with its own waiting time and severity."""
    slo = texts.slo.replace("28d", "30d") + "  alertPolicies:\n    - alertPolicyRef: page-us\n"
    text = joined(slo, texts.service, texts.policy, texts.condition, texts.target)
    alert = ruled(text)[-1]["rules"][0]
    assert (alert["alert"], alert["labels"]["severity"]) == ("page-us", "page")
    assert ">= (14.4 * 0.001)" in alert["expr"]
    wrong = text.replace("lookbackWindow: 1h", "lookbackWindow: 7h")
    with pytest.raises(ConversionError, match="lookbackWindow 7h, accepted: 5m, 30m, 1h"):
        ruled(wrong)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Occurrences", "RatioTimeslices", "rules count events"),
        ("query: good", "query: sum(good)", "a selector of one metric"),
        ("query: good", "query: '{'", "query '{'"),
        ("query: good", "sql: good", "without the property query"),
        ("duration: 28d", "duration: 3d", "a time window up to 3d"),
        ("type: Prometheus", "type: Datadog", "metric source of type Datadog"),
    ],
)
def test_what_rules_cannot_say(texts, old, new, reason):
    """Named, not dropped."""
    slo = texts.slo.replace(old, new)
    if new == "RatioTimeslices":
        slo += "      timeSliceWindow: 5m\n"
    with pytest.raises(ConversionError, match=reason.replace("{", r"\{")):
        ruled(joined(slo, texts.service))


def test_what_is_wrong_is_not_converted(texts):
    """Every finding, none of the output."""
    with pytest.raises(DefinitionError, match=r"spec\.budgetingMethod"):
        convert({"file": texts.slo.replace("Occurrences", "Sometimes")}, SLOTH_OPTIONS)


def test_annotations_of_others_are_not_trusted(texts):
    """A text that we did not write is refused, not guessed at."""
    slo = texts.slo.replace("28d", "30d").replace(
        "  name: checkout",
        f"  name: checkout\n  annotations: {json.dumps({'davylamp/sloth': '{'})}",
    )
    with pytest.raises(ConversionError, match="is no JSON"):
        ruled(joined(slo, texts.service))
