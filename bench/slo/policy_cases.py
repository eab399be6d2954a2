"""Burn policies of vendors, budgets by method, and what peers were measured to get wrong."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from analysis.slo.openslo import burn_math
from analysis.slo.openslo.budgets import BudgetTerms, DataRules, Missing, budget
from analysis.slo.openslo.composite import mean_of_weighted
from analysis.slo.openslo.exact import exact
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.sliced_past import sliced_past
from analysis.slo.openslo.time_windows import Period
from bench.slo.burn_cases import differs

DATA_RULES = DataRules(Missing.IGNORED, Missing.IGNORED, Fraction(1, 2), 600)
_DAY_S = 86_400


def policy(case: dict[str, Any]) -> list[str]:
    """A published policy or worked example; each kind of figure in the case is checked."""
    wrong: list[str] = []
    if "period_days" in case and "rows" in case:
        wrong += [found for row in case["rows"] for found in _row(row, case["period_days"])]
    if "examples" in case:
        for row in case["examples"]:
            left = burn_math.remaining_ratio(exact(row["status"]) / 100, exact(row["target"]) / 100)
            wrong += differs("remaining", left * 100, row["remaining"])
    if "sli" in (case.get("rows") or [{}])[0]:
        wrong += _governing(case)
    if "preset" in case:
        wrong += _clamped(case)
    if "attack_success" in case:
        wrong += _attack(case)
    if "example" in case:
        wrong += _composite(case["example"])
    if "expected" in case and not {"rows", "preset", "attack_success"} & set(case):
        wrong.append("nobody here knows this kind of example")
    return wrong


def _row(row: dict[str, Any], period_days: float) -> list[str]:
    period_s = round(period_days * _DAY_S)
    long_s = round(row["long_h"] * 3_600)
    used = burn_math.budget_used(exact(row["burn"]), long_s, period_s)
    wrong = differs("budget", used, row["exact_budget"]) if "exact_budget" in row else []
    factor = burn_math.factor(used, period_s, long_s)
    wrong += differs("burn", factor, row["burn"])
    if "short_min" in row and burn_math.short_window_s(long_s, 60) != row["short_min"] * 60:
        wrong.append(f"short window {burn_math.short_window_s(long_s, 60)} s")
    return wrong


def _governing(case: dict[str, Any]) -> list[str]:
    """Two windows must both be above: the lower burn rate decides the state."""
    budget_ratio = 1 - exact(case["target"]) / 100
    burns = [burn_math.burn_of(1 - exact(row["sli"]) / 100, budget_ratio) for row in case["rows"]]
    wrong = [
        f"burn {float(burn):.5f}, expected {row['burn']}"
        for burn, row in zip(burns, case["rows"], strict=True)
        if round(float(burn), 3) != row["burn"]
    ]
    governing = min(burns)
    state = "ok"
    for name in ("warning", "critical"):
        state = name if name in case and governing > exact(case[name]) else state
    if state != case["expected"]["state"]:
        wrong.append(f"state {state}, expected {case['expected']['state']}")
    if round(float(governing), 3) != case["expected"]["governing_burn"]:
        wrong.append(f"governing burn {float(governing)}")
    return wrong


def _clamped(case: dict[str, Any]) -> list[str]:
    expected = case["expected"]
    long_text = case["preset"].split("/")[0]
    long_s = int(long_text[:-1]) * {"m": 60, "h": 3_600, "d": _DAY_S}[long_text[-1]]
    budget_ratio = 1 - exact(case["target"]) / 100
    short_s = burn_math.short_window_s(long_s, case["slice_min"] * 60)
    wrong = differs("max_burn", burn_math.burn_max(budget_ratio), expected["max_burn"])
    return wrong + differs("short_window_min", Fraction(short_s, 60), expected["short_window_min"])


def _attack(case: dict[str, Any]) -> list[str]:
    """How many minutes of an attack each budgeting method stands."""
    expected, slice_s = case["expected"], case["slice_min"] * 60
    slices = case["window_days"] * _DAY_S // slice_s
    wrong = differs("requests", case["window_days"] * case["req_per_day"], expected["requests"])
    wrong += differs("timeslices", slices, expected["timeslices"])
    for method, key in (
        (BudgetingMethod.TIMESLICES, "timeslices_minutes_to_exhaust"),
        (BudgetingMethod.RATIO_TIMESLICES, "ratiotimeslices_minutes_to_exhaust"),
    ):
        terms = BudgetTerms(method, exact(case["target"]), slice_s, exact(case["target"]))
        quiet, struck = (_left(case, terms, slices, attacked) for attacked in (0, slices // 2))
        # What is left falls by the same amount with every slice under attack.
        per_slice = (quiet - struck) / (slices // 2)
        wrong += differs(key, quiet / per_slice * case["slice_min"], expected[key])
    return wrong


def _left(case: dict[str, Any], terms: BudgetTerms, slices: int, attacked: int) -> Fraction:
    per_slice = 1_000
    shares = np.where(
        np.arange(slices) < attacked, case["attack_success"], case["baseline_success"]
    )
    good = np.rint(shares * per_slice).astype(np.int64)
    assert terms.slice_s is not None
    past = sliced_past(0, terms.slice_s, good, per_slice - good)
    found = budget(past, terms, DATA_RULES, Period(0, past.end_unix_s), past.end_unix_s)
    assert found.remaining_ratio is not None
    return found.remaining_ratio


def _composite(example: dict[str, Any]) -> list[str]:
    means = [exact(one) for one in example["members"]]
    weights = [exact(one) for one in example.get("weights", [1] * len(means))]
    return differs("composite", mean_of_weighted(means, weights), example["expected"])


def peer(case: dict[str, Any]) -> list[str]:
    """Ours must be right where a peer was measured to be wrong."""
    if "true_burn" in case:
        budget_ratio = 1 - exact(case["goal"])
        burn = burn_math.burn_of(exact(case["true_burn"]) * budget_ratio, budget_ratio)
        is_alert = burn > exact(case["threshold"])
        return [] if is_alert is case["correct_alert"] else [f"alert {is_alert}"]
    scenario = case["id"].split(":")[1]
    good = np.tile(np.where((np.arange(1_440) // 60 - 8) % 24 < 12, 1_000, 10), 30)
    bad = np.zeros_like(good)
    start = 10 * 1_440 + (3 if scenario.startswith("night") else 14) * 60
    bad[start : start + 60], good[start : start + 60] = good[start : start + 60], 0
    if scenario.startswith("zero_traffic"):
        good[20 * 1_440 : 20 * 1_440 + 10] = 0
    past = sliced_past(0, 60, good, bad)
    terms = BudgetTerms(BudgetingMethod.OCCURRENCES, Fraction(999, 1_000))
    found = budget(past, terms, DATA_RULES, Period(0, past.end_unix_s), past.end_unix_s)
    left = None if found.remaining_ratio is None else round(float(found.remaining_ratio), 4)
    expected = case["event_weighted_remaining"]
    return [] if left == expected else [f"remaining {left}, expected {expected}"]


SECTIONS = {"burn_policies": policy, "peer_measured": peer}
