"""Findings that must stand without any one instance: who they hang on, held, saved, capped."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from analysis.blocks import Block, CountArm, HistogramArm
from analysis.canary import tape
from analysis.canary.evidence import Reason, VerdictKind
from analysis.canary.intake import BlockFeed
from analysis.canary.judge import CanaryJudge
from analysis.canary.leave_one_out import SLOTS_MAX
from analysis.canary.tape import TapeEntry
from bench.canary.streams import SECOND, START

ERRORS, SERVER = "http.server.errors", "http.server.request.duration"
BOUNDS = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
FAST = np.array([5, 20, 30, 10, 2, 0, 0, 0])
SLOW = np.array([0, 0, 5, 20, 30, 10, 2, 0])


def counts(**bad_of):
    """An arm of 40 requests per instance."""
    parts = {name: CountArm(40 - bad, 40) for name, bad in bad_of.items()}
    bad = sum(bad_of.values())
    return CountArm(40 * len(parts) - bad, 40 * len(parts), len(parts), parts)


def durations(**rows):
    total = np.sum(list(rows.values()), axis=0)
    return HistogramArm(BOUNDS, total, len(rows), rows)


def block(t, baseline, canary):
    return Block(START + t * SECOND, START + (t + 1) * SECOND, baseline, canary)


def looks_of(judge, seconds, of_second, since=0):
    found = []
    for t in range(since, since + seconds):
        arms = of_second(t)
        new = {key: [block(t, *pair)] for key, pair in arms.items()}
        found.append(judge.look(new, START + (t + 1) * SECOND, with_intervals=False))
        if found[-1].final:
            break
    return found


@pytest.fixture
def robust(rule):
    """The shipped rule's two metrics of the service, both critical."""
    metrics = tuple(
        replace(m, critical=True, required=True, weight=0.5)
        for m in rule.metrics
        if m.service_scoped
    )
    assert {m.name for m in metrics} == {ERRORS, SERVER}
    times = {"horizon_s": 90.0, "min_bake_s": 15.0}
    return replace(rule, robust_to_one_instance=True, metrics=metrics, **times)


def healthy(_t):
    return {
        ERRORS: (counts(a=0, b=0, c=0), counts(x=0, y=0, z=0)),
        SERVER: (durations(a=FAST, b=FAST, c=FAST), durations(x=FAST, y=FAST, z=FAST)),
    }


def lying(_t):
    """One canary instance of three fails and is slow."""
    return {
        ERRORS: (counts(a=0, b=0, c=0), counts(x=0, y=0, z=20)),
        SERVER: (durations(a=FAST, b=FAST, c=FAST), durations(x=FAST, y=FAST, z=SLOW)),
    }


def bad(_t):
    return {
        ERRORS: (counts(a=0, b=0, c=0), counts(x=6, y=7, z=8)),
        SERVER: (durations(a=FAST, b=FAST, c=FAST), durations(x=FAST, y=FAST, z=FAST)),
    }


def test_a_release_bad_on_every_instance_fails(robust):
    last = looks_of(CanaryJudge(robust, START), 200, bad)[-1]
    assert last.verdict.kind is VerdictKind.FAIL
    assert last.verdict.culprit_metric == ERRORS


def test_a_healthy_one_passes(robust):
    last = looks_of(CanaryJudge(robust, START), 400, healthy)[-1]
    assert last.verdict.kind is VerdictKind.PASS


@pytest.mark.parametrize("alone", [ERRORS, SERVER])
def test_evidence_that_hangs_on_one_instance_fails_nobody_and_names_it(robust, alone):
    one = replace(robust, metrics=tuple(m for m in robust.metrics if m.name == alone))

    def some(t):
        return {alone: lying(t)[alone]}

    plain = looks_of(CanaryJudge(replace(one, robust_to_one_instance=False), START), 200, some)
    assert plain[-1].verdict.kind is VerdictKind.FAIL
    look = looks_of(CanaryJudge(one, START), 60, some)[-1]
    assert look.verdict is None
    (metric,) = look.to_json()["metrics"]
    told = metric["one_instance"]
    assert (told["hangs_on_arm"], told["hangs_on_instance"]) == ("canary", "z")
    assert told["log_e_value_of_all"] > look.threshold_log_e > metric["log_e_value"]
    assert told["instances"] == {"baseline": 3, "canary": 3}
    assert set(told["log_e_value_without"]["canary"]) == {"x", "y", "z"}
    assert "hangs on the canary's instance z" in look.summary
    assert metric["state"] == "suspect"


def test_a_lying_baseline_instance_hides_no_harm(robust):
    """It reports a hundredfold of failures: the canary looks better than that, and is not."""

    def masked(t):
        arms = bad(t)
        baseline = counts(a=0, b=0)
        parts = {**baseline.parts, "c": CountArm(0, 4000)}
        liar = CountArm(80, 4080, 3, parts)
        return {ERRORS: (liar, arms[ERRORS][1])}

    objective = tuple(replace(m, slo_bad_ratio=1.0) for m in robust.metrics)
    # The errors alone: durations are as in every test.
    rule = replace(robust, metrics=tuple(m for m in objective if m.name == ERRORS))
    plain = looks_of(CanaryJudge(replace(rule, robust_to_one_instance=False), START), 400, masked)
    assert plain[-1].verdict.kind is VerdictKind.PASS
    last = looks_of(CanaryJudge(rule, START), 400, masked)[-1]
    assert last.verdict.kind is VerdictKind.INCONCLUSIVE
    assert "worse without the baseline's instance c" in last.summary


def test_two_instances_are_too_few(robust):
    two = {
        ERRORS: (counts(a=0, b=0, c=0), counts(x=9, y=9)),
        SERVER: (durations(a=FAST, b=FAST, c=FAST), durations(x=FAST, y=FAST)),
    }
    look = looks_of(CanaryJudge(robust, START), 20, lambda _t: two)[-1]
    assert look.reason is Reason.TOO_FEW_INSTANCES
    assert "needs 3" in look.summary


def test_two_instances_of_a_metric_that_is_not_required_decide_nothing(robust):
    rule = replace(robust, metrics=tuple(replace(m, required=False) for m in robust.metrics))
    two = {ERRORS: (counts(a=0, b=0, c=0), counts(x=9, y=9))}
    look = looks_of(CanaryJudge(rule, START), 60, lambda _t: two)[-1]
    assert look.verdict is None


def test_instances_that_are_not_told_apart_hold_the_canary(robust):
    def untold(t):
        return {
            key: tuple(replace(arm, parts=None) for arm in arms) for key, arms in bad(t).items()
        }

    look = looks_of(CanaryJudge(robust, START), 60, untold)[-1]
    assert look.reason is Reason.TOO_FEW_INSTANCES
    assert "told apart" in look.summary


def test_killed_and_resumed_it_says_the_same(robust):
    straight = looks_of(CanaryJudge(robust, START), 30, lying)
    first = CanaryJudge(robust, START)
    looks = looks_of(first, 15, lying)
    state = json.loads(json.dumps(first.to_state()))
    looks += looks_of(CanaryJudge.from_state(robust, state), 15, lying, since=15)
    assert [json.dumps(look.to_json()) for look in looks] == [
        json.dumps(look.to_json()) for look in straight
    ]


def test_read_back_from_tape_it_says_the_same(robust):
    judge, again = CanaryJudge(robust, START), CanaryJudge(robust, START)
    for t in range(20):
        now = START + (t + 1) * SECOND
        blocks = {key: [block(t, *pair)] for key, pair in lying(t).items()}
        back = tape.read(tape.written(TapeEntry(t == 0, True, now, blocks)))
        look, other = judge.look(blocks, now), again.look(back.blocks, now)
        assert json.dumps(look.to_json()) == json.dumps(other.to_json())


def test_who_reported_what_is_in_the_digest():
    digests = set()
    for arm in (counts(a=1, b=0), counts(a=0, b=1), replace(counts(a=0, b=1), parts=None)):
        feed = BlockFeed("k")
        list(feed.take([block(0, arm, arm)]))
        digests.add(feed.digest)
    assert len(digests) == 3


def test_an_instance_that_comes_later_is_left_out_too(robust):
    """Its process starts as a copy of what all others said."""
    metrics = tuple(m for m in robust.metrics if m.name == ERRORS)
    rule = replace(robust, metrics=metrics, min_bake_s=90.0)

    def some(t):
        more = {"late": 40} if t >= 30 else {}
        return {ERRORS: (counts(a=0, b=0, c=0), counts(x=0, y=0, z=0, **more))}

    judge = CanaryJudge(rule, START)
    look = looks_of(judge, 55, some)[-1]
    told = look.to_json()["metrics"][0]["one_instance"]
    assert told["log_e_value_without"]["canary"]["late"] < 0
    assert told["hangs_on_instance"] == "late"
    assert look.verdict is None


def test_many_instances_share_the_slots(robust):
    """Of thirty, eight processes; one lying of them still decides nothing."""
    rule = replace(robust, metrics=tuple(m for m in robust.metrics if m.name == ERRORS))
    names = [f"i{n:02}" for n in range(30)]
    honest = counts(**dict.fromkeys(names, 0))
    for liar in ("i00", "i29"):
        lies = counts(**{**dict.fromkeys(names, 0), liar: 40})
        judge = CanaryJudge(rule, START)
        look = looks_of(judge, 30, lambda _t, lies=lies: {ERRORS: (honest, lies)})[-1]
        told = look.to_json()["metrics"][0]["one_instance"]
        assert len(told["log_e_value_without"]["canary"]) == SLOTS_MAX
        assert look.verdict is None
        assert told["log_e_value_of_all"] > -np.log(rule.alpha)
