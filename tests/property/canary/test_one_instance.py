"""No verdict is turned by one lying instance of five where the rule says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.canary.byzantine import (
    CASES,
    Lie,
    byzantine_rule,
    honest_stream,
    one_run,
    outcome,
    verdict_of,
    with_liar,
)

RULE = byzantine_rule()


@pytest.mark.parametrize(
    ("is_bad", "lie", "plain"),
    [
        (False, Lie("canary", is_perfect=False, volume=1), "fail"),
        (True, Lie("baseline", is_perfect=False, volume=100), "pass"),
        pytest.param(
            False,
            Lie("baseline", is_perfect=True, volume=100),
            "fail",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            True, Lie("canary", is_perfect=True, volume=100), "pass", marks=pytest.mark.slow
        ),
    ],
)
def test_a_lie_that_turns_a_plain_verdict_turns_none_that_stands_alone(is_bad, lie, plain):
    rng = np.random.default_rng(5)
    honest = honest_stream(rng, is_bad=is_bad)
    lied = with_liar(honest, lie, rng)
    assert verdict_of(RULE, lied)[0] == plain
    robust = replace(RULE, robust_to_one_instance=True)
    true = verdict_of(robust, honest)[0]
    assert true == ("fail" if is_bad else "pass")
    assert outcome(true, verdict_of(robust, lied)[0]) != "turned"


@pytest.mark.slow
def test_no_lie_turns_a_verdict_in_many_runs():
    rows = [row for number in range(5 * len(CASES)) for row in one_run(RULE, number, 17)]
    assert not [row for row in rows if row["on"] and row["lie"] == "turned"]
    assert [row for row in rows if not row["on"] and row["lie"] == "turned"]
