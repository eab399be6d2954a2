"""The JSON of a look: what the API serves, the dashboards draw and a replay compares."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from analysis.canary.config import Mode, default_config_text, load_canary_config
from analysis.canary.fixed_time import Classification
from analysis.canary.judge import CanaryJudge
from bench.canary.streams import RELEASES, START, Traffic, blocks_of_seconds

RULE = load_canary_config(default_config_text())
NUMBER = (int, float)
OPTIONAL_NUMBER = (int, float, type(None))

LOOK = {
    "index": int,
    "unix_nano": int,
    "elapsed_s": NUMBER,
    "verdict": str,
    "final": bool,
    "reason": str,
    "summary": str,
    "culprit_metric": (str, type(None)),
    "culprit_split": (str, type(None)),
    "log_e_value": NUMBER,
    "max_log_e_value": NUMBER,
    "threshold_log_e": NUMBER,
    "certify_threshold_log_e": NUMBER,
    "metrics": list,
    "traffic": dict,
    "inputs_digest": str,
    "rule_digest": str,
    "code_version": str,
}
METRIC = {
    "name": str,
    "kind": str,
    "split": str,
    "state": str,
    "critical": bool,
    "weight": NUMBER,
    "log_e_value": NUMBER,
    "p_value": NUMBER,
    "dispersion_ratio": NUMBER,
    "certificates": dict,
    "baseline": dict,
    "canary": dict,
    "effect": dict,
    "effects": list,
    "blocks_used": int,
    "blocks_skipped": dict,
}
#: Of a metric in a mode that answers once, beside the others; evidence is null then.
FIXED_TIME = {
    "mode": str,
    "point_s": int,
    "statistic": str,
    "points": dict,
    "intervals": int,
    "gaps": dict,
    "classification": str,
    "reason": str,
    "p_value": OPTIONAL_NUMBER,
    "figures": dict,
}
EFFECT = {
    "estimate": OPTIONAL_NUMBER,
    "low": OPTIONAL_NUMBER,
    "high": OPTIONAL_NUMBER,
    "unit": str,
    "label": str,
}


def check(value: dict, shape: dict) -> None:
    assert set(value) == set(shape)
    for key, kind in shape.items():
        assert isinstance(value[key], kind), (key, value[key])


def looks(release: str, seconds: int, rule=RULE):
    judge = CanaryJudge(rule, START)
    rng = np.random.default_rng(2)
    for now, blocks in blocks_of_seconds(Traffic(12, 12), RELEASES[release], seconds, rng):
        look = judge.look(blocks, now)
        yield look
        if look.final:
            return


@pytest.mark.parametrize("release", ["N5-good", "F01-legacy-tv-30%-fail"])
def test_every_look_has_the_documented_shape(release):
    last = None
    for look in looks(release, 300):
        shown = json.loads(json.dumps(look.to_json(), allow_nan=False))
        check(shown, LOOK)
        assert shown["verdict"] in {"observing", "pass", "fail", "inconclusive", "invalid"}
        for metric in shown["metrics"]:
            check(metric, METRIC)
            for effect in (metric["effect"], *metric["effects"]):
                check(effect, EFFECT)
        last = shown
    assert last is not None
    assert last["final"]
    assert last["verdict"] == ("pass" if release == "N5-good" else "fail")


@pytest.mark.parametrize("mode", ["exact", "kayenta"])
@pytest.mark.parametrize("release", ["N5-good", "F01-legacy-tv-30%-fail"])
def test_every_look_of_modes_that_answer_once_has_its_shape(release, mode):
    metrics = tuple(replace(m, mode=Mode(mode), point_s=2) for m in RULE.metrics)
    rule = replace(RULE, metrics=metrics, horizon_s=30.0)
    optional = dict.fromkeys(("log_e_value", "max_log_e_value", "p_value"), OPTIONAL_NUMBER)
    words = set()
    for look in looks(release, 30, rule):
        shown = json.loads(json.dumps(look.to_json(), allow_nan=False))
        check(shown, {**LOOK, **{key: optional[key] for key in LOOK if key in optional}})
        for metric in shown["metrics"]:
            once = metric.pop("fixed_time")
            check(metric, {**METRIC, **{key: optional[key] for key in METRIC if key in optional}})
            check(metric["effect"], EFFECT)
            check(once, FIXED_TIME)
            check(once["points"], {"baseline": int, "canary": int})
            check(once["gaps"], {"baseline": int, "canary": int})
            words.add(once["classification"])
    assert "waiting" in words
    assert words <= set(Classification)
    assert shown["final"]


def test_intervals_hold_their_estimates():
    """Within a hundredth: quantiles are interpolated inside buckets, bounds sit on edges."""
    *_, look = looks("N5-good", 60)
    compared = 0
    for effect in (e for metric in look.metrics for e in (metric.effect, *metric.effects)):
        if None not in (effect.estimate, effect.low, effect.high) and np.isfinite(effect.estimate):
            assert effect.low <= effect.estimate * 1.01
            assert effect.estimate <= effect.high * 1.01
            compared += 1
    assert compared >= 6


def test_the_verdict_repeats_what_the_look_says():
    *_, look = looks("F01-legacy-tv-30%-fail", 300)
    verdict = look.verdict.to_json()
    assert verdict["kind"] == "fail"
    assert verdict["summary"] == look.summary
    assert verdict["unix_nano"] == look.unix_nano
    assert verdict["culprit_metric"] == look.to_json()["culprit_metric"]
