"""Bursts of alike events are seen; independent ones are believed, drift and difference too."""

from __future__ import annotations

import json

import numpy as np
import pytest

from analysis.stats.dispersion import Dispersion, tempered

STUDIES = 400


def ratios(rng, *, burst=1, p=(0.3, 0.3), sizes=(60, 60), groups=60, drift=1.0):
    found = Dispersion((STUDIES,))
    for t in range(groups):
        grown = drift ** (t / groups)
        counts = []
        for share, size in zip(p, sizes, strict=True):
            n = rng.poisson(size / burst, STUDIES)
            counts += [burst * rng.binomial(n, share * grown), burst * n]
        found.step(*counts)
    return found.ratio


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"p": (0.005, 0.005)},
        {"p": (0.2, 0.6)},
        {"p": (0.1, 0.1), "drift": 6.0},
        {"p": (0.05, 0.05), "sizes": (110, 10)},
    ],
)
def test_independent_events_are_left_alone(case):
    found = ratios(np.random.default_rng(1), **case)
    assert (found > 1).mean() <= 0.05


@pytest.mark.parametrize("case", [{}, {"p": (0.05, 0.1)}, {"p": (0.03, 0.03), "drift": 2.0}])
def test_bursts_are_measured(case):
    found = ratios(np.random.default_rng(2), burst=5, **case)
    assert (found > 1).mean() >= 0.95
    assert 4.0 <= np.median(found) <= 6.0


def test_a_group_that_tells_nothing_changes_nothing():
    found = Dispersion()
    for counts in ((0, 10, 0, 10), (0, 0, 3, 5), (10, 10, 10, 10), (0, 1, 0, 0)):
        found.step(*counts)
    assert float(found.ratio) == 1.0


def test_it_goes_on_where_it_stopped():
    rng = np.random.default_rng(3)
    blocks = [(5 * rng.binomial(12, 0.3), 60, 5 * rng.binomial(12, 0.3), 60) for _ in range(30)]
    whole, first = Dispersion(), Dispersion()
    for block in blocks:
        whole.step(*block)
    for block in blocks[:11]:
        first.step(*block)
    second = Dispersion()
    second.restore(json.loads(json.dumps(first.to_state())))
    for block in blocks[11:]:
        second.step(*block)
    assert float(second.ratio) == float(whole.ratio) > 2


def test_tempering_never_adds_evidence():
    assert float(tempered(10.0, 5.0)) == 2.0
    assert float(tempered(-3.0, 5.0)) == -3.0
