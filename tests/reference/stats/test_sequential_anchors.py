"""Published constants of sequential tests, retyped: they hold on every machine.

Sources: seeded stopping times of the savvi example gallery (Lindon & Malek multinomial test), the
seqabpy notebook, and the unit tests of confseq (Howard & Ramdas two-sample quantile test).
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.stats.boundaries import least_log_quantile_mixture, quantile_mixture_r
from analysis.stats.ratio_eprocess import anytime_p_value
from analysis.stats.srm import log_e_multinomial


@pytest.mark.parametrize(
    ("theta", "theta_0", "stop", "p", "counts"),
    [
        ((0.1, 0.3, 0.6), (0.1, 0.4, 0.5), 402, 0.0485, (40, 129, 233)),
        ((0.7081248672594217, 0.29187513274057836), (0.8, 0.2), 210, 0.0456, (148, 62)),
    ],
)
def test_savvi_stopping_times(theta, theta_0, stop, p, counts):
    legacy = np.random.RandomState(1)  # the published seed is of this generator
    seen = np.cumsum(legacy.multinomial(1, theta, size=1000), axis=0).astype(float)
    log_e = log_e_multinomial(seen, np.array(theta_0))
    first = int(np.argmax(log_e >= math.log(1 / 0.05)))
    assert first + 1 == stop
    assert tuple(seen[first]) == counts
    assert anytime_p_value(float(log_e[: first + 1].max())) == pytest.approx(p, abs=5e-5)


def test_seqabpy_p_value():
    log_e = log_e_multinomial(np.array([156.0, 212.0]), np.array([0.5, 0.5]))
    assert anytime_p_value(float(log_e)) == pytest.approx(0.075, abs=5e-4)


@pytest.mark.parametrize(
    ("shift", "p", "expected"),
    [(70, 0.5, 0.814704), (85, 0.5, 0.0838055), (100, 0.5, 0.0054947), (55, 0.9, 0.0340463)],
)
def test_howard_ramdas_two_sample_quantile_p_value(shift, p, expected):
    """Arms 1..1000 and 1 + shift..1000 + shift, mixture tuned to 100 events."""
    x = np.arange(0, 1000 + shift + 2, dtype=float)
    r, total = quantile_mixture_r(p, 100.0), np.full(len(x), 1000.0)
    log_m = sum(
        least_log_quantile_mixture(
            np.clip(arm - 1, 0, 1000), np.clip(arm, 0, 1000), total, p, r
        )  # fewer than arm, at most arm
        for arm in (x, x - shift)
    )
    assert min(1.0, math.exp(-log_m.min())) == pytest.approx(expected, rel=1e-5)
