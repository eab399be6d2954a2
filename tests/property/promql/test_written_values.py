"""Values written at once read as those written one by one, whatever the numbers are."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.promql.http_answers import written
from collector.promql.strings import format_json

NUMBERS = st.one_of(
    st.floats(width=64),
    st.integers(-(10**7), 10**7).map(float),
    st.sampled_from([0.0, -0.0, 1e-5, 1e-6, 9.9e-7, 1e15, 1e16, 1e20, 1e21, 5e-324, 1e308, 0.1]),
)


def read(values):
    raw = written([b'[%d,"' % place for place in range(len(values))], np.array(values, float))
    return json.loads(raw)


def one_by_one(value):
    text = repr(value)
    plain = text.removesuffix(".0")
    return format_json(value) if "e" in text or "n" in text else plain


@given(st.lists(NUMBERS, max_size=30))
def test_the_same_words_in_the_same_places(values):
    expected = [[place, one_by_one(value)] for place, value in enumerate(values)]
    assert read(values) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [(5.0, "5"), (-0.0, "-0"), (10.0, "10"), (1.5, "1.5"), (1e21, "1e+21"), (1e20, "1" + "0" * 20),
     (float("nan"), "NaN"), (float("inf"), "+Inf"), (1e-7, "1e-07"), (0.000001, "0.000001")],
)  # fmt: skip
def test_numbers_prometheus_writes_so(value, text):
    assert read([value]) == [[0, text]]
    assert read([value, 0.5]) == [[0, text], [1, "0.5"]]
