"""What holds for any expression, any samples, any text."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import replace

import numpy as np
import promql_parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.slo.expressions import Expressions, make_series, source_of_series
from bench.slo.promql import LIMITS
from collector.promql.blocks import long_extremes, long_moments, long_sums
from collector.promql.durations import MAX_DURATION_MS, format_duration, parse_duration_ms
from collector.promql.engine import Engine, EngineConfig
from collector.promql.errors import ParseError, PromqlError
from collector.promql.labels import make_labels
from collector.promql.memory import MemorySource
from collector.promql.nodes import Aggregate, Binary, Call, children
from collector.promql.parser import parse
from collector.promql.selecting import QueryTimes
from collector.promql.semantics import PROMETHEUS_2, PROMETHEUS_3
from collector.promql.strings import format_float, format_general, format_json, go_quoted, unquoted
from collector.promql.windows import Windows
from telemetry.clock import FixedClock

START_MS = 1_600_000_000_000
DIALECTS = (PROMETHEUS_2, PROMETHEUS_3, replace(PROMETHEUS_3, is_name_removal_delayed=True))
ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)


def engine_of(source, semantics=PROMETHEUS_3) -> Engine:
    return Engine(source, FixedClock(), EngineConfig(semantics, 300_000, 60_000, LIMITS))


def same(a: float, b: float) -> bool:
    """Equal to the last bits: a vector's order, and with it that of a sum, is its own."""
    return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9)


def outcome_of_range(engine, query, times):
    try:
        result = engine.range(query, times)
    except PromqlError as error:
        return str(error).split("[")[0]
    return {
        one.labels: dict(zip(one.times_ms.tolist(), one.values.tolist(), strict=True))
        for one in result.series
    }


def outcome_of_instants(engine, query, times):
    found: dict = {}
    for time_ms in times.steps_ms().tolist():
        try:
            result = engine.instant(query, time_ms)
        except PromqlError as error:
            return str(error).split("[")[0]
        for one in result.series:
            found.setdefault(one.labels, {})[time_ms] = float(one.values[0])
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_range_query_is_its_instant_queries(seed):
    """Evaluating all steps at once answers the same as one step after the other, or fails alike."""
    rng = np.random.default_rng(seed)
    source = source_of_series(make_series(rng, START_MS))
    expressions = Expressions(rng, START_MS // 1000 + 1800)
    answered = 0
    for number in range(60):
        query = expressions.vector()
        # Between equals topk may choose otherwise, and end() is another time in each instant.
        if any(word in query for word in ("start()", "end()", "topk", "bottomk")):
            continue
        engine = engine_of(source, DIALECTS[number % 3])
        start_ms = START_MS + int(rng.integers(3000)) * 1000
        step_ms = int(rng.choice([15_000, 37_000, 60_000]))
        times = QueryTimes(start_ms, start_ms + 6 * step_ms, step_ms)
        whole, parts = (
            outcome_of_range(engine, query, times),
            outcome_of_instants(engine, query, times),
        )
        if isinstance(whole, str) or isinstance(parts, str):
            assert isinstance(whole, str), query
            assert isinstance(parts, str), query
            continue
        assert whole.keys() == parts.keys(), query
        for labels, samples in whole.items():
            assert samples.keys() == parts[labels].keys(), query
            for time_ms, value in samples.items():
                assert same(value, parts[labels][time_ms]), (query, time_ms)
        answered += bool(whole)
    assert answered > 20


def naive(name: str, times_s: list[float], values: list[float]) -> float | None:
    """One window, by the definition."""
    if not values:
        return None
    finite = [value for value in values if not math.isnan(value)]
    changed = [a != b for a, b in itertools.pairwise(values)]
    fallen = [b < a for a, b in itertools.pairwise(values)]
    table = {
        "sum_over_time": lambda: math.fsum(values),
        "avg_over_time": lambda: math.fsum(values) / len(values),
        "count_over_time": lambda: float(len(values)),
        "max_over_time": lambda: max(finite),
        "min_over_time": lambda: min(finite),
        "stdvar_over_time": lambda: statistics.pvariance(values),
        "first_over_time": lambda: values[0],
        "last_over_time": lambda: values[-1],
        "changes": lambda: float(sum(changed)),
        "resets": lambda: float(sum(fallen)),
        "idelta": lambda: values[-1] - values[-2] if len(values) > 1 else None,
        "deriv": lambda: slope(times_s, values),
        "ts_of_last_over_time": lambda: times_s[-1],
        "ts_of_min_over_time": lambda: max(
            time for time, value in zip(times_s, values, strict=True) if value == min(finite)
        ),
    }
    return table[name]()


def slope(times_s, values):
    if len(values) < 2:
        return None
    return float(statistics.linear_regression(times_s, values).slope)


NAMES = (
    "sum_over_time", "avg_over_time", "count_over_time", "max_over_time", "min_over_time",
    "stdvar_over_time", "first_over_time", "last_over_time", "changes", "resets", "idelta",
    "deriv", "ts_of_last_over_time", "ts_of_min_over_time",
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    gaps_s=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    range_s=st.integers(1, 300),
    step_s=st.integers(1, 60),
    is_left_open=st.booleans(),
    data=st.data(),
)
def test_functions_of_ranges_follow_their_definition(gaps_s, range_s, step_s, is_left_open, data):
    """Each window alone, with Python's own exact sums and statistics."""
    values = data.draw(st.lists(st.integers(-50, 50), min_size=len(gaps_s), max_size=len(gaps_s)))
    times_s = np.cumsum(gaps_s)
    labels = make_labels({"__name__": "m"})
    source = MemorySource([(labels, times_s * 1000, np.array(values, dtype=np.float64))])
    engine = engine_of(source, PROMETHEUS_3 if is_left_open else PROMETHEUS_2)
    times = QueryTimes(0, 12 * step_s * 1000, step_s * 1000)
    for name in NAMES:
        result = engine.range(f"{name}(m[{range_s}s])", times)
        given_values = {}
        for one in result.series:
            given_values = dict(zip(one.times_ms.tolist(), one.values.tolist(), strict=True))
        for end_ms in times.steps_ms().tolist():
            end_s = end_ms / 1000
            inside = [
                (float(time), float(value))
                for time, value in zip(times_s, values, strict=True)
                if (end_s - range_s < time or (not is_left_open and time == end_s - range_s))
                and time <= end_s
            ]
            wanted = naive(name, [time for time, _ in inside], [value for _, value in inside])
            given_value = given_values.get(end_ms)
            if wanted is None:
                assert given_value is None
            else:
                assert given_value == pytest.approx(wanted, rel=1e-9, abs=1e-9), (name, end_s)


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=600),
    seed=st.integers(0, 2**32 - 1),
)
def test_blocks_fold_windows_of_any_length(values, seed):
    """Sums, extremes and moments, whether a window holds no block, one or blocks of blocks."""
    rng = np.random.default_rng(seed)
    flat = np.tile(np.array(values), 9)
    first = rng.integers(0, len(flat), (2, 5))
    last = np.minimum(first + rng.integers(0, len(flat), (2, 5)), len(flat))
    nowhere = np.zeros(5, dtype=np.int64)
    windows = Windows(
        (), np.arange(len(flat)), flat, first, last, nowhere, nowhere, 1, lambda: None
    )
    sums, largest = long_sums(windows), long_extremes(windows, np.fmax)
    means, squares = long_moments(windows)
    for cell in np.ndindex(first.shape):
        part = flat[first[cell] : last[cell]].tolist()
        if not part:
            assert (sums[cell], math.isnan(largest[cell])) == (0.0, True)
            continue
        size = math.fsum(map(abs, part))
        assert abs(sums[cell] - math.fsum(part)) <= 2**-52 * size
        assert largest[cell] == max(part)
        assert means[cell] == pytest.approx(statistics.fmean(part), rel=1e-9, abs=1e-12 * size)
        spread = max(map(abs, part)) ** 2 * len(part)
        assert squares[cell] == pytest.approx(np.var(part) * len(part), rel=1e-6, abs=1e-9 * spread)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text):
    """Never anything but a tree or a ParseError that lies within the text."""
    position = 0
    try:
        parse(text)
    except ParseError as error:
        position = error.position
    assert 0 <= position <= len(text) + 1


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["a", "b{x='1'}", "sum", "by", "(", ")", "rate", "[5m]", "[5m:1m]", "+", "-", "*", "^",
             "==", "bool", "on", "ignoring", "group_left", "and", "or", "1", "0x1f", '"t"', ",",
             "offset 1m", "@ 5", "@ start()", "topk", "unless", "{", "}", "x=~'.*'", "Inf"]
        ),
        max_size=9,
    )
)  # fmt: skip
def test_the_second_opinion_agrees(words):
    """promql-parser, another implementation, accepts and refuses the same sequences of words."""
    query = " ".join(words)
    try:
        tree = parse(query)
    except ParseError:
        tree = None
    try:
        other = promql_parser.parse(query)
    except ValueError:
        other = None
    assert (tree is None) == (other is None), query
    if tree is not None:
        assert kinds(tree) == len(other_kinds(other)), query


def kinds(tree) -> int:
    """How many operations the tree holds."""
    own = isinstance(tree, Binary | Call | Aggregate)
    return own + sum(kinds(child) for child in children(tree))


def other_kinds(tree) -> list:
    found = []

    def visit(node) -> bool:
        if type(node).__name__ in {"BinaryExpr", "Call", "AggregateExpr"}:
            found.append(node)
        return True

    promql_parser.walk(tree, visit)
    return found


@given(st.integers(0, MAX_DURATION_MS))
def test_durations_survive_being_written(milliseconds):
    """Written and read again."""
    assert parse_duration_ms(format_duration(milliseconds)) == milliseconds


@given(ANY_FLOAT)
def test_numbers_survive_being_written(value):
    """All three spellings are read as the same number."""
    for text in (format_float(value), format_general(value), format_json(value)):
        read = float(text)
        assert read == value or (math.isnan(read) and math.isnan(value))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_texts_survive_being_quoted(text):
    """Quoted as Go does and read as a literal."""
    assert unquoted(go_quoted(text)) == text
