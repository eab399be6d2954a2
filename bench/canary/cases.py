"""Replay reference cases of Kayenta's judge, whole files of them.

python -m bench.canary.cases FILE... [--verbose]

FILE is in the format of the reference set: ``{"cases": [{id, suite, config, control, experiment,
input, expected}]}``, one suite per part of the judge, or of the known failures ``{"cases": [{id,
control, experiment, config, kayenta, should}]}``. A case passes when every expected value is met
within its stated tolerance, limits and estimates within 1e-6. The last line is "N passed, N
failed", after one JSON line with the same figures.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from analysis.canary.kayenta import mann_whitney, standalone, statistics
from analysis.canary.kayenta.classify import (
    Classification,
    Direction,
    Label,
    MetricRule,
    classify,
    classify_by_means,
)
from analysis.canary.kayenta.errors import KayentaError
from analysis.canary.kayenta.judge import get_path, judge, metric_config
from analysis.canary.kayenta.metric_sets import MetricSet, MetricSetPair, pair, pair_all
from analysis.canary.kayenta.score import MetricResult, score

LIMIT = 1e-6
Case = Mapping[str, Any]


class CaseFailedError(Exception):
    """An expectation that was not met, or one nobody here knows how to check."""


def expect(*, is_met: bool, message: str) -> None:
    if not is_met:
        raise CaseFailedError(message)


def number(value: Any) -> float:
    """JSON has no NaN: the files write it as text."""
    return math.nan if value in (None, "NaN") else float(value)


def numbers(values: Any) -> np.ndarray:
    return np.array([number(value) for value in values or []], dtype=float)


def expect_close(what: str, found: float, wanted: Any, tolerance: float = LIMIT) -> None:
    wanted = number(wanted)
    is_met = math.isnan(found) if math.isnan(wanted) else abs(found - wanted) <= tolerance
    expect(is_met=is_met, message=f"{what}: got {found!r}, expected {wanted!r} +- {tolerance}")


def expect_values(what: str, found: np.ndarray, wanted: Any) -> None:
    expected = numbers(wanted)
    is_met = len(found) == len(expected) and bool(
        np.all((found == expected) | (np.isnan(found) & np.isnan(expected)))
    )
    expect(is_met=is_met, message=f"{what}: got {found.tolist()}, expected {expected.tolist()}")


def generator(case: Case) -> np.random.Generator:
    """A seed per case: constant sides get noise, and the case must not depend on which."""
    return np.random.default_rng(sum(case["id"].encode()))


# --- suites ---------------------------------------------------------------------------------


def rule_of(config: Mapping[str, Any]) -> MetricRule:
    measure = config.get("effectSizeMeasure", "meanRatio")
    usual = [0.5, 0.5] if measure == "cles" else [1.0, 1.0]
    allowed = config.get("effectSizeThresholds", usual)
    critical = config.get("criticalThresholds", usual)
    return MetricRule(
        direction=Direction(config.get("direction", "either")),
        is_nan_removed=config.get("nanStrategy", "remove") != "replace",
        is_critical=config.get("isCriticalMetric", False),
        is_data_required=config.get("isDataRequired", False),
        measure=measure,
        allowed=(allowed[0], allowed[1]),
        critical=(critical[0], critical[1]),
        tolerance=config.get("tolerance", 0.25),
        confidence=config.get("confLevel", 0.98),
    )


def classified(case: Case) -> Classification:
    config = case["config"]
    control, experiment = numbers(case["control"]), numbers(case["experiment"])
    rule = rule_of(config)
    if config.get("classifier") == "MeanInequality":
        return classify_by_means("metric", control, experiment, rule)
    return classify("metric", control, experiment, rule, generator(case))


def check_classifier(case: Case) -> None:
    found, expected = classified(case), case["expected"]
    wanted = expected["classification"]
    expect(is_met=found.label == wanted, message=f"got {found.label}, expected {wanted}")
    if "critical" in expected:
        message = f"critical: got {found.is_critical}"
        expect(is_met=found.is_critical is expected["critical"], message=message)
    if "deviation" in expected:
        tolerance = number(expected.get("deviation_tolerance", LIMIT))
        expect_close("deviation", found.deviation, expected["deviation"], tolerance)


def check_mann_whitney(case: Case) -> None:
    control, experiment = numbers(case["control"]), numbers(case["experiment"])
    expected, function = case["expected"], case["config"]["function"]
    if function.startswith("wilcoxonDiff"):
        for asked, wanted in expected.items():
            if asked == "tolerance":
                continue
            mu, quantile = (float(part.split("=")[1]) for part in asked.split(","))
            found = mann_whitney.wilcoxon_diff(mu, quantile, experiment, control)
            expect_close(asked, found, wanted, expected.get("tolerance", LIMIT))
        return
    confidence = case["config"].get("confLevel", 0.95)
    interval = mann_whitney.shift_interval(experiment, control, confidence)
    named = {"ciLower": interval.low, "ciUpper": interval.high, "estimate": interval.estimate}
    for name, found in named.items():
        if name in expected:
            tolerance = expected.get(f"{name}_tolerance", LIMIT)
            expect_close(name, found, expected[name], tolerance)


def outliers_of(config: Mapping[str, Any], values: np.ndarray) -> np.ndarray:
    if config["detector"] == "KSigma":
        return statistics.is_outlier_by_sigma(values, float(config.get("k", 3.0)))
    is_guarded = bool(config.get("reduceSensitivity", False))
    factor = float(config.get("factor", 1.5))
    return statistics.is_outlier_by_quartiles(values, factor, is_guarded=is_guarded)


def check_detector(case: Case) -> None:
    found = outliers_of(case["config"], numbers(case["input"])).tolist()
    expect(is_met=found == case["expected"]["outliers"], message=f"outliers: got {found}")


def check_transform(case: Case) -> None:
    config, values, expected = case["config"], numbers(case["input"]), case["expected"]
    kind = config["transform"]
    if kind == "addGaussianNoise":
        mean, std = number(config["mean"]), number(config["stdev"])
        drawn = statistics.with_noise(values, mean, std, generator(case))
        expect(is_met=len(drawn) == expected["length"], message=f"length: got {len(drawn)}")
        # Five draws of a generator of another platform say nothing; many of ours do.
        many = statistics.with_noise(np.resize(values, 4000), mean, std, generator(case))
        expect_close("mean", float(many.mean()), expected["mean"], expected["tolerance"])
        expect_close("stdev", float(many.std()), expected["stdev"], expected["tolerance"])
        return
    if kind == "removeNaNs":
        found = statistics.without_nan(values)
    elif kind == "replaceNaNs":
        found = statistics.nan_replaced(values, number(config.get("value", 0.0)))
    elif kind == "removeOutliers":
        found = values[~outliers_of(config, values)]
    else:
        raise CaseFailedError(f"unknown transform {kind!r}")
    expect_values("output", found, expected["output"])


def check_statistic(case: Case) -> None:
    function, expected = case["config"]["function"], case["expected"]
    if function in ("meanRatio", "cles"):
        of = statistics.mean_ratio if function == "meanRatio" else None
        of = of or statistics.common_language_effect
        found = of(numbers(case["control"]), numbers(case["experiment"]))
        tolerance = number(expected.get("tolerance", LIMIT))
        expect_close(function, found, expected["value"], max(tolerance, LIMIT))
        return
    raw = case.get("input") or {}
    values = numbers(raw.get("values") if isinstance(raw, Mapping) else raw)
    if function == "percentile":
        for p, wanted in expected["percentiles"].items():
            tolerance = number(expected.get("tolerances", {}).get(p, LIMIT))
            expect_close(f"P{p}", statistics.percentile(values, float(p)), wanted, tolerance)
        return
    found_summary = statistics.summary(values).to_json()
    for name, wanted in expected.items():
        if name in found_summary:
            tolerance = number(expected.get("tolerance", LIMIT))
            expect_close(name, float(found_summary[name]), wanted, max(tolerance, LIMIT))


def check_scorer(case: Case) -> None:
    expected = case["expected"]
    results = [
        MetricResult(
            raw["name"],
            Label(raw["classification"]),
            tuple(raw["groups"]),
            raw.get("critical", False),
            raw.get("muted", False),
        )
        for raw in case["input"]["metricResults"]
    ]
    found = score(results, case["config"].get("groupWeights") or {})
    if "summaryScore" in expected:
        expect_close("summary", found.value, expected["summaryScore"])
    if "firstGroupScore" in expected:
        expect_close("first group", found.groups[0].score, expected["firstGroupScore"])
    for name, wanted in expected.get("groupScores", {}).items():
        value = next(group.score for group in found.groups if group.name == name)
        expect_close(f"group {name}", value, wanted, 0.01)


def check_utils(case: Case) -> None:
    config, expected = case["config"], case["expected"]
    if config["function"] == "config_get":
        for path, wanted in expected.items():
            keys = [key for key in path.strip("[]").split(",") if key]
            found = get_path(case["input"], keys)
            whole = case["input"] if wanted == "<whole>" else wanted
            expect(is_met=found == whole, message=f"{path}: got {found!r}, expected {whole!r}")
        return
    mean, std, n = number(config["mean"]), number(config["stdev"]), int(config["n"])
    drawn = statistics.with_noise(np.zeros(n), mean, std, generator(case))
    if "first" in expected:
        expect_close("first", float(drawn[0]), expected["first"])
    tolerance = expected.get("tolerance", LIMIT)
    if "mean" in expected:
        expect_close("mean", float(drawn.mean()), expected["mean"], tolerance)
    if "variance" in expected:
        expect_close("variance", float(drawn.var(ddof=1)), expected["variance"], tolerance)
    if "n" in expected:
        expect(is_met=len(drawn) == expected["n"], message=f"n: got {len(drawn)}")


def check_metric_set(case: Case) -> None:
    config, expected = case["config"], case["expected"]
    one = MetricSet(config.get("name"), config.get("tags") or {}, np.zeros(0))
    expect(is_met=one.key == expected.get("key"), message=f"key: got {one.key}")


def sets_of(case: Case, side: str) -> list[MetricSet]:
    config = case["config"]
    count = config.get(f"{side}Sets", 1)
    tags = config.get(f"{side}Tags", config.get("tags")) or {}
    values = case[side]
    if isinstance(values, Mapping):
        return [MetricSet(name, tags, numbers(v)) for name, v in values.items()]
    name = config.get(f"{side}Name", config.get("metric", "metric"))
    points = int(config.get("expectedPoints", 0))
    made = MetricSet(name, tags, numbers(values), points)
    return [made] * count


def check_mixer(case: Case) -> None:
    config, expected = case["config"], case["expected"]
    control, experiment = sets_of(case, "control"), sets_of(case, "experiment")
    if {"controlName", "experimentName"} & set(config) and len(control) == len(experiment) == 1:
        pairs = [pair(control[0], experiment[0])]
    else:
        names = config.get("metrics") or list(dict.fromkeys(one.name for one in control))
        names = names or list(dict.fromkeys(one.name for one in experiment))
        pairs = pair_all(names or ["metric"], control, experiment)
    if "pairs" in expected:
        expect(is_met=len(pairs) == expected["pairs"], message=f"pairs: got {len(pairs)}")
    if "names" in expected:
        names = [one.name for one in pairs]
        expect(is_met=names == expected["names"], message=f"names: got {names}")
    if "tags" in expected:
        tags = dict(pairs[0].tags)
        expect(is_met=tags == expected["tags"], message=f"tags: got {tags}")
    for one in pairs if len(pairs) > 1 else pairs[:1]:
        wanted = expected.get(one.name, expected if len(pairs) == 1 else {})
        for side, found in (("control", one.control), ("experiment", one.experiment)):
            if side in wanted:
                expect_values(f"{one.name} {side}", found, wanted[side])


def schedule_of(config: Mapping[str, Any]) -> standalone.Schedule:
    lifetimes = ("lifetimeDurationMins", "lifetimeDurationMin", "lifetimeMins", "lifetimeMin")
    lifetime = next((config[key] for key in lifetimes if key in config), None)
    return standalone.Schedule(
        start_min=config.get("startOffsetMin"),
        end_min=config.get("endOffsetMin"),
        lifetime_min=lifetime,
        interval_min=config.get("intervalMin", config.get("analysisIntervalMins")),
        begin_after_min=config.get("beginAfterMins", 0),
        lookback_min=config.get("lookbackMins", 0),
    )


def check_schedule(case: Case) -> None:
    config, expected = case["config"], case["expected"]
    schedule = schedule_of(config)
    if "lifetimeMin" in expected or "error" in expected:
        expect_close("lifetime", schedule.lifetime(), expected.get("lifetimeMin"))
    if "intervalMin" in expected:
        expect_close("interval", schedule.interval(), expected["intervalMin"])
    windows = [
        schedule.window(n, config.get("intervalMin", 0)) for n in config.get("judgements", [])
    ]
    for i, key in enumerate(("startOffsetMin", "endOffsetMin")):
        if key in expected:
            expect_values(key, np.array([w[i] for w in windows], dtype=float), expected[key])
    if "startTimeIso" in config:
        start = datetime.fromisoformat(config["startTimeIso"])
        offset = timedelta(minutes=config.get("controlOffsetInMinutes", 0))
        for name, found in (("experimentStart", start), ("controlStart", start - offset)):
            if name in expected:
                wanted = datetime.fromisoformat(expected[name])
                expect(is_met=found == wanted, message=f"{name}: got {found}")


def check_outcome(case: Case) -> None:
    expected = case["expected"]
    if "order" in expected:
        found = standalone.stage_order(case["input"]["stageNames"])
        expect(is_met=found == expected["order"], message=f"order: got {found}")
        return
    thresholds = case["config"]["thresholds"]
    value = float(case["input"]["finalCanaryScore"])
    told = standalone.outcome(value, thresholds["marginal"], thresholds["pass"])
    is_met = told.did_pass is expected["didPassThresholds"]
    expect(is_met=is_met, message=f"didPassThresholds: got {told.did_pass}")
    if "message" in expected:
        expect(is_met=told.message == expected["message"], message=f"got {told.message!r}")


def drawn_values(recipe: Any, name: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """``{"uniform": [a, b]}`` or ``{"constant": c}``, for all metrics or by name."""
    if recipe is None:
        return np.zeros(0)
    recipe = recipe.get(name, recipe)
    if recipe is None:
        return np.zeros(0)
    if "uniform" in recipe:
        return rng.uniform(*recipe["uniform"], n)
    return np.full(n, float(recipe["constant"])) if "constant" in recipe else np.zeros(0)


def check_standalone(case: Case) -> None:
    config, expected, rng = case["config"], case["expected"], generator(case)
    metrics, pairs = [], []
    for raw in config["metrics"]:
        canary = {k: v for k, v in raw.items() if k not in ("name", "group")}
        metrics.append(
            metric_config(
                {
                    "name": raw["name"],
                    "groups": [raw["group"]],
                    "analysisConfigurations": {"canary": canary},
                }
            )
        )
        sides = [
            drawn_values(case[side], raw["name"], int((case[side] or {}).get("n", 60)), rng)
            for side in ("control", "experiment")
        ]
        pairs.append(MetricSetPair(raw["name"], {}, sides[0], sides[1]))
    thresholds = config["thresholds"]
    result = judge(
        metrics,
        config.get("groupWeights") or {},
        pairs,
        pass_at=thresholds["pass"],
        marginal_at=thresholds["marginal"],
        rng=rng,
    )
    told = standalone.outcome(result.score.value, thresholds["marginal"], thresholds["pass"])
    is_stopped = standalone.stops_early(result.score.value, thresholds["marginal"])
    labels = {one.pair.name: str(one.classification.label) for one in result.metrics}
    wanted = expected.get("classification")
    if isinstance(wanted, str):
        wanted = dict.fromkeys(labels, wanted)
    few = any(one.control.count < standalone.POINTS_MIN for one in result.metrics)
    found = {
        "executionStatus": "TERMINAL" if is_stopped else "SUCCEEDED",
        "didPassThresholds": told.did_pass,
        "score": result.score.value,
        "message": told.message,
        "hasWarnings": few,
        "classification": labels,
    }
    for name, value in found.items():
        if name in expected:
            needed = wanted if name == "classification" else expected[name]
            expect(is_met=value == needed, message=f"{name}: got {value!r}, expected {needed!r}")


SUITES: dict[str, Callable[[Case], None]] = {
    "ClassifierSuite": check_classifier,
    "MannWhitneySuite": check_mann_whitney,
    "DetectorSuite": check_detector,
    "TransformSuite": check_transform,
    "StatisticSuite": check_statistic,
    "ScorerSuite": check_scorer,
    "UtilsSuite": check_utils,
    "MetricSetSpec": check_metric_set,
    "MetricSetMixerServiceSpec": check_mixer,
    "SetupAndExecuteCanariesStageTest": check_schedule,
    "GenerateCanaryAnalysisResultTaskTest": check_outcome,
    "PrometheusStandaloneCanaryAnalysisTest": check_standalone,
}


def check_known_failure(case: Case) -> None:
    """The published wrong answer, reproduced: label, limits and estimate."""
    told = case["kayenta"]
    if "recipe" in case:
        check_recipe()
        return
    found = classified(case)
    wanted = told["classification"]
    expect(is_met=found.label == wanted, message=f"got {found.label}, expected {wanted}")
    assert found.interval is not None
    expect_close("low", found.interval.low, told["ci"][0])
    expect_close("high", found.interval.high, told["ci"][1])
    expect_close("estimate", found.interval.estimate, told["estimate"])


def check_recipe() -> None:
    """The verdict that depends on the unit: High, High with coarse limits, Pass."""
    rule = rule_of({})
    for scale, wanted in ((1.0, "High"), (1e-4, "High"), (1e-5, "Pass")):
        control = np.random.default_rng(0).lognormal(0, 0.1, 60) * scale
        found = classify("m", control, control[::-1] * 1.5, rule, np.random.default_rng(0))
        expect(is_met=found.label == wanted, message=f"scale {scale}: got {found.label}")


def run_case(case: Case) -> str | None:
    """What is wrong; None when the case passes."""
    check = SUITES.get(case.get("suite", ""))
    if check is None:
        check = check_known_failure if "kayenta" in case else None
    if check is None:
        return f"unknown suite {case.get('suite')!r}"
    wanted_error = (case.get("expected") or {}).get("error")
    try:
        check(case)
    except KayentaError as error:
        if wanted_error is True or (
            wanted_error and str(wanted_error).lower() in str(error).lower()
        ):
            return None
        return f"refused: {error}"
    except CaseFailedError as failed:
        return str(failed)
    return f"not refused, expected {wanted_error!r}" if wanted_error else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--verbose", action="store_true", help="name passed cases too")
    parser.add_argument("--quick", action="store_true", help="the same: it takes a second")
    args = parser.parse_args()
    started, passed, failed = time.perf_counter(), 0, 0
    for path in args.files:
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
            wrong = run_case(case)
            passed, failed = passed + (wrong is None), failed + (wrong is not None)
            if wrong is not None or args.verbose:
                print(f"{'failed' if wrong else 'passed'} {case['id']}: {wrong or ''}")
    if not args.files:
        print("no FILE given: nothing to replay", file=sys.stderr)
    took_s = time.perf_counter() - started
    print(json.dumps({"passed": passed, "failed": failed, "took_s": round(took_s, 3)}))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
