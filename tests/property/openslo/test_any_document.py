"""Whatever is written, it gets a verdict, and the same one every time."""

from __future__ import annotations

import copy
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.slo.openslo.document import read_documents
from analysis.slo.openslo.findings import Level
from analysis.slo.openslo.validate import Profile, Verdict, validate

VALID = {
    "apiVersion": "openslo/v1",
    "kind": "SLO",
    "metadata": {"name": "web", "labels": {"team": ["a", "b"]}, "annotations": {"k": "v"}},
    "spec": {
        "service": "web",
        "indicator": {
            "metadata": {"name": "ratio"},
            "spec": {
                "ratioMetric": {
                    "counter": True,
                    "good": {"metricSource": {"type": "P", "spec": {"query": "good"}}},
                    "total": {"metricSource": {"type": "P", "spec": {"query": "total"}}},
                }
            },
        },
        "timeWindow": [
            {
                "duration": "1M",
                "calendar": {"startTime": "2022-01-01 12:00:00", "timeZone": "America/New_York"},
            }
        ],
        "budgetingMethod": "Timeslices",
        "objectives": [{"target": 0.99, "timeSliceTarget": 0.9, "timeSliceWindow": "5m"}],
        "alertPolicies": [
            {
                "kind": "AlertPolicy",
                "metadata": {"name": "policy"},
                "spec": {
                    "alertWhenBreaching": True,
                    "conditions": [
                        {
                            "kind": "AlertCondition",
                            "metadata": {"name": "fast"},
                            "spec": {
                                "severity": "page",
                                "condition": {
                                    "kind": "burnrate",
                                    "op": "gt",
                                    "threshold": 14.4,
                                    "lookbackWindow": "1h",
                                },
                            },
                        }
                    ],
                    "notificationTargets": [
                        {
                            "kind": "AlertNotificationTarget",
                            "metadata": {"name": "us"},
                            "spec": {"target": "email"},
                        }
                    ],
                },
            }
        ],
    },
}

#: Without control characters, which YAML refuses or takes for line ends.
CHARACTERS = st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc"])
TEXTS = st.text(CHARACTERS)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(
    SCALARS.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def places(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*path, key))


PLACES = [path for path in places(VALID) if path]


@st.composite
def edited(draw):
    """The valid document with up to three values replaced, removed or added."""
    document = copy.deepcopy(VALID)
    for path in draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        owner = document
        try:
            for step in path[:-1]:
                owner = owner[step]
            if draw(st.booleans()):
                owner[path[-1]] = draw(VALUES)
            else:
                del owner[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # an earlier edit removed the place
    return document


def text_of(document):
    return json.dumps(document, ensure_ascii=False)


@given(VALUES)
def test_json_is_read_as_it_is(value):
    """YAML is read so that JSON keeps its meaning."""
    (node,) = read_documents(text_of([value]))
    assert [value] == node.plain()


@settings(max_examples=300)
@given(edited())
def test_every_document_gets_a_verdict(document):
    """No text makes the validator fail, and strict finds all that the SDK finds."""
    text = text_of(document)
    sdk, strict = validate({"f": text}, Profile.SDK), validate({"f": text})
    assert set(sdk.findings) <= set(strict.findings)
    assert (sdk.verdict is Verdict.DECODE_ERROR) == (strict.verdict is Verdict.DECODE_ERROR)
    assert strict == validate({"f": text})


@settings(max_examples=200)
@given(edited(), st.integers(0, 6))
def test_places_are_inside_the_text(document, indent):
    """Line and column of every finding exist in the file, however it is laid out."""
    text = json.dumps(document, indent=indent or None, ensure_ascii=False)
    lines = text.split("\n")
    for finding in validate({"f": text}).findings:
        assert 1 <= finding.line <= len(lines)
        assert 1 <= finding.column <= len(lines[finding.line - 1])


@given(VALUES)
def test_any_value_is_judged(value):
    """Also what is no definition at all."""
    report = validate({"f": text_of(value)})
    assert report.verdict in tuple(Verdict)


def test_the_document_they_start_from_is_valid():
    """Otherwise the edits would prove little."""
    report = validate({"f": text_of(VALID)})
    assert [one for one in report.findings if one.level is not Level.WARNING] == []
