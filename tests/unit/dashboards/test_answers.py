"""Strict reading of answers."""

from __future__ import annotations

import math

import pytest

from dashboards.answers import analysis, collector
from dashboards.answers.looks import looks
from dashboards.answers.reading import Fields
from dashboards.errors import UnreadableAnswerError


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"services": [{}]}, r"answer\.services\[0\]\.service_name is missing"),
        ({"services": {}}, r"answer\.services is not a list"),
        ({}, r"answer\.services is missing"),
        ([], "answer is not an object"),
        (None, "answer is not an object"),
    ],
)
def test_a_wrong_answer_names_the_field(body, what):
    """The sentence on the page leads to the mistake."""
    with pytest.raises(UnreadableAnswerError, match=what):
        collector.services(body)


@pytest.mark.parametrize("value", [True, "1", None, math.inf, math.nan, []])
def test_what_is_not_a_number_is_no_number(value):
    """Also true, text and infinities."""
    with pytest.raises(UnreadableAnswerError):
        Fields({"x": value}).number("x")


def test_null_is_unknown_where_it_may_be():
    """And only there."""
    fields = Fields({"x": None})
    assert fields.number_or_none("x") is None
    assert fields.number_or_none("absent") is None
    with pytest.raises(UnreadableAnswerError):
        fields.integer("x")


def test_new_fields_of_a_newer_api_are_no_mistake():
    """An answer may grow."""
    body = {"anomalies": [], "more": 1}
    assert analysis.anomalies(body) == ()


def test_a_look_comes_back_as_it_was(failed_looks):
    """Names, numbers and keys of the judge's own JSON."""
    last = failed_looks[-1]
    assert last.final
    assert last.threshold_log_e == pytest.approx(math.log(200))
    culprit = next(m for m in last.metrics if m.split == last.culprit_split)
    assert culprit.key == f"{last.culprit_metric}{{{last.culprit_split}}}"
    assert culprit.effect.unit == "1"


def test_points_must_be_pairs():
    """A series of another shape is refused, not misread."""
    body = {"groups": [{"attributes": {}, "points": [[1]]}], "to_unix_nano": 1, "step_s": 1}
    with pytest.raises(UnreadableAnswerError, match=r"\[time, value\]"):
        collector.series(body | {"truncated": False})
    assert looks({"looks": []}) == ()
