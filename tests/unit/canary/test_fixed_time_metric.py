"""Metrics that answer once, in the running judge: when, what the canary becomes, and why."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from analysis.canary.config import Mode
from analysis.canary.evidence import MetricState, Reason, VerdictKind
from analysis.canary.judge import CanaryJudge
from analysis.canary.replay import StoredLook, replay
from analysis.canary.tape import TapeEntry, read, written

MODES = ["exact", "kayenta"]
HORIZON_S = 150.0


@pytest.fixture
def once(rule):
    """The shipped rule, or some of its metrics, in a mode that answers once."""

    def make(mode, *names, **changes):
        metrics = tuple(
            replace(m, mode=Mode(mode)) if not names or m.name in names else m for m in rule.metrics
        )
        return replace(rule, metrics=metrics, **{"horizon_s": HORIZON_S, **changes})

    return make


def shown(look, name, split=""):
    found = json.loads(json.dumps(look.to_json(), allow_nan=False))
    return next(m for m in found["metrics"] if (m["name"], m["split"]) == (name, split))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("changes", "culprits"),
    [
        ({"start_factor": 1.6}, {"STARTUP"}),
        ({"device_failure_ratio": 0.1}, {"FAILURES"}),
        ({"error_ratio": 0.08}, {"ERRORS"}),
    ],
)
def test_a_harmful_canary_fails_at_the_horizon_and_not_before(run, once, mode, changes, culprits):
    canary = run(rule=once(mode), release=run.Run.Release("x", **changes))
    last = canary.until(300)
    assert last.elapsed_s == HORIZON_S
    assert last.verdict.kind is VerdictKind.FAIL
    assert last.verdict.final
    assert last.verdict.culprit_metric in {getattr(run.Run, name) for name in culprits}
    assert mode in last.summary
    assert all(look.verdict is None for look in canary.looks[:-1])
    waiting = {m.state for look in canary.looks[5:-1] for m in look.metrics}
    assert waiting == {MetricState.WAITING}


@pytest.mark.parametrize("mode", MODES)
def test_a_harmless_canary_passes_at_the_horizon_and_not_before(run, once, mode):
    canary = run(rule=once(mode))
    last = canary.until(300)
    assert last.elapsed_s == HORIZON_S
    assert last.verdict.kind is VerdictKind.PASS
    assert last.reason is Reason.CERTIFIED
    before = canary.looks[-2]
    assert before.verdict is None
    assert before.reason is Reason.WAITING
    assert f"answers once, at {HORIZON_S:g} s" in before.summary


@pytest.mark.parametrize("mode", MODES)
def test_one_metric_that_answers_once_makes_pass_wait_for_it(run, once, mode):
    canary = run(rule=once(mode, run.Run.SERVER))
    last = canary.until(300)
    assert last.elapsed_s == HORIZON_S
    assert last.verdict.kind is VerdictKind.PASS
    assert canary.looks[int(HORIZON_S) - 5].reason is Reason.WAITING


def test_a_sequential_metric_beside_it_fails_as_soon_as_ever(run, once):
    release = run.Run.Release("x", device_failure_ratio=0.2)
    alone = run(rule=once("sequential"), release=release).until(300)
    beside = run(rule=once("exact", run.Run.SERVER, run.Run.ERRORS), release=release).until(300)
    assert beside.verdict.kind is VerdictKind.FAIL
    assert beside.elapsed_s == alone.elapsed_s < HORIZON_S
    assert beside.max_log_e_value == alone.max_log_e_value


def test_a_metric_that_is_not_critical_does_not_hold_pass(run, once):
    rule = once("exact", run.Run.ERRORS)
    metrics = tuple(replace(m, critical=m.name != run.Run.ERRORS) for m in rule.metrics)
    last = run(rule=replace(rule, metrics=metrics)).until(300)
    assert last.verdict.kind is VerdictKind.PASS
    assert last.elapsed_s < HORIZON_S
    assert shown(last, run.Run.ERRORS)["state"] == "waiting"


@pytest.mark.parametrize("mode", MODES)
def test_no_data_neither_passes_nor_fails(run, once, without, mode):
    """The metric that is missing is not required, so only its own answer can stand in the way."""
    missing = run.Run.STARTUP
    last = run(rule=once(mode), change=without("canary", missing)).until(300)
    assert last.verdict.kind is VerdictKind.INCONCLUSIVE
    assert last.reason is Reason.UNDECIDED_AT_HORIZON
    assert "0 requests" in last.summary
    assert shown(last, missing)["fixed_time"]["classification"] == "no_data"


@pytest.mark.parametrize("mode", MODES)
def test_nothing_at_all_neither_passes_nor_fails(once, run, mode):
    judge = CanaryJudge(once(mode), run.Run.START)
    for second in (10, 100, 150):
        look = judge.look({}, run.Run.START + second * run.Run.SECOND)
        assert look.verdict.kind is VerdictKind.INCONCLUSIVE
        json.dumps(look.to_json(), allow_nan=False)
    assert look.final
    assert look.reason is Reason.NO_DATA


@pytest.mark.parametrize("mode", MODES)
def test_too_few_points_neither_pass_nor_fail(run, once, without, mode):
    """Silent until ten seconds before the end: nine points, however different they are."""
    release = run.Run.Release("x", start_factor=3.0)
    rule = once(mode)
    metrics = tuple(replace(m, point_s=1) for m in rule.metrics)
    rule = replace(rule, metrics=metrics)
    startup = run.Run.STARTUP
    last = run(
        rule=rule, release=release, change=without("canary", startup, until=int(HORIZON_S) - 9)
    ).until(300)
    assert last.verdict.kind is VerdictKind.INCONCLUSIVE
    assert shown(last, startup)["state"] == "too_few_points"
    assert "9 points" in last.summary


@pytest.mark.parametrize("mode", MODES)
def test_a_broken_split_is_named(run, once, mode):
    release = run.Run.Release("x", legacy_failure_ratio=0.4)
    last = run(rule=once(mode), release=release).until(300)
    assert last.verdict.kind is VerdictKind.FAIL
    worse = {m.split for m in last.metrics if m.state is MetricState.WORSE}
    assert "playback.device.class=tv-legacy" in worse


def test_beyond_doubt_but_small_is_no_fail_and_no_pass(run, once):
    """min_bad asks for more failures than there were."""
    rule = once("exact")
    metrics = tuple(replace(m, min_bad=10**6) for m in rule.metrics)
    release = run.Run.Release("x", error_ratio=0.08)
    last = run(rule=replace(rule, metrics=metrics), release=release).until(300)
    assert last.verdict.kind is VerdictKind.INCONCLUSIVE
    assert "different beyond doubt, but small" in last.summary


@pytest.mark.parametrize("mode", MODES)
def test_the_baseline_that_misses_its_objective_still_holds(run, once, mode):
    canary = run(rule=once(mode), traffic=run.Run.Traffic(12, 12, error_ratio=0.3))
    look = canary.until(60)
    assert look.reason in {Reason.BOTH_BAD, Reason.BASELINE_BAD}


@pytest.mark.parametrize("mode", MODES)
def test_evidence_says_mode_points_and_answer(run, once, mode):
    last = run(rule=once(mode)).until(300)
    found = shown(last, run.Run.SERVER)
    assert found["log_e_value"] is None
    assert found["certificates"] == {}
    assert found["effect"]["estimate"] == pytest.approx(1.0, abs=0.1)
    once_only = found["fixed_time"]
    assert (once_only["mode"], once_only["statistic"], once_only["point_s"]) == (mode, "p50", 10)
    assert once_only["points"] == {"baseline": 15, "canary": 15}
    assert once_only["gaps"] == {"baseline": 0, "canary": 0}
    assert once_only["classification"] == "pass"
    assert once_only["reason"]
    assert ("z_above" if mode == "exact" else "shift_low") in once_only["figures"]


def test_a_sequential_metric_says_nothing_of_it(run):
    canary = run()
    canary.until(10)
    assert "fixed_time" not in shown(canary.looks[-1], run.Run.SERVER)


@pytest.mark.parametrize("mode", MODES)
def test_after_the_answer_nothing_changes(run, once, mode):
    canary = run(rule=once(mode), release=run.Run.Release("x", start_factor=2.0))
    last = canary.until(300)
    later = canary.second()
    assert later.verdict == last.verdict
    assert later.to_json()["metrics"] == last.to_json()["metrics"]


def dumps(look):
    return json.dumps(look, sort_keys=True, allow_nan=False)


@pytest.mark.parametrize("mode", MODES)
def test_a_replay_of_the_tape_gives_the_same_bytes(run, once, mode):
    """Of a judge that was killed on the way; and another mode gives others."""
    r, rule, stored = run.Run, once(mode, horizon_s=30.0, min_bake_s=5.0), []
    metrics = tuple(replace(m, point_s=2) for m in rule.metrics)
    rule = replace(rule, metrics=metrics)
    judge = CanaryJudge(rule, r.START)
    stream = r(rule, release=r.Release("x", start_factor=2.0)).blocks()
    for index, (now, blocks) in enumerate(stream):
        if index in {7, 29}:
            judge = CanaryJudge.from_state(rule, json.loads(json.dumps(judge.to_state())))
        look = judge.look(blocks, now)
        shown_look = replace(look, traffic={**look.traffic, "reading": {}}).to_json()
        raw = written(TapeEntry(not index, is_look=True, unix_nano=now, blocks=blocks))
        stored.append(StoredLook(index, shown_look, dumps(shown_look), read(raw)))
        if look.final:
            break
    assert look.verdict.kind is VerdictKind.FAIL
    again = replay(rule, r.START, stored, dumps)
    assert (again.outcome, again.looks_same, again.verdict) == ("same", 30, "fail")
    other = replace(rule, metrics=tuple(replace(m, point_s=3) for m in metrics))
    assert replay(other, r.START, stored, dumps).outcome == "differs"
