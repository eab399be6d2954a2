"""A plan is monotone in what is asked, seeded, and refuses what cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.canary.errors import CanaryInputError
from analysis.canary.planner import (
    Durations,
    Failures,
    Traffic,
    plan_certificate,
    plan_detection,
)

TRAFFIC = Traffic(600, 600, 10, 0.01, 0.01)
USUAL = {"median_s": 0.1, "p99_s": 0.4, "margin": 0.0}


def detected(what, traffic=TRAFFIC, seed=1):
    return plan_detection(what, traffic, np.random.default_rng(seed), 60)


def test_more_harm_is_found_sooner():
    twenty, fifty = (detected(Durations(**USUAL, slower_ratio=r)) for r in (0.2, 0.5))
    assert 0 < fifty.minutes[0.5] < twenty.minutes[0.5] < 2
    assert twenty.minutes[0.5] <= twenty.minutes[0.9]
    assert twenty.canary_requests[0.5] == pytest.approx(600 * twenty.minutes[0.5], abs=1)
    doubled, tripled = (detected(Failures(0.02, r, 0.0)) for r in (0.04, 0.06))
    assert tripled.minutes[0.5] < doubled.minutes[0.5]


def test_a_fatter_tail_is_harm_too():
    tail = detected(Durations(**USUAL, tail_share=0.05, tail_times=5.0))
    assert tail.decided_ratio == 1.0


def test_no_harm_is_not_found():
    nothing = detected(Durations(**USUAL))
    assert nothing.decided_ratio <= 0.05
    assert nothing.minutes[0.5] is None
    assert nothing.canary_requests[0.5] is None


def test_certificates_take_longer_for_tighter_margins():
    for what in (Durations(**USUAL), Failures(0.01, 0.01, 0.0)):
        margins = (0.5, 0.25) if isinstance(what, Durations) else (0.04, 0.02)
        wide, tight = (
            plan_certificate(what, m, TRAFFIC, np.random.default_rng(2), 20) for m in margins
        )
        assert wide.minutes[0.5] < tight.minutes[0.5]


def test_the_same_seed_gives_the_same_plan():
    what = Durations(**USUAL, slower_ratio=0.3)
    assert detected(what, seed=3) == detected(what, seed=3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Durations(0.1, 0.05, 0.0),
        lambda: Durations(0.0, 0.4, 0.0),
        lambda: Durations(0.1, 0.4, -0.1),
        lambda: Durations(0.1, 0.4, 0.0, tail_share=1.5),
        lambda: Failures(1.2, 0.1, 0.0),
        lambda: Failures(float("nan"), 0.1, 0.0),
        lambda: Traffic(0, 10, 60, 0.01, 0.01),
        lambda: Traffic(10, 10, 60, 2.0, 0.01),
        lambda: plan_detection(Failures(0.1, 0.2, 0.0), TRAFFIC, np.random.default_rng(), 0),
    ],
    ids=range(9),
)
def test_what_cannot_be_is_refused(make):
    with pytest.raises(CanaryInputError, match="needs to be"):
        make()
