"""Incidents against burn policies: seconds until the page and after the end; noise at low traffic.

Detection was measured with promtool at samples and evaluations of 30 s; ours may differ by one of
these. The policies are the peers'; the decision is ours. Low traffic is simulated again with each
guard that was measured; our figures must be the same up to the scatter of so many runs.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from analysis.slo.objectives import BurnWindow, Guard
from analysis.slo.openslo.exact import exact
from analysis.slo.openslo.policy_replay import episodes, firing
from analysis.slo.openslo.sliced_past import Flags, SlicedPast, sliced_past

SLICE_S = 30
WARM_UP_S = 24 * 3_600
COOL_DOWN_S = 14 * 3_600
#: Ten a second, in thousandths, so that every share of them is a whole number.
REQUESTS_PER_SLICE = 10 * SLICE_S * 1_000
NO_GUARD = Guard(min_failures=0, p_value=1.0)
#: Window pairs of peers: factor, long, short, waiting time.
POLICIES: dict[str, dict[str, tuple[float, int, int, int]]] = {
    "sre_sloth30d": {"Fast": (14.4, 3_600, 300, 0), "Slow": (6, 21_600, 1_800, 0)},
    "pyrra4w": {"Fast": (14, 3_600, 300, 120), "Slow": (7, 21_600, 1_800, 900)},
    # Single windows.
    "slo_generator_default": {"Fast": (9, 3_600, 3_600, 0), "Slow": (3, 43_200, 43_200, 0)},
}

#: Guards as the simulation names them: at least so many failures, and so improbable.
GUARDS = {
    "plain": NO_GUARD,
    "minfail3": Guard(min_failures=3, p_value=1.0),
    "binom1e-4": Guard(min_failures=0, p_value=1e-4),
    "binom1e-6": Guard(min_failures=0, p_value=1e-6),
}
PAGES = (BurnWindow("page", 14.4, 3_600, 300), BurnWindow("page", 6.0, 21_600, 1_800))
RUNS = 20
RUN_S = 30 * 86_400
INCIDENTS = 200
#: Scatter of as many runs: three standard deviations of a Poisson mean and then some; of a median.
FALSE_PAGES_SLACK = 0.25
FALSE_PAGES_SLACK_RATIO = 0.15
MEDIAN_SLACK_MIN = 1.5
SEED = 7


def detection(case: dict[str, Any]) -> list[str]:
    """First and last evaluation at which each alert fires."""
    quiet, struck, after = (
        seconds // SLICE_S for seconds in (WARM_UP_S, case["duration_s"], COOL_DOWN_S)
    )
    bad = np.zeros(quiet + struck + after, dtype=np.int64)
    bad[quiet : quiet + struck] = round(REQUESTS_PER_SLICE * case["error_ratio"])
    past = sliced_past(0, SLICE_S, REQUESTS_PER_SLICE - bad, bad)
    wrong: list[str] = []
    flags: dict[str, Flags] = {}
    for name, (factor, long_s, short_s, wait_s) in POLICIES[case["tool"]].items():
        window = BurnWindow("page", factor, long_s, short_s)
        flags[name] = firing(past, window, Fraction(1, 1_000), NO_GUARD, wait_s)
    flags["Any"] = np.logical_or.reduce(list(flags.values()))
    for name, flag in flags.items():
        if name in case:
            wrong += _times_differ(name, np.flatnonzero(flag), quiet, struck, case[name])
    return wrong


def _times_differ(
    name: str, fired: np.ndarray[Any, np.dtype[np.intp]], quiet: int, struck: int, expected: Any
) -> list[str]:
    if expected is None or not len(fired):
        return [] if expected is None and not len(fired) else [f"{name}: {len(fired)} evaluations"]
    ours = {
        "detect_s": (int(fired[0]) + 1 - quiet) * SLICE_S,
        "last_after_end_s": (int(fired[-1]) + 1 - quiet - struck) * SLICE_S,
    }
    return [
        f"{name}.{key}: {value}, expected {expected[key]}"
        for key, value in ours.items()
        if abs(value - expected[key]) > SLICE_S
    ]


def low_traffic(case: dict[str, Any]) -> list[str]:
    """False pages with the objective met, or the detection of real incidents, for each guard."""
    budget_ratio = 1 - exact(case.get("target", 0.999))
    if "true_error_ratio" in case:
        return _false_pages(case, budget_ratio)
    return _incidents(case, budget_ratio)


def _false_pages(case: dict[str, Any], budget_ratio: Fraction) -> list[str]:
    rng = np.random.default_rng(SEED)
    expected = case["false_page_episodes_per_30d"]
    pages = dict.fromkeys(expected, 0)
    for _ in range(RUNS):
        past = _traffic(rng, case["req_per_hour"], RUN_S, case["true_error_ratio"])
        for name in pages:
            pages[name] += len(episodes(_pages(past, budget_ratio, GUARDS[name])))
    return [
        f"{name}: {count / RUNS} false pages, expected {expected[name]}"
        for name, count in pages.items()
        if abs(count / RUNS - expected[name])
        > FALSE_PAGES_SLACK + FALSE_PAGES_SLACK_RATIO * expected[name]
    ]


def _incidents(case: dict[str, Any], budget_ratio: Fraction) -> list[str]:
    rng = np.random.default_rng(SEED)
    before_s, incident_s = 8 * 3_600, case["incident_minutes"] * 60
    quiet = before_s // SLICE_S
    told: dict[str, list[float]] = {name: [] for name in case["result"]}
    for _ in range(INCIDENTS):
        healthy = _traffic(rng, case["req_per_hour"], before_s, 0.0)
        struck = _traffic(rng, case["req_per_hour"], incident_s, case["incident_error_ratio"])
        good = np.concatenate((healthy.good, struck.good))
        past = sliced_past(0, SLICE_S, good, np.concatenate((healthy.bad, struck.bad)))
        for name, minutes in told.items():
            fired = np.flatnonzero(_pages(past, budget_ratio, GUARDS[name])[quiet:])
            if len(fired):
                minutes.append((int(fired[0]) + 1) * SLICE_S / 60)
    wrong: list[str] = []
    for name, expected in case["result"].items():
        recall, median_min = len(told[name]) / INCIDENTS, float(np.median(told[name]))
        if round(recall, 2) < expected["recall"]:
            wrong.append(f"{name}: recall {recall}, expected {expected['recall']}")
        if abs(median_min - expected["median_detect_min"]) > MEDIAN_SLACK_MIN:
            wrong.append(f"{name}: {median_min} min, expected {expected['median_detect_min']}")
    return wrong


def _traffic(
    rng: np.random.Generator, per_hour: float, span_s: int, error_ratio: float
) -> SlicedPast:
    total = rng.poisson(per_hour * SLICE_S / 3_600, span_s // SLICE_S)
    bad = rng.binomial(total, error_ratio)
    return sliced_past(0, SLICE_S, total - bad, bad)


def _pages(past: SlicedPast, budget_ratio: Fraction, guard: Guard) -> Flags:
    return np.asarray(
        np.logical_or.reduce([firing(past, one, budget_ratio, guard) for one in PAGES])
    )


SECTIONS = {"promtool_detection": detection, "low_traffic_sim": low_traffic}
