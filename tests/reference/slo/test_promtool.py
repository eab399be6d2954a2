"""Our PromQL against Debian's ``promtool test rules``: burn-rate values and alert states by minute.

Every scenario is 48 hours at one sample and one evaluation a minute. Values are asserted within
1e-9 (promtool before 3.5 compares floats bit by bit), alert states exactly. Prometheus 2 semantics:
the left edge of a range belongs to it. A few scenarios run by default, all of them as ``slow``.
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from dataclasses import dataclass

import numpy as np
import pytest

from collector.promql.engine import Engine, EngineConfig
from collector.promql.labels import make_labels
from collector.promql.limits import QueryLimits
from collector.promql.memory import MemorySource
from collector.promql.selecting import QueryTimes
from collector.promql.semantics import PROMETHEUS_2, PROMETHEUS_3
from telemetry.clock import SystemClock

PROMTOOL = shutil.which("promtool")
pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")

MINUTES = 48 * 60
MINUTE_MS = 60_000
WINDOWS = ("5m", "30m", "1h", "6h")
RATIO = "sum(rate(bad_total[{0}])) / sum(rate(req_total[{0}]))"
#: Name -> long window, short window, factor; the target is 99.9 %.
ALERTS = {"Fast": ("1h", "5m", 14.4), "Slow": ("6h", "30m", 6.0)}
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Scenario:
    """Requests a minute by day and by night, and what goes wrong when (minutes)."""

    name: str
    day: int
    night: int
    #: First minute, minutes, share of errors.
    faults: tuple[tuple[int, int, float], ...] = ()
    #: First minute and minutes without a sample.
    gaps: tuple[tuple[int, int], ...] = ()
    #: Minutes at which the counters begin anew.
    resets: tuple[int, ...] = ()
    #: First minute and minutes without a request.
    idle: tuple[tuple[int, int], ...] = ()


SCENARIOS = (
    Scenario("day and night, an hour out at night", 1000, 10, ((180, 60, 1.0),)),
    Scenario("gap in an outage", 600, 600, ((700, 120, 1.0),), gaps=((730, 20),)),
    Scenario("reset in an outage", 600, 600, ((700, 120, 0.5),), resets=(750,)),
    Scenario("idle stretch", 1000, 10, ((400, 15, 0.15),), idle=((900, 400),)),
    Scenario("healthy", 600, 600),
    Scenario("an hour out by day", 1000, 10, ((780, 60, 1.0),)),
    Scenario("workbook's 15 % for 10 minutes", 600, 600, ((120, 10, 0.15),)),
    Scenario("10 % for an hour", 600, 600, ((500, 60, 0.1),)),
    Scenario("2 % for two hours", 1000, 100, ((500, 120, 0.02),)),
    Scenario("1 % for four hours", 1000, 100, ((500, 240, 0.01),)),
    Scenario("0.7 % for six hours", 600, 600, ((500, 360, 0.007),)),
    Scenario("at the factor", 1000, 1000, ((500, 300, 0.0144),)),
    Scenario("spikes of five minutes", 600, 600, tuple((300 + 10 * i, 5, 0.2) for i in range(60))),
    Scenario("two incidents", 600, 60, ((300, 30, 0.3), (1500, 200, 0.05))),
    Scenario("begins broken", 600, 600, ((0, 45, 1.0),)),
    Scenario("ends broken", 600, 600, ((2700, 180, 1.0),)),
    Scenario("many resets", 600, 60, ((800, 300, 0.04),), resets=tuple(range(60, 2880, 97))),
    Scenario("short gaps", 600, 60, ((800, 90, 0.2),), tuple((i, 3) for i in range(5, 2800, 41))),
    Scenario("a gap longer than every window", 600, 600, ((900, 60, 1.0),), gaps=((930, 500),)),
    Scenario("few requests", 1, 1, ((1000, 120, 1.0),)),
    Scenario(
        "everything", 1000, 10, ((600, 90, 0.3), (2000, 300, 0.008)),
        gaps=((640, 7),), resets=(655, 2100), idle=((1200, 90),),
    ),
)  # fmt: skip


def counters(scenario):
    """Running totals of requests and errors per minute; NaN where there is no sample."""
    rng = np.random.default_rng(sum(map(ord, scenario.name)))
    minute = np.arange(MINUTES + 1)
    rate = np.where((minute // 720) % 2 == 1, scenario.day, scenario.night)
    for start, length in scenario.idle:
        rate[start : start + length] = 0
    share = np.full(MINUTES + 1, 0.0002)
    for start, length, ratio in scenario.faults:
        share[start : start + length] = ratio
    requests = rng.poisson(rate) if scenario.day > 1 else rate
    errors = rng.binomial(requests, share)
    totals = []
    for events in (requests, errors):
        running = np.cumsum(events).astype(float)
        for at in scenario.resets:
            running[at:] -= running[at] - events[at]
        for start, length in scenario.gaps:
            running[start : start + length] = np.nan
        totals.append(running)
    return totals


def evaluated(requests, errors, semantics):
    """Ratios per window and states per alert, minute by minute; NaN where there is none."""
    series = []
    for name, values in (("req_total", requests), ("bad_total", errors)):
        seen = np.flatnonzero(~np.isnan(values))
        labels = make_labels({"__name__": name, "job": "x"})
        series.append((labels, seen.astype(np.int64) * MINUTE_MS, values[seen]))
    limits = QueryLimits(10**8, 100, 20_000, 20_000, 60.0)
    engine = Engine(
        MemorySource(series), SystemClock(), EngineConfig(semantics, 300_000, MINUTE_MS, limits)
    )

    def ask(query):
        found = engine.range(query, QueryTimes(0, MINUTES * MINUTE_MS, MINUTE_MS)).series
        values = np.full(MINUTES + 1, np.nan)
        for one in found:
            values[one.times_ms // MINUTE_MS] = one.values
        return values, {int(at) // MINUTE_MS for one in found for at in one.times_ms}

    ratios = {window: ask(RATIO.format(window))[0] for window in WINDOWS}
    states = {}
    for name, (long, short, factor) in ALERTS.items():
        over = [f"({RATIO.format(w)} > {factor} * 0.001)" for w in (long, short)]
        states[name] = ask(" and ".join(over))[1]
    return ratios, states


def run_promtool(folder, requests, errors, ratios, states):
    """Ours as expectations: (exit status, output, number of assertions)."""
    rules = [{"record": f"e:{w}", "expr": RATIO.format(w)} for w in WINDOWS]
    for name, (long, short, factor) in ALERTS.items():
        expr = f"(e:{long} > {factor} * 0.001) and (e:{short} > {factor} * 0.001)"
        rules.append({"alert": name, "expr": expr})
    alerts = [
        {"eval_time": f"{at}m", "alertname": name, "exp_alerts": [{}] if at in on else []}
        for name, on in states.items()
        for at in range(MINUTES + 1)
    ]
    values = [
        {
            "expr": f"abs(e:{window} - {value!r}) <= bool {TOLERANCE}",
            "eval_time": f"{at}m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for window, found in ratios.items()
        for at, value in enumerate(found.tolist())
        if not math.isnan(value)
    ]
    samples = [
        {
            "series": f'{name}{{job="x"}}',
            "values": " ".join("_" if math.isnan(v) else repr(v) for v in found.tolist()),
        }
        for name, found in (("req_total", requests), ("bad_total", errors))
    ]
    test = {"interval": "1m", "input_series": samples, "alert_rule_test": alerts}
    test["promql_expr_test"] = values
    # JSON is YAML.
    (folder / "rules.yml").write_text(
        json.dumps({"groups": [{"name": "g", "interval": "1m", "rules": rules}]})
    )
    (folder / "test.yml").write_text(
        json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]})
    )
    done = subprocess.run(
        [PROMTOOL, "test", "rules", "test.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr, len(alerts) + len(values)


def cases():
    return [
        pytest.param(one, marks=[] if i < 2 else pytest.mark.slow, id=one.name)
        for i, one in enumerate(SCENARIOS)
    ]


@pytest.mark.parametrize("scenario", cases())
def test_values_and_alert_states_are_promtools(scenario, tmp_path):
    requests, errors = counters(scenario)
    ratios, states = evaluated(requests, errors, PROMETHEUS_2)
    assert any(states.values()) or scenario.name in ("healthy", "0.7 % for six hours")
    status, output, asserted = run_promtool(tmp_path, requests, errors, ratios, states)
    assert asserted > 2 * MINUTES
    assert status == 0, output[:3_000]


def test_a_wrong_state_or_value_fails(tmp_path):
    """One minute of one alert, then one value by a millionth."""
    requests, errors = counters(SCENARIOS[0])
    ratios, states = evaluated(requests, errors, PROMETHEUS_2)
    wrong = {**states, "Fast": states["Fast"] ^ {200}}
    status, output, _ = run_promtool(tmp_path, requests, errors, {}, wrong)
    assert status == 1
    assert "3h20m" in output
    off = {"1h": ratios["1h"].copy()}
    off["1h"][200] += 1e-6
    status, _, _ = run_promtool(tmp_path, requests, errors, off, {})
    assert status == 1


def test_the_open_left_edge_of_prometheus_3_is_told_apart(tmp_path):
    requests, errors = counters(SCENARIOS[1])
    ratios, _ = evaluated(requests, errors, PROMETHEUS_3)
    status, _, _ = run_promtool(tmp_path, requests, errors, {"5m": ratios["5m"]}, {})
    assert status == 1
