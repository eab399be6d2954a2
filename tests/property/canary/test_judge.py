"""What must hold of the judge whatever the traffic: determinism, resumption, invariance."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.blocks import Block, HistogramArm
from analysis.canary.config import default_config_text, load_canary_config
from analysis.canary.judge import CanaryJudge
from bench.canary.streams import HEALTHY, RELEASES, START, Traffic, blocks_of_seconds

RULE = load_canary_config(default_config_text())
RELEASE = st.sampled_from([HEALTHY, *RELEASES.values()])
SEED = st.integers(0, 2**32 - 1)
RATES = st.sampled_from([(12.0, 12.0), (0.7, 0.7), (20.0, 2.0), (0.0, 5.0)])


def stream(seed: int, seconds: int, release=HEALTHY, rates=(12.0, 12.0), **traffic):
    """Seconds with holes: in one of eight one arm is missing, in one of eight it is late."""
    rng = np.random.default_rng(seed)
    made = list(blocks_of_seconds(Traffic(*rates, **traffic), release, seconds, rng))
    for i, (_, blocks) in enumerate(made):
        for key in sorted(blocks):
            draw = rng.integers(0, 16)
            if draw == 0:
                blocks[key] = [replace(b, canary=None) for b in blocks[key]]
            elif draw == 1:
                blocks[key] = [replace(b, baseline=None) for b in blocks[key]]
            elif draw < 4 and i + 1 < len(made):
                made[i + 1][1].setdefault(key, []).extend(blocks.pop(key))
    return made


def text(look) -> str:
    return json.dumps(look.to_json(), sort_keys=True, allow_nan=False)


@settings(max_examples=15, deadline=None)
@given(seed=SEED, release=RELEASE, rates=RATES)
def test_same_input_same_bytes(seed, release, rates):
    texts = []
    for _ in range(2):
        judge = CanaryJudge(RULE, START)
        texts.append([text(judge.look(b, now)) for now, b in stream(seed, 25, release, rates)])
    assert texts[0] == texts[1]


@settings(max_examples=25, deadline=None)
@given(seed=SEED, release=RELEASE, rates=RATES, cut=st.integers(0, 29))
def test_a_judge_killed_at_any_look_goes_on_with_the_same_bytes(seed, release, rates, cut):
    judge = CanaryJudge(RULE, START)
    resumed = None
    for i, (now, blocks) in enumerate(stream(seed, 30, release, rates)):
        look = judge.look(blocks, now)
        if resumed is not None:
            assert text(resumed.look(blocks, now)) == text(look)
        if i == cut:
            state = json.loads(json.dumps(judge.to_state(), allow_nan=False))
            resumed = CanaryJudge.from_state(RULE, state)
    assert resumed is not None
    assert resumed.to_state() == judge.to_state()


@settings(max_examples=15, deadline=None)
@given(seed=SEED, order=SEED)
def test_the_order_of_keys_and_blocks_does_not_matter(seed, order):
    judge, shuffled = CanaryJudge(RULE, START), CanaryJudge(RULE, START)
    rng = np.random.default_rng(order)
    for now, blocks in stream(seed, 20):
        keys = sorted(blocks)
        rng.shuffle(keys)
        mixed = {key: [blocks[key][i] for i in rng.permutation(len(blocks[key]))] for key in keys}
        assert text(shuffled.look(mixed, now)) == text(judge.look(blocks, now))


@settings(max_examples=15, deadline=None)
@given(seed=SEED, every=st.integers(2, 7), release=RELEASE)
def test_how_blocks_are_dealt_into_looks_does_not_matter(seed, every, release):
    """Only what was known when is different: same evidence, same digest in the end."""
    made = list(blocks_of_seconds(Traffic(12, 12), release, 21, np.random.default_rng(seed)))
    eager, lazy = CanaryJudge(RULE, START), CanaryJudge(replace(RULE, min_looks=10**6), START)
    waiting: dict[str, list[Block]] = {}
    look = None
    for i, (now, blocks) in enumerate(made):
        for key, new in blocks.items():
            waiting.setdefault(key, []).extend(new)
        seen = eager.look(blocks, now, with_intervals=False)
        if seen.final:
            return
        if (i + 1) % every == 0:
            look, waiting = lazy.look(waiting, now, with_intervals=False), {}
            # Without min_looks the lazy one could have come to a verdict at this very look.
            assert look.inputs_digest == seen.inputs_digest
            # Splits found in one look are taken in the order of their names, not of their coming.
            ours = {(m.name, m.split): m.log_e_value for m in look.metrics}
            theirs = {(m.name, m.split): m.log_e_value for m in seen.metrics}
            assert ours == theirs
            assert look.max_log_e_value == seen.max_log_e_value


@settings(max_examples=15, deadline=None)
@given(seed=SEED, scale=st.sampled_from([1e-9, 1e-3, 60.0, 1e9]), release=RELEASE)
def test_the_unit_does_not_matter(seed, scale, release):
    def scaled(block: Block) -> Block:
        arms = {}
        for name in ("baseline", "canary"):
            arm = getattr(block, name)
            if isinstance(arm, HistogramArm):
                arm = HistogramArm(arm.bounds * scale, arm.counts)
            arms[name] = arm
        return replace(block, **arms)

    here, there = CanaryJudge(RULE, START), CanaryJudge(RULE, START)
    for now, blocks in stream(seed, 30, release):
        one = here.look(blocks, now, with_intervals=False)
        other = there.look(
            {key: [scaled(b) for b in new] for key, new in blocks.items()},
            now,
            with_intervals=False,
        )
        assert other.reason == one.reason
        assert other.log_e_value == pytest.approx(one.log_e_value, abs=1e-6)
        for ours, theirs in zip(one.metrics, other.metrics, strict=True):
            assert theirs.state == ours.state
            assert theirs.log_e_value == pytest.approx(ours.log_e_value, abs=1e-6)
            assert theirs.certificates == pytest.approx(ours.certificates, abs=1e-6)
            estimate = (ours.effect.estimate, theirs.effect.estimate)
            assert (estimate[0] is None) == (estimate[1] is None)
            if estimate[0] is not None:
                assert estimate[1] == pytest.approx(estimate[0], rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    seed=SEED,
    names=st.sets(st.sampled_from(["baseline", "canary"]), min_size=1),
    keys=st.sets(st.sampled_from([m.name for m in RULE.metrics]), min_size=1),
)
def test_no_pass_while_a_critical_metric_has_not_reported(seed, names, keys):
    """Whatever is missing from the start, of whichever arm."""
    rule = replace(RULE, min_bake_s=5.0, min_requests_pass=20, horizon_s=40.0, pass_alpha=0.5)
    judge = CanaryJudge(rule, START)
    rng = np.random.default_rng(seed)
    for now, blocks in blocks_of_seconds(Traffic(12, 12), HEALTHY, 41, rng):
        cut = {
            key: [
                replace(b, **dict.fromkeys(names)) if key.partition("{")[0] in keys else b
                for b in new
            ]
            for key, new in blocks.items()
        }
        look = judge.look(cut, now, with_intervals=False)
        assert look.verdict is None or look.verdict.kind not in ("pass", "fail")
    assert look.final
