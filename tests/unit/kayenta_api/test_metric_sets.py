"""Answers of the query API as metric sets on the scope's grid."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.canary.kayenta.metric_sets import pair_all
from analysis.kayenta_api.errors import FetchError
from analysis.kayenta_api.execution_request import Scope, ScopePair
from analysis.kayenta_api.metric_sets import MAX_POINTS, metric_sets, pair_json, require_few

SCOPE = Scope("a", None, 60_000, 360_000, 60)


def answer(*series):
    result = [{"metric": labels, "values": values} for labels, values in series]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def test_gaps_are_nan_and_labels_are_tags():
    """The metric's own name is no tag."""
    (one,) = metric_sets(
        "m", answer(({"__name__": "x", "zone": "b"}, [[60, "1"], [180, "3"], [240, "NaN"]])), SCOPE
    )
    assert one.tags == {"zone": "b"}
    assert one.expected_points == 5
    np.testing.assert_array_equal(one.values, [1, math.nan, 3, math.nan])


def test_no_series_is_a_set_without_values():
    """Never a zero; the judge calls it no data."""
    (one,) = metric_sets("m", answer(), SCOPE)
    assert (one.tags, len(one.values)) == ({}, 0)


@pytest.mark.parametrize(
    "raw",
    [
        {},
        None,
        {"status": "error"},
        {"status": "success", "data": {"resultType": "vector", "result": []}},
        {"status": "success", "data": {"resultType": "matrix", "result": [{}]}},
        answer(({}, [[60, "x"]])),
    ],
)
def test_anything_else_is_no_answer(raw):
    """The execution ends with words instead of a score."""
    with pytest.raises(FetchError):
        metric_sets("m", raw, SCOPE)


def test_a_pair_is_written_as_kayenta_writes_it():
    """What JSON has no number for is text."""
    control = metric_sets("m", answer(({}, [[60, "1"], [180, "+Inf"]])), SCOPE)
    (pair,) = pair_all(["m"], control, metric_sets("m", answer(({}, [[60, "2"]])), SCOPE))
    found = pair_json(pair, ScopePair(SCOPE, SCOPE))
    assert found["values"]["control"] == [1.0, "NaN", "Infinity", "NaN", "NaN"]
    assert found["scopes"]["experiment"] == {
        "startTimeMillis": 60_000,
        "startTimeIso": "1970-01-01T00:01:00.000Z",
        "stepMillis": 60_000,
    }


def test_too_many_points_are_refused():
    """Before any is kept."""
    many = metric_sets("m", answer(), Scope(None, None, 0, 60_000 * (MAX_POINTS + 1), 60))
    with pytest.raises(FetchError, match="the limit is"):
        require_few(many)
