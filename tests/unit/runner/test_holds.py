"""A hold does not ask the judge, so time without data completes nothing."""

from __future__ import annotations

import pytest

from analysis.blocks import Block, CountArm
from analysis.canary.config import default_config_text, load_canary_config
from analysis.canary.judge import CanaryJudge
from analysis.runner import holds

SECOND_NS = 1_000_000_000
START = 1_790_000_000 * SECOND_NS
RULE = load_canary_config(default_config_text())


def _judge() -> CanaryJudge:
    judge = CanaryJudge(RULE, START)
    for i in range(10):
        at = START + i * SECOND_NS
        arm = CountArm(10, 10)
        blocks = {"playback.start.failures": [Block(at, at + SECOND_NS, arm, arm)]}
        judge.look(blocks, at + SECOND_NS)
    return judge


@pytest.mark.parametrize("name", sorted(holds.HOLD_TEXTS))
def test_a_hold_leaves_the_judge_as_it_was(name):
    """Its state is the same afterwards, and the look says by name what held it."""
    judge = _judge()
    before = judge.to_state()
    look = holds.on_hold(judge, 11, START + 20 * SECOND_NS, name, "because.")
    assert judge.to_state() == before
    assert (look.index, str(look.verdict.kind), look.verdict.final) == (11, "inconclusive", False)
    assert name in look.summary


def test_a_hold_ends_the_canary_only_when_the_horizon_is_over():
    """Then it ends without a decision."""
    over = START + round((RULE.horizon_s + 1) * SECOND_NS)
    look = holds.on_hold(_judge(), 11, over, "stale", "")
    assert (look.verdict.final, str(look.verdict.kind)) == (True, "inconclusive")


def test_expiry_is_inconclusive_and_repeats_how_it_stood():
    """A deployment that ran out of time is neither good nor bad."""
    judge = _judge()
    before = judge.to_state()
    look = holds.at_the_end(judge, 12, START + 900 * SECOND_NS, "Still observing.")
    assert judge.to_state() == before
    assert (str(look.verdict.kind), str(look.reason), look.verdict.final) == (
        "inconclusive",
        "undecided_at_horizon",
        True,
    )
    assert "still observing." in look.summary
