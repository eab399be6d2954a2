"""The inverted index against the plain reading of the conditions, series by series."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector.promql.label_index import LabelIndex
from collector.promql.labels import make_labels
from collector.promql.matchers import Matcher, matching

NAMES = ("__name__", "job", "pod", "zone")
VALUES = ("", "a", "b", "ab", "ba", "é\n")
PATTERNS = ("a", "a|b", ".*", ".+", "", "a?", "[^a]+", "b.*|")
label_sets = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES)).map(make_labels),
    max_size=30,
)
conditions = st.lists(
    st.one_of(
        st.builds(
            Matcher, st.sampled_from(NAMES), st.sampled_from(("=", "!=")), st.sampled_from(VALUES)
        ),
        st.builds(
            Matcher,
            st.sampled_from(NAMES),
            st.sampled_from(("=~", "!~")),
            st.sampled_from(PATTERNS),
        ),
    ),
    max_size=4,
)


def filled(sets) -> LabelIndex:
    index = LabelIndex()
    for number, labels in enumerate(sets):
        index.add(number, len(dict(labels).get("__name__", "")), labels)
    return index


@given(label_sets, conditions)
def test_finds_exactly_the_series_for_which_every_condition_holds(sets, matchers):
    """Whatever the operators are, and with labels that some series do not have."""
    assert filled(sets).find(matchers).tolist() == matching(sets, matchers)


@given(label_sets, st.integers(0, 29))
def test_a_series_counts_once(sets, number):
    """Rows of the store may come twice."""
    index = filled(sets)
    for again, labels in enumerate(sets[: number + 1]):
        index.add(again, 7, labels)
    assert len(index) == len(sets)
    assert index.find([]).tolist() == list(range(len(sets)))


def test_says_how_many_series_of_a_metric_are_left_out():
    """Only all of them may be read without naming each."""
    index = LabelIndex()
    for number in range(6):
        index.add(number, number % 2, make_labels({"__name__": "m", "pod": f"{number}"}))
    assert index.metrics([0, 2, 4]) == {0: 0}
    assert index.metrics([0, 1, 3]) == {0: 2, 1: 1}
