"""One incident is one state: edges once, silence is no anomaly, definitions are read strictly."""

from __future__ import annotations

import json

import pytest

from analysis.anomaly.errors import SignalsError
from analysis.anomaly.signals import load_signals, shipped_text
from analysis.anomaly.watch import AnomalyState, AnomalyWatch

CONFIG = load_signals(shipped_text())
PLAYBACK, ERRORS = CONFIG.signals
BLOCK_S = 5
NS = 1_000_000_000


class Fed:
    """The watch, fed block by block; every answer is strict JSON."""

    def __init__(self, config=CONFIG):
        self.watch = AnomalyWatch(config, float(BLOCK_S))
        self.now = 1_800_000_000 * NS
        self.edges = []

    def blocks(self, count, counts):
        for _ in range(count):
            self.now += BLOCK_S * NS
            self.edges += self.watch.step(PLAYBACK, self.now, counts)
            json.dumps([one.to_json() for one in self.watch.series], allow_nan=False)

    def state(self, split):
        return {one.split: one.state for one in self.watch.series}[split]


def test_an_incident_is_one_state_and_ends_once():
    fed = Fed()
    fed.blocks(60, {"tv": (1, 100), "phone": (1, 100)})
    assert fed.state("tv") is AnomalyState.NORMAL
    fed.blocks(24, {"tv": (30, 100), "phone": (1, 100)})
    assert [(edge.name, edge.is_anomalous) for edge in fed.edges] == [
        ("playback.start.failures{playback.device.class=tv}", True)
    ]
    assert "expected" in fed.edges[0].text
    assert fed.edges[0].service == "playback"
    assert fed.state("phone") is AnomalyState.NORMAL
    fed.blocks(60, {"tv": (1, 100), "phone": (1, 100)})
    assert [edge.is_anomalous for edge in fed.edges] == [True, False]
    assert fed.state("tv") is AnomalyState.NORMAL


def test_silence_is_no_anomaly():
    fed = Fed()
    fed.blocks(60, {"tv": (1, 100)})
    fed.blocks(int(CONFIG.stale_s) // BLOCK_S, {})
    assert fed.state("tv") is AnomalyState.NORMAL
    (series,) = fed.watch.series
    assert series.to_json()["expected_ratio"] is not None
    assert "Learning" not in series.summary()
    fed.blocks(100, {})
    assert fed.state("tv") is AnomalyState.NO_DATA
    assert fed.watch.series[0].to_json()["observed_ratio"] is None
    fed.blocks(1, {"tv": (1, 100)})
    assert fed.state("tv") is AnomalyState.NORMAL
    assert fed.edges == []


def test_series_beyond_the_limit_are_counted():
    fed = Fed(load_signals(shipped_text().replace("series_max = 200", "series_max = 2")))
    fed.blocks(1, {"a": (0, 1), "b": (0, 1), "c": (0, 1), "": (0, 1)})
    assert [one.split for one in fed.watch.series] == ["a", "b"]
    assert fed.watch.series_refused == 1


def test_outcomes_by_pattern():
    assert [ERRORS.outcome(code) for code in ("200", "404", "500", "503")] == [
        "good",
        "good",
        "bad",
        "bad",
    ]
    assert PLAYBACK.outcome("abandoned") is None


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("min_failures = 5", "min_failures = 5.0", "min_failures"),
        ("min_failures = 5", "min_failures = true", "min_failures"),
        ("min_failures = 5", "min_failures = 0", "min_failures"),
        ("min_failures = 5", "", "min_failures"),
        ("min_failures = 5", "min_failures = 5\nsurprise = 1", "surprise"),
        ("stale_s = 30", "stale_s = nan", "stale_s"),
        ("floor_ratio = 0.002", "floor_ratio = 0", "floor_ratio"),
        ("factors = [2.0, 5.0, 20.0]", "factors = []", "factors"),
        ("factors = [2.0, 5.0, 20.0]", "factors = [nan]", "factors"),
        ("factors = [2.0, 5.0, 20.0]", "factors = [1.0]", "factors"),
        ("factors = [2.0, 5.0, 20.0]", 'factors = [2, "5"]', "factors[1]"),
        ('good_values = ["success"]', 'good_values = "success"', "signals[0].good_values"),
        ('label = "failed playback starts"', "", "signals[0].label"),
        ('label = "failed playback starts"', 'lable = "x"', "signals[0].lable"),
        ('name = "http.server.errors"', 'name = "playback.start.failures"', "signals.name"),
        ("stale_s = 30", "stale_s = ", "file"),
    ],
)
def test_a_wrong_definition_names_its_place(old, new, where):
    text = shipped_text()
    assert old in text
    with pytest.raises(SignalsError) as raised:
        load_signals(text.replace(old, new))
    assert raised.value.where == where


@pytest.mark.parametrize("signals", ["", "signals = []", "signals = 3", "signals = [1]"])
def test_signals_have_to_be_tables(signals):
    with pytest.raises(SignalsError, match="signals"):
        load_signals(signals + "\n" + shipped_text().split("[[signals]]")[0])
