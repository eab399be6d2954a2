"""Kayenta's own test cases, read in place where they are; a core of them retyped for everybody."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from analysis.canary.exact import ExactLabel, ExactRule, compare
from analysis.canary.kayenta.classify import Direction, Label, MetricRule, classify
from analysis.canary.kayenta.mann_whitney import shift_interval, wilcoxon_diff
from bench.canary.cases import run_case

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("DAVYLAMP_REFERENCE_DATA", ROOT / ".." / "shared" / "data")) / "canary"


def cases(name: str) -> list[dict]:
    path = DATA / name
    return json.loads(path.read_text(encoding="utf-8"))["cases"] if path.exists() else []


needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"reference data is not at {DATA} (DAVYLAMP_REFERENCE_DATA)"
)


@needs_data
def test_the_reference_set_is_whole():
    assert len(cases("kayenta_cases_open.json")) == 78


@needs_data
@pytest.mark.parametrize("case", cases("kayenta_cases_open.json"), ids=lambda c: c["id"])
def test_open_case(case):
    assert run_case(case) is None


@needs_data
@pytest.mark.parametrize("case", cases("kayenta_known_failures.json"), ids=lambda c: c["id"])
def test_known_failure_is_reproduced(case):
    assert run_case(case) is None


def exact_rule(direction: str = "increase") -> ExactRule:
    return ExactRule(0.25, 0.01, direction != "decrease", direction != "increase")


@needs_data
@pytest.mark.parametrize("case", cases("kayenta_known_failures.json"), ids=lambda c: c["id"])
def test_known_failure_is_answered_right_or_undecided(case):
    """The mode of the same question without the defects, at every scale."""
    for scale in (1e-9, 1e-5, 1.0, 1e9):
        if "recipe" in case:
            control = np.random.default_rng(0).lognormal(0, 0.1, 60) * scale
            experiment = control[::-1] * 1.5
        else:
            control, experiment = (
                np.array(case[side]) * scale for side in ("control", "experiment")
            )
        found = compare(control, experiment, exact_rule())
        assert found.label in (ExactLabel.HIGH, ExactLabel.UNDECIDED)
        assert found.reason
        if "recipe" in case:
            assert found.label is ExactLabel.HIGH


# --- retyped: holds without the files ---------------------------------------------------------

RULE = MetricRule(
    direction=Direction.EITHER,
    is_nan_removed=True,
    is_critical=False,
    is_data_required=False,
    measure="meanRatio",
    allowed=(1.0, 1.0),
    critical=(1.0, 1.0),
)
TEN, HUNDREDS = [1.0] * 10, [100.0]


@pytest.mark.parametrize(
    ("control", "experiment", "label", "low", "high", "estimate"),
    [
        (TEN, HUNDREDS * 7 + [1.0] * 3, "Pass", 6.825022991538788e-05, 99.0, 98.99992904170193),
        (TEN, HUNDREDS * 8 + [1.0] * 2, "High", 98.99993164762162, 99.0, 99.0),
        ([0.0] * 6, [0.0, 1.0, 2.0, 1.0, 0.0, 0.0], "Pass", 0.0, 2.0, 0.8127337922220947),
    ],
)
def test_published_wrong_answers(control, experiment, label, low, high, estimate):
    """spinnaker/spinnaker#6278, its flip by one point, and spinnaker/kayenta#426."""
    sides = np.array(control), np.array(experiment)
    found = classify("m", *sides, RULE, np.random.default_rng(0))
    assert found.label == label
    assert found.interval is not None
    assert found.interval.low == pytest.approx(low, abs=1e-6)
    assert found.interval.high == pytest.approx(high, abs=1e-6)
    assert found.interval.estimate == pytest.approx(estimate, abs=1e-6)


def test_interval_of_a_small_example():
    """MannWhitneySuite: 10..40 against 1..4."""
    found = shift_interval(np.array([10.0, 20, 30, 40]), np.array([1.0, 2, 3, 4]), 0.95)
    assert (found.low, found.high, found.estimate) == pytest.approx((6.0, 39.0, 22.5), abs=1e-6)


def test_standardised_rank_sum_by_hand():
    """All of three above all of three: dz = 4.5, one half off, sigma = sqrt(9/12 * 7)."""
    x, y = np.array([4.0, 5, 6]), np.array([1.0, 2, 3])
    assert wilcoxon_diff(0.0, 0.0, x, y) == pytest.approx(4.0 / np.sqrt(9 / 12 * 7))


@pytest.mark.parametrize(("scale", "label"), [(1.0, "High"), (1e-4, "High"), (1e-5, "Pass")])
def test_the_verdict_depends_on_the_unit_as_in_the_original(scale, label):
    control = np.random.default_rng(0).lognormal(0, 0.1, 60) * scale
    found = classify("m", control, control[::-1] * 1.5, RULE, np.random.default_rng(0))
    assert found.label == label


@pytest.mark.parametrize(
    ("control", "experiment", "critical", "required", "removed", "label", "is_critical"),
    [
        ([1.0], [], False, False, True, Label.NODATA, False),
        ([1.0], [], True, False, True, Label.NODATA, True),
        ([], [1.0], False, True, True, Label.NODATA_FAIL_METRIC, False),
        ([1.0], [], True, True, True, Label.NODATA, True),
        ([1.0], [], True, False, False, Label.PASS, False),
        ([0.0, 1.0], [1.0, 0.0], True, False, True, Label.PASS, False),
        ([3.0, 3.0], [3.0], True, False, True, Label.PASS, False),
        ([10.0] * 20, [20.0] * 20, True, False, True, Label.HIGH, True),
        ([20.0] * 20, [10.0] * 20, False, False, True, Label.LOW, False),
    ],
)
def test_missing_equal_and_constant_sides(
    *, control, experiment, critical, required, removed, label, is_critical
):
    rule = MetricRule(
        Direction.EITHER, removed, critical, required, "meanRatio", (1.0, 1.0), (1.0, 1.0)
    )
    sides = np.array(control, dtype=float), np.array(experiment, dtype=float)
    found = classify("m", *sides, rule, np.random.default_rng(1))
    assert (found.label, found.is_critical) == (label, is_critical)
