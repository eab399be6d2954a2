"""Random series and PromQL expressions over them, for comparing two evaluators.

Series are what real ones are: counters with resets, gauges with gaps and with values that are not
finite, cumulative buckets, an info metric. Expressions nest a few levels and are always well typed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from collector.promql.labels import NAME, Labels, make_labels
from collector.promql.memory import MemorySource
from collector.promql.series import Floats, Ints

SeriesOf = dict[Labels, tuple[Ints, Floats]]

# fmt: off
RANGE_FUNCTIONS = (
    "rate", "increase", "delta", "irate", "idelta", "resets", "changes", "deriv", "sum_over_time",
    "avg_over_time", "min_over_time", "max_over_time", "count_over_time", "stddev_over_time",
    "stdvar_over_time", "last_over_time", "present_over_time", "absent_over_time",
)
FUNCTIONS = (
    "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sin", "cos", "tan", "asin",
    "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "rad", "deg", "sgn",
    "timestamp", "round", "minute", "hour", "day_of_month", "day_of_week", "day_of_year",
    "days_in_month", "month", "year", "absent",
)
AGGREGATIONS = ("sum", "avg", "min", "max", "count", "stddev", "stdvar", "group")
ARITHMETIC = ("+", "-", "*", "/", "%", "^")
COMPARISONS = (">", "<", ">=", "<=", "==", "!=", "> bool", "== bool")
GROUPINGS = ("", " by (job)", " by (instance)", " without (instance)", " by (job, instance)")
# fmt: on
RANGES = ["30s", "1m", "2m", "5m", "10m", "47s", "15s"]
STEP_MS = 15_000
COUNT = 240


def make_series(rng: np.random.Generator, start_ms: int) -> SeriesOf:
    """An hour of 41 series."""
    series: SeriesOf = {}
    for job in "ab":
        for instance in "123":
            for name in ("req_total", "err_total"):
                labels = {NAME: name, "job": job, "instance": instance}
                series[make_labels(labels)] = counter(rng, start_ms)
            for name, odd in (("g", 0.03), ("h", 0.0)):
                labels = {NAME: name, "job": job, "instance": instance}
                series[make_labels(labels)] = gauge(rng, start_ms, odd)
        times = start_ms + STEP_MS * np.arange(COUNT, dtype=np.int64)
        info = make_labels({NAME: "info", "job": job, "version": f"v{job}"})
        series[info] = (times, np.ones(COUNT))
        growth = np.sort(rng.random((5, COUNT)), axis=0)
        for row, bound in enumerate(("0.1", "0.5", "1", "5", "+Inf")):
            labels = {NAME: "lat_bucket", "job": job, "le": bound}
            series[make_labels(labels)] = (times, np.cumsum(growth[row]))
    return series


def counter(rng: np.random.Generator, start_ms: int) -> tuple[Ints, Floats]:
    """Jittered, with gaps and now and then a reset."""
    added = rng.choice([0, 1, 2, 3.25, 10, 0.1], COUNT)
    values = np.zeros(COUNT)
    total = rng.choice([0.0, 0.0, 5.5, 1000.0])
    for index in range(COUNT):
        total = (0.0 if rng.random() < 0.02 else total) + added[index]
        values[index] = total
    times = start_ms + int(rng.integers(STEP_MS)) + STEP_MS * np.arange(COUNT, dtype=np.int64)
    times = times + rng.integers(-20, 20, COUNT)
    kept = rng.random(COUNT) > 0.05
    return times[kept], values[kept]


def gauge(rng: np.random.Generator, start_ms: int, odd: float) -> tuple[Ints, Floats]:
    """With gaps, whole numbers among the others, and a share of infinite and NaN values."""
    values = rng.normal(10, 20, COUNT)
    values = np.where(rng.random(COUNT) < 0.2, np.round(values), values)
    strange = rng.choice([np.inf, -np.inf, np.nan, 0.0, -0.0], COUNT)
    values = np.where(rng.random(COUNT) < odd, strange, values)
    times = start_ms + int(rng.integers(STEP_MS)) + STEP_MS * np.arange(COUNT, dtype=np.int64)
    kept = rng.random(COUNT) > 0.05
    return times[kept], values[kept]


def source_of_series(series: SeriesOf) -> MemorySource:
    """The series as a source."""
    return MemorySource((labels, times, values) for labels, (times, values) in series.items())


class Expressions:
    """Draws expressions; ``middle_s`` is a time the series have samples around."""

    def __init__(self, rng: np.random.Generator, middle_s: int) -> None:
        self._rng = rng
        self._middle_s = middle_s

    def one_of(self, texts: Sequence[str]) -> str:
        return texts[int(self._rng.integers(len(texts)))]

    def selector(self) -> str:
        at = self._middle_s + int(self._rng.integers(-1800, 1800))
        plain = [
            "req_total", "err_total", "g", "h", 'g{job="a"}', 'h{instance=~"1|2"}',
            'req_total{job!="a"}', '{__name__=~"req_total|err_total"}', "g offset 1m",
            "h offset -2m", f"g @ {at}", "h @ end()", "missing",
        ]  # fmt: skip
        return self.one_of(plain)

    def range(self, *, may_pin: bool = True) -> str:
        names = ["req_total", "err_total", "g", "h", 'g{job="a"}', 'h{instance=~"1|2"}']
        name, width = self.one_of(names), self.one_of(RANGES)
        if self._rng.random() < 0.25:
            step = self.one_of(["15s", "10s", "1m", "7s", ""])
            tails = ["", " offset 30s", " @ start()"]
            return f"{name}[{width}:{step}]{self.one_of(tails[: 3 if may_pin else 2])}"
        tails = ["", "", " offset 1m", " offset -30s", f" @ {self._middle_s}"]
        return f"{name}[{width}]{self.one_of(tails[: 5 if may_pin else 4])}"

    def scalar(self) -> str:
        return self.one_of(
            ["1", "2", "0.5", "-3", "0", "1e3", 'scalar(h{instance="1",job="a"})', "time()", "pi()"]
        )

    def vector(self, depth: int = 0) -> str:
        """An instant vector."""
        if depth > 3:
            return self.selector()
        kinds = (
            (0.14, lambda _: self.selector()),
            (0.22, lambda _: f"{self.one_of(RANGE_FUNCTIONS)}({self.range()})"),
            (0.06, self._special_range),
            (0.08, lambda d: f"{self.one_of(FUNCTIONS)}({self.vector(d)})"),
            (0.05, self._bounded),
            (0.15, self._aggregation),
            (0.05, self._chosen),
            (0.03, lambda d: f'count_values("v", round({self.vector(d)}))'),
            (0.03, self._histogram),
            (0.09, self._with_scalar),
            (0.07, self._with_vector),
            (0.02, lambda d: f'label_replace({self.vector(d)}, "x", "$1-y", "job", "(.*)")'),
            (0.01, lambda d: f"-{self.vector(d)}"),
        )
        weights = np.array([weight for weight, _ in kinds])
        chosen = int(self._rng.choice(len(kinds), p=weights / weights.sum()))
        return kinds[chosen][1](depth + 1)

    def _special_range(self, _: int) -> str:
        # Not pinned by @: Prometheus 2 slides such a range although it is pinned.
        window = self.range(may_pin=False)
        quantiles = ["0.5", "0.9", "-1", "2", 'scalar(h{instance="1",job="a"})/30']
        return self.one_of(
            [
                f"quantile_over_time({self.one_of(quantiles)}, {window})",
                f"predict_linear({window}, {self.scalar()})",
                f"holt_winters({window}, 0.3, 0.6)",
            ]
        )

    def _bounded(self, depth: int) -> str:
        vector = self.vector(depth)
        return self.one_of(
            [
                f"clamp({vector}, {self.scalar()}, {self.scalar()})",
                f"clamp_min({vector}, {self.scalar()})",
                f"clamp_max({vector}, {self.scalar()})",
                f"round({vector}, {self.scalar()})",
            ]
        )

    def _aggregation(self, depth: int) -> str:
        grouping = self.one_of([*GROUPINGS, " by (__name__)", " without (job)"])
        return f"{self.one_of(AGGREGATIONS)}{grouping} ({self.vector(depth)})"

    def _chosen(self, depth: int) -> str:
        grouping, vector = self.one_of(GROUPINGS), self.vector(depth)
        k = self.one_of(["1", "2", "3", "0", "100"])
        quantile = self.one_of(["0.5", "0.99", "-1", "2"])
        return self.one_of(
            [
                f"topk{grouping} ({k}, {vector})",
                f"bottomk{grouping} ({k}, {vector})",
                f"quantile{grouping} ({quantile}, {vector})",
            ]
        )

    def _histogram(self, _: int) -> str:
        buckets = ["lat_bucket", "rate(lat_bucket[5m])", "sum by (le) (rate(lat_bucket[2m]))"]
        level = self.one_of(["0.5", "0.9", "0.99", "0", "1"])
        return f"histogram_quantile({level}, {self.one_of(buckets)})"

    def _with_scalar(self, depth: int) -> str:
        operator = self.one_of([*ARITHMETIC, *COMPARISONS])
        vector, scalar = self.vector(depth), self.scalar()
        if self._rng.random() < 0.25:
            return f"({scalar} {operator} {vector})"
        return f"({vector} {operator} {scalar})"

    def _with_vector(self, depth: int) -> str:
        operator = self.one_of(["+", "-", "*", "/", "and", "or", "unless", ">", "== bool"])
        matching = self.one_of(
            [
                "", " on (job, instance)", " ignoring (instance)", " on (job) group_left",
                " on (job) group_left (version)", " ignoring (version) group_right",
                " on(instance)",
            ]
        )  # fmt: skip
        if operator in {"and", "or", "unless"}:
            matching = matching.split(" group")[0]
        right = self.one_of(["info", "h", "g", self.vector(depth)])
        return f"({self.vector(depth)} {operator}{matching} {right})"
