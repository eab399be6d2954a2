"""When the signal came back after a rollback, by counts alone."""

from __future__ import annotations

import pytest

from analysis.slo.recovery import Recovery, Signal, recovery
from analysis.slo.sliced_counts import SlicedCounts

DELIVERED_S = 1_800_000_000
BUDGET_RATIO = 0.01


def counts(hurt_before_s, hurt_after_s, until_s, *, silent=range(0), before=True):
    """100 events in five seconds; ten of them bad while it hurts."""
    made = SlicedCounts(5, 3_600)
    for at in range(DELIVERED_S - 300 if before else DELIVERED_S, DELIVERED_S + until_s, 5):
        after = at - DELIVERED_S
        if after not in silent:
            bad = 10 if -hurt_before_s <= after < hurt_after_s else 0
            made.add(at, 100 - bad, bad)
    return made


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (counts(60, 20, 120), Recovery(Signal.BACK, 35)),
        (counts(60, 0, 120), Recovery(Signal.BACK, 15)),
        (counts(60, 0, 10), Recovery(Signal.WAITING)),
        (counts(60, 900, 300), Recovery(Signal.WAITING)),
        (counts(60, 900, 700), Recovery(Signal.NOT_BACK)),
        (counts(0, 0, 120), Recovery(Signal.NOT_HURT)),
        # Hurt only afterwards: not what the rollback was about.
        (counts(0, 300, 120), Recovery(Signal.NOT_HURT)),
        (counts(60, 0, 120, before=False), Recovery(Signal.NOT_HURT)),
        # Nobody reported right after: the first good span is the first that was seen.
        (counts(60, 0, 120, silent=range(60)), Recovery(Signal.BACK, 65)),
        (SlicedCounts(5, 3_600), Recovery(Signal.WAITING)),
    ],
)
def test_recovery(made, expected):
    assert recovery(made, BUDGET_RATIO, DELIVERED_S) == expected
