"""Facts of the language, each over a few samples of its own: (query, minute, answer)."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from bench.slo.notation import parse_series, source_of
from bench.slo.promql import LIMITS
from collector.promql.engine import Engine, EngineConfig
from collector.promql.errors import BadData, ExecutionError, QueryTimeout, TooManySamples
from collector.promql.labels import make_labels
from collector.promql.memory import MemorySource
from collector.promql.selecting import QueryTimes
from collector.promql.semantics import PROMETHEUS_2, PROMETHEUS_3
from telemetry.clock import FixedClock

MINUTE_MS = 60_000


def engine_over(lines, semantics=PROMETHEUS_3, limits=LIMITS):
    config = EngineConfig(semantics, 300_000, MINUTE_MS, limits)
    return Engine(source_of([(MINUTE_MS, lines)]), FixedClock(), config)


def answer(engine, query, minute):
    result = engine.instant(query, round(minute * MINUTE_MS))
    return {one.labels: float(one.values[0]) for one in result.series}


def expected(*lines):
    return {labels: values[0] for labels, values in map(parse_series, lines)}


SERIES = [
    'req_total{job="a",code="200"} 0+60x10',
    'req_total{job="a",code="500"} 0+6x4 0+6x5',
    'req_total{job="b",code="200"} 0+30x10',
    'temp{room="x"} 1 2 3 NaN 5 6 7 8 9 10 11',
    'temp{room="y"} 10 _ _ stale 4 4 4 4 4 4 4',
    'lat_bucket{le="1"} 0+5x10',
    'lat_bucket{le="2"} 0+8x10',
    'lat_bucket{le="+Inf"} 0+10x10',
    'info{job="a",version="1"} 1x10',
    'info{job="b",version="2"} 1x10',
]


@pytest.mark.parametrize(
    ("query", "minute", "lines"),
    [
        # Ranges leave out their left edge: five samples, four minutes, extrapolated to five.
        ('increase(req_total{job="b"}[5m])', 5, ['{job="b",code="200"} 150']),
        ('rate(req_total{job="b"}[5m])', 5, ['{job="b",code="200"} 0.5']),
        # 24 falls to 0 at minute 5.
        ('resets(req_total{code="500"}[10m])', 10, ['{job="a",code="500"} 1']),
        ('irate(req_total{code="500"}[5m])', 5, ['{job="a",code="500"} 0']),
        ('delta(temp{room="x"}[2m])', 2, ['{room="x"} 2']),
        ('changes(temp{room="y"}[10m])', 10, ['{room="y"} 0']),
        ('deriv(temp{room="x"}[3m])', 8, ['{room="x"} 0.016666666666666666']),
        ('predict_linear(temp{room="x"}[3m], 60)', 8, ['{room="x"} 10']),
        ('sum_over_time(temp{room="x"}[3m])', 2, ['{room="x"} 6']),
        ('avg_over_time(temp{room="x"}[3m])', 3, ['{room="x"} NaN']),
        ('max_over_time(temp{room="x"}[3m])', 4, ['{room="x"} 5']),
        ('quantile_over_time(0.5, temp{room="x"}[3m])', 2, ['{room="x"} 2']),
        ('stddev_over_time(temp{room="x"}[3m])', 2, ['{room="x"} 0.816496580927726']),
        ('mad_over_time(temp{room="x"}[3m])', 2, ['{room="x"} 1']),
        ('last_over_time(temp{room="x"}[1m])', 2, ['temp{room="x"} 3']),
        ('ts_of_max_over_time(temp{room="x"}[3m])', 2, ['{room="x"} 120']),
        ('double_exponential_smoothing(temp{room="x"}[3m], 0.5, 0.5)', 2, ['{room="x"} 3']),
        # A series that ended is not looked back at, one that paused is.
        ('temp{room="y"}', 2, ['temp{room="y"} 10']),
        ('temp{room="y"}', 3, []),
        ('absent(temp{room="y"})', 3, ['{room="y"} 1']),
        ('absent(temp{room=~"y"})', 3, ["{} 1"]),
        ('absent_over_time(gone{a="1",b="2",b="3"}[5m])', 3, ['{a="1"} 1']),
        ('count_over_time(temp{room="y"}[10m])', 4, ['{room="y"} 2']),
        ("temp offset 1m", 1, ['temp{room="x"} 1', 'temp{room="y"} 10']),
        ('temp{room="x"} @ 120', 9, ['temp{room="x"} 3']),
        ('timestamp(temp{room="x"} offset 30s)', 2, ['{room="x"} 60']),
        ('timestamp(temp{room="x"} + 0)', 2.5, ['{room="x"} 150']),
        ('sum_over_time(temp{room="x"}[2m:30s])', 2, ['{room="x"} 8']),
        # Aggregations.
        ("sum by (job) (req_total)", 4, ['{job="a"} 264', '{job="b"} 120']),
        ("sum without (code) (req_total)", 4, ['{job="a"} 264', '{job="b"} 120']),
        ("count(req_total)", 4, ["{} 3"]),
        ("topk(1, req_total)", 4, ['req_total{job="a",code="200"} 240']),
        ("bottomk(1, req_total)", 4, ['req_total{job="a",code="500"} 24']),
        ("quantile(0.5, req_total)", 4, ["{} 120"]),
        ("stdvar(temp)", 0, ["{} 20.25"]),
        ('count_values("v", temp)', 4, ['{v="4"} 1', '{v="5"} 1']),
        ("group(req_total)", 4, ["{} 1"]),
        ("max(temp)", 4, ["{} 5"]),
        ("limitk(2, req_total)", 4, [
            'req_total{job="a",code="200"} 240', 'req_total{job="b",code="200"} 120']),
        # Operators and matching.
        ('req_total{code="500"} / ignoring (code) req_total{code="200"}', 4, ['{job="a"} 0.1']),
        ('req_total{code="500"} / on (job) sum by (job) (req_total)', 4, [
            '{job="a"} 0.09090909090909091']),
        ("req_total * on (job) group_left (version) info", 4, [
            '{job="a",code="200",version="1"} 240', '{job="a",code="500",version="1"} 24',
            '{job="b",code="200",version="2"} 120']),
        ("req_total > 100", 4, [
            'req_total{job="a",code="200"} 240', 'req_total{job="b",code="200"} 120']),
        ("100 < req_total", 4, [
            'req_total{job="a",code="200"} 240', 'req_total{job="b",code="200"} 120']),
        ('req_total{code="500"} > bool 100', 4, ['{job="a",code="500"} 0']),
        ('req_total{job="b"} and on (job) info', 4, ['req_total{job="b",code="200"} 120']),
        ('info unless on (job) req_total{job="b"}', 4, ['info{job="a",version="1"} 1']),
        ("vector(7) or on () temp", 4, ["{} 7"]),
        ("sum(gone) + fill_left (1) vector(2)", 4, ["{} 3"]),
        ("-vector(1) ^ 2", 4, ["{} -1"]),
        ("vector(7) % vector(-4)", 4, ["{} 3"]),
        # Functions.
        ("histogram_quantile(0.5, lat_bucket)", 4, ["{} 1"]),
        ("histogram_quantile(0.65, lat_bucket)", 4, ["{} 1.5"]),
        ("histogram_quantile(0.9, lat_bucket)", 4, ["{} 2"]),
        ("histogram_quantile(2, lat_bucket)", 4, ["{} Inf"]),
        ("histogram_fraction(0, 1.5, lat_bucket)", 4, ["{} 0.65"]),
        ("histogram_count(temp)", 4, []),
        ('label_replace(info{job="a"}, "v", "$1-$2$$", "version", "(.)()")', 4, [
            'info{job="a",version="1",v="1-$"} 1']),
        ('label_replace(info{job="a"}, "v", "${x}", "version", "(?P<x>.)")', 4, [
            'info{job="a",version="1",v="1"} 1']),
        ('label_replace(info{job="a"}, "version", "", "version", ".*")', 4, ['info{job="a"} 1']),
        ('label_join(info{job="a"}, "j", "/", "job", "version")', 4, [
            'info{job="a",version="1",j="a/1"} 1']),
        ("clamp(vector(5), 1, 3)", 4, ["{} 3"]),
        ("clamp(vector(5), 3, 1)", 4, []),
        ("round(vector(2.5))", 4, ["{} 3"]),
        ("round(vector(-2.5))", 4, ["{} -2"]),
        ("sgn(vector(-0.1))", 4, ["{} -1"]),
        ("day_of_week(vector(0)) + 10 * month(vector(0))", 4, ["{} 14"]),
        ("days_in_month(vector(951782400))", 4, ["{} 29"]),
        ("year(vector(-1))", 4, ["{} 1969"]),
        ("scalar(temp) + vector(1)", 4, ["{} NaN"]),
        ("vector(time())", 4, ["{} 240"]),
    ],
)  # fmt: skip
def test_facts(query, minute, lines):
    """Prometheus 3's answer."""
    given, wanted = answer(engine_over(SERIES), query, minute), expected(*lines)
    assert given.keys() == wanted.keys()
    for labels, value in wanted.items():
        assert given[labels] == pytest.approx(value, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("query", "open_edge", "closed_edge"),
    [
        ('count_over_time(temp{room="x"}[2m])', 2.0, 3.0),
        ('count_over_time(temp{room="x"}[2m:1m])', 2.0, 3.0),
        ('increase(req_total{job="b"}[2m])', 60.0, 60.0),
    ],
)
def test_the_left_edge(query, open_edge, closed_edge):
    """Prometheus 3 leaves the sample at the edge out, Prometheus 2 holds it."""
    for semantics, value in ((PROMETHEUS_3, open_edge), (PROMETHEUS_2, closed_edge)):
        assert list(answer(engine_over(SERIES, semantics), query, 4).values()) == [value]


def test_the_lookback_has_the_same_edge():
    """A sample exactly five minutes old is seen by Prometheus 2 only."""
    for semantics, seen in ((PROMETHEUS_3, 0), (PROMETHEUS_2, 1)):
        assert len(answer(engine_over(["one 1"], semantics), "one", 5)) == seen
        assert len(answer(engine_over(["one 1"], semantics), "one", 4.999)) == 1


def test_names_may_be_dropped_at_the_end_only():
    """With delayed removal the name is still there for what comes in between."""
    delayed = replace(PROMETHEUS_3, is_name_removal_delayed=True)
    renamed = 'label_replace(rate(req_total[5m]), "kept", "$1", "__name__", "(.*)_total")'
    for semantics, kept in ((delayed, "req"), (PROMETHEUS_3, None)):
        found = answer(engine_over(SERIES, semantics), renamed, 5)
        assert {dict(labels).get("kept") for labels in found} == {kept}
        assert all("__name__" not in dict(labels) for labels in found)
    both = ['a{x="1"} 1', 'b{x="1"} 2']
    query = 'count by (x) (abs({x="1"}))'
    assert answer(engine_over(both, delayed), query, 0) == {(("x", "1"),): 2.0}
    with pytest.raises(ExecutionError, match="same labelset"):
        answer(engine_over(both), query, 0)


AMBIGUOUS = [
    ("info + on () group_left (job) req_total", "found duplicate series for the match group {}"),
    (
        "req_total * on (job) info",
        (
            "multiple matches for labels: many-to-one matching must be explicit (group_left/"
            "group_right)"
        ),
    ),
    (
        'req_total * on (job) group_left (code) label_replace(info, "code", "1", "", "")',
        "multiple matches for labels: grouping labels must ensure unique matches",
    ),
    ('abs({__name__=~"x.", a="1"})', "vector cannot contain metrics with the same labelset"),
    (
        'label_replace(temp, "x", "$1", "room", "(")',
        "invalid regular expression in label_replace(): (",
    ),
    ("topk(scalar(gone), temp)", "Parameter value is NaN"),
    ("topk(1e30, temp)", "Scalar value 1e+30 overflows int64"),
    (
        "double_exponential_smoothing(temp[5m], 2, 0.5)",
        "invalid smoothing factor. Expected: 0 < sf < 1, got: 2.000000",
    ),
]


@pytest.mark.parametrize(("query", "message"), AMBIGUOUS)
def test_what_the_data_does_not_allow(query, message):
    """An execution error in Prometheus' words."""
    with pytest.raises(ExecutionError) as raised:
        answer(engine_over([*SERIES, 'x1{a="1"} 1', 'x2{a="1"} 1']), query, 4)
    assert message in str(raised.value)


def test_doubts_are_annotations():
    """Text, place, and each only once; the answer comes all the same."""
    falling = ['fall_bucket{le="1"} 5', 'fall_bucket{le="+Inf"} 3']
    engine = engine_over([*SERIES, 'bad_bucket{le="x"} 1', *falling])
    result = engine.instant("histogram_quantile(1.5, bad_bucket)", 0)
    assert list(result.warnings) == [
        "PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:20)",
        'PromQL warning: bucket label "le" is missing or has a malformed value of "x" (1:25)',
    ]
    (info,) = engine.instant("histogram_quantile(0.5, fall_bucket)", 0).infos
    assert info.startswith("PromQL info: input to histogram_quantile needed to be fixed for")
    assert info.endswith(
        "from buckets +Inf to +Inf, with a max diff of 2, over 1 samples from "
        "1970-01-01T00:00:00Z to 1970-01-01T00:00:00Z (1:25)"
    )
    infos = engine.instant("rate(temp[5m]) + rate(temp[5m])", 300_000).infos
    assert [one[-12:] for one in infos] == ['"temp" (1:6)', '"temp" (1:23)'[-12:]]


def test_a_range_query_has_one_value_per_step():
    """Steps without a sample are left out; start, end and step are the query's."""
    engine = engine_over(SERIES)
    result = engine.range('temp{room="y"}', QueryTimes(0, 5 * MINUTE_MS, MINUTE_MS))
    (series,) = result.series
    assert series.times_ms.tolist() == [0, 60_000, 120_000, 240_000, 300_000]
    assert series.values.tolist() == [10.0, 10.0, 10.0, 4.0, 4.0]
    (numbers,) = engine.range(
        "start() + end() + step() + range()", QueryTimes(60_000, 120_000, 30_000)
    ).series
    assert numbers.values.tolist() == [60.0 + 120.0 + 30.0 + 60.0] * 3


def test_sorting_orders_instant_vectors_only():
    """NaN last both ways; in a range query there is a warning instead."""
    engine = engine_over(['m{n="10"} 2', 'm{n="9"} NaN', 'm{n="1"} 3'])

    def order(query):
        return [dict(one.labels)["n"] for one in engine.instant(query, 0).series]

    assert order("sort(m)") == ["10", "1", "9"]
    assert order("sort_desc(m)") == ["1", "10", "9"]
    assert order('sort_by_label(m, "n")') == ["1", "9", "10"]
    assert order('sort_by_label_desc(m, "n")') == ["10", "9", "1"]
    assert order("topk(3, m)") == ["1", "10", "9"]
    (warning,) = engine.range("sort(m)", QueryTimes(0, 60_000, 60_000)).warnings
    assert "sort is ineffective for range queries" in warning


def test_counter_resets_add_what_was_held():
    """increase over many resets is the plain sum of what was added, extrapolated by 1 ms."""
    values = np.tile([1.0, 5.0, 2.0, 9.0], 50)
    times = 15_000 * np.arange(len(values), dtype=np.int64)
    source = MemorySource([(make_labels({"__name__": "c_total"}), times, values)])
    engine = Engine(source, FixedClock(), EngineConfig(PROMETHEUS_3, 300_000, 60_000, LIMITS))
    added = sum(
        later - before if later >= before else later for before, later in itertools.pairwise(values)
    )
    end_ms = int(times[-1])
    (value,) = answer(engine, f"increase(c_total[{end_ms + 1}ms])", end_ms / 60_000).values()
    assert value == pytest.approx(added * (end_ms + 1) / end_ms, rel=1e-12)


def test_limits_bite_by_name():
    """Samples, series, steps, subquery steps: each with its own words."""
    small = replace(LIMITS, max_samples=20, max_series=2, max_steps=10, max_subquery_steps=5)
    engine = engine_over(SERIES, limits=small)
    with pytest.raises(TooManySamples, match="more than 2 series"):
        engine.instant("req_total", 0)
    with pytest.raises(TooManySamples, match="would load too many samples"):
        engine.instant("sum_over_time(temp[1h]) or sum_over_time(info[1h])", 600_000)
    with pytest.raises(ExecutionError, match="a subquery has 60 steps, accepted are 5"):
        engine.instant("sum_over_time(vector(1)[1h:1m])", 0)
    with pytest.raises(BadData, match="exceeded maximum resolution of 10 points per timeseries"):
        engine.range("vector(1)", QueryTimes(0, 11, 1))


class SlowSource(MemorySource):
    """Takes a minute of its clock per question."""

    def __init__(self, clock: FixedClock) -> None:
        labels = make_labels({"__name__": "m"})
        super().__init__([(labels, np.zeros(1, dtype=np.int64), np.ones(1))])
        self._clock = clock

    def select(self, matchers, start_ms, end_ms, meter):
        self._clock.advance(60.0)
        return super().select(matchers, start_ms, end_ms, meter)


def test_a_query_ends_at_its_deadline():
    """The configured one, or a shorter one that the query asks for; never a longer one."""
    clock = FixedClock()
    limits = replace(LIMITS, timeout_s=100.0)
    engine = Engine(
        SlowSource(clock), clock, EngineConfig(PROMETHEUS_3, 300_000, MINUTE_MS, limits)
    )
    assert len(engine.instant("m", 0).series) == 1
    for query, timeout_s in (("m + m offset 1s", None), ("m", 30.0), ("m + m offset 1s", 1e3)):
        with pytest.raises(QueryTimeout, match="query timed out"):
            engine.instant(query, 0, timeout_s=timeout_s)
