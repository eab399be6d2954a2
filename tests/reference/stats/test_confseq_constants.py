"""Boundaries against the constants of confseq: its own unit tests, and values computed with it.

The first table is retyped and holds on every machine; the second is read in place where it lies.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from analysis.stats import mixtures, quantile_bands

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("DAVYLAMP_REFERENCE_DATA", ROOT / ".." / "shared" / "data"))
FILE = DATA / "canary" / "anytime_valid_reference.json"
needs_data = pytest.mark.skipif(
    not FILE.exists(), reason=f"reference data is not at {DATA} (DAVYLAMP_REFERENCE_DATA)"
)


def normal(*, is_one_sided: bool):
    return mixtures.normal_mixture(100, 0.05, is_one_sided=is_one_sided)


def beta_binomial(*, is_one_sided: bool):
    return mixtures.beta_binomial_mixture(100, 0.05, 0.2, 0.8, is_one_sided=is_one_sided)


EXPONENTIAL = mixtures.gamma_exponential_mixture(100, 0.05, 2)
POISSON = mixtures.gamma_poisson_mixture(100, 0.05, 2)


@pytest.mark.parametrize(
    ("mixture", "log_value", "bound"),
    [
        (normal(is_one_sided=False), -0.6510052, 30.35209),
        (normal(is_one_sided=True), -0.06502391, 27.66071),
        (EXPONENTIAL, -0.2490165, 33.02017),
        (POISSON, -0.06991219, 30.1949),
        (beta_binomial(is_one_sided=False), -0.6941012, 31.4308),
        (beta_binomial(is_one_sided=True), -0.07134019, 28.41238),
    ],
)
def test_mixtures_at_100(mixture, log_value, bound):
    assert mixture(10, 100) == pytest.approx(log_value, abs=1e-5)
    assert mixtures.mixture_bound(mixture, 100, 0.05) == pytest.approx(bound, abs=1e-5)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (mixtures.normal_rho(100, 0.05, is_one_sided=False), 12.60056),
        (quantile_bands.stitched_bound(100, 0.05, 10, 3), 64.48755),
        (quantile_bands.stitched_bound(100, 0.05, 10, -1), 28.99389),
        (quantile_bands.cdf_radius(1000, 0.05, 100), 0.08204769),
        (quantile_bands.quantile_radius(0.5, 1000, 0.05, 100), 68.62803),
        (quantile_bands.quantile_radius(0.9, 1000, 0.05, 100), 43.72119),
        (quantile_bands.quantile_radius(0.1, 1000, 0.05, 100), 59.96521),
    ],
)
def test_bounds(found, expected):
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("shift", "p", "expected"),
    [(70, 0.5, 0.814704), (85, 0.5, 0.0838055), (100, 0.5, 0.0054947), (55, 0.9, 0.0340463)],
)
def test_two_sample_quantile_p_value(shift, p, expected):
    arm = np.arange(1.0, 1001.0)
    found = quantile_bands.quantile_ab_p_value(arm, arm + shift, p, 100)
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("k", "n", "t_opt", "low", "high"),
    [
        (700, 1000, 100, 0.651629, 0.745949),
        (15, 50, 50, 0.129556, 0.511896),
        (5, 50, 50, 0.013021, 0.269264),
        (1, 50, 50, 0.0, 0.13489),
        (1, 2, 50, 0.0, 1.0),
        (100, 200, 1, 0.328923, 0.671076),
        (0, 1, 50, 0.0, 1.0),
        (1, 1, 50, 0.0, 1.0),
    ],
)
def test_bernoulli_interval(*, k, n, t_opt, low, high):
    found = quantile_bands.bernoulli_interval(k, n, 0.05, t_opt)
    assert found == pytest.approx((low, high), abs=1e-5)


def computed() -> list[dict]:
    if not FILE.exists():
        return []
    rows = json.loads(FILE.read_text(encoding="utf-8"))["B_confseq_computed"]
    return [{**row, "number": i} for i, row in enumerate(rows)]


def arms_of_rows() -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """The first arm of every A/B row is the next 3,000 draws of one generator."""
    rng, arms = np.random.default_rng(0), {}
    for row in computed():
        if row["function"] == "quantile_ab_p_value":
            factor = float(row["args"]["b"].rpartition("*")[2])
            other = np.exp(np.random.default_rng(1).normal(0, 0.6, 3000)) * factor
            arms[row["number"]] = (np.exp(rng.normal(0, 0.6, 3000)), other)
    return arms


def value_of(row: dict):
    name, args = row["function"].split(" ")[0], row["args"]
    if name == "empirical_process_lil_bound":
        return quantile_bands.cdf_radius(args["t"], args["alpha"], args["t_min"], args["A"])
    if name == "double_stitching_bound":
        return quantile_bands.quantile_radius(args["p"], args["t"], args["alpha"], args["t_opt"])
    if name == "beta_binomial_mixture_bound":
        mixture = mixtures.beta_binomial_mixture(
            args["v_opt"], args["alpha_opt"], args["g"], args["h"], is_one_sided=args["one_sided"]
        )
        return mixtures.mixture_bound(mixture, args["v"], args["alpha"], args["v"] / args["g"])
    if name == "bernoulli_confidence_interval":
        return quantile_bands.bernoulli_interval(
            args["k"], args["n"], args["alpha"], args["t_opt"], args["alpha_opt"]
        )
    assert name == "quantile_ab_p_value"
    first, second = arms_of_rows()[row["number"]]
    p, t_opt, alpha_opt = args["p"], args["t_opt"], args["alpha_opt"]
    return quantile_bands.quantile_ab_p_value(first, second, p, t_opt, alpha_opt)


@needs_data
def test_the_computed_set_is_whole():
    assert len(computed()) == 159


@needs_data
@pytest.mark.parametrize("row", computed(), ids=lambda r: f"{r['number']}-{r['function'][:24]}")
def test_computed_value(row):
    wanted = row["value"]
    if isinstance(wanted, list):
        assert value_of(row) == pytest.approx(tuple(wanted), rel=1e-6, abs=1e-9)
    else:
        assert value_of(row) == pytest.approx(wanted, rel=1e-6)
