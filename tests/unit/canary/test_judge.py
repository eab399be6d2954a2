"""What the judge says about plain canaries: good, bad, silent, mixed up, starved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.blocks import Block, CountArm, HistogramArm
from analysis.canary.errors import CanaryInputError, CanaryStateError
from analysis.canary.evidence import MetricState, Reason, VerdictKind
from analysis.canary.judge import CanaryJudge


def kinds(looks):
    return {look.verdict.kind for look in looks if look.verdict is not None}


def metric_of(look, name, split=""):
    return next(m for m in look.metrics if m.name == name and m.split == split)


# --- plain ends -----------------------------------------------------------------------------


def test_a_good_canary_passes_after_the_bake(run, rule):
    canary = run()
    last = canary.until(300)
    assert last.verdict.kind is VerdictKind.PASS
    assert last.reason is Reason.CERTIFIED
    assert last.elapsed_s >= rule.min_bake_s
    assert all(look.verdict is None for look in canary.looks[:-1])
    assert "not worse" in last.summary


def test_a_split_that_breaks_is_named(run):
    r = run.Run
    canary = run(release=r.Release("x", legacy_failure_ratio=0.5))
    last = canary.until(300)
    assert last.verdict.kind is VerdictKind.FAIL
    assert last.verdict.final
    assert last.verdict.culprit_metric == r.FAILURES
    assert last.verdict.culprit_split == "playback.device.class=tv-legacy"
    assert "tv-legacy" in last.summary
    assert last.max_log_e_value >= last.threshold_log_e


@pytest.mark.parametrize(
    ("changes", "culprits"),
    [
        ({"start_factor": 1.5, "server_factor": 1.5}, {"STARTUP", "SERVER"}),
        ({"server_factor": 1.6}, {"SERVER"}),
        ({"start_factor": 1.6}, {"STARTUP"}),
        ({"device_failure_ratio": 0.1}, {"FAILURES"}),
        ({"error_ratio": 0.08}, {"ERRORS"}),
    ],
)
def test_what_is_worse_is_named(run, changes, culprits):
    last = run(release=run.Run.Release("x", **changes)).until(300)
    assert last.verdict.kind is VerdictKind.FAIL
    assert last.verdict.culprit_metric in {getattr(run.Run, name) for name in culprits}


def test_a_faster_canary_passes(run):
    last = run(release=run.Run.Release("x", start_factor=0.7, server_factor=0.7)).until(300)
    assert last.verdict.kind is VerdictKind.PASS


def test_after_the_end_nothing_changes(run):
    canary = run()
    last = canary.until(300)
    later = canary.second()
    assert later.verdict == last.verdict
    assert later.inputs_digest == last.inputs_digest
    assert later.index == last.index + 1


# --- silence --------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [0.0, 0.4])
def test_canary_silent_from_the_start_is_held_and_decides_nothing(run, without, rule, failing):
    """Its telemetry is cut while the viewers' starts arrive, even bad ones."""
    r = run.Run
    canary = run(
        release=r.Release("x", device_failure_ratio=failing),
        change=without("canary", r.SERVER, r.ERRORS),
    )
    canary.until(310)
    waiting = [look for look in canary.looks if look.elapsed_s <= rule.first_report_s]
    assert {look.reason for look in waiting} == {Reason.WARMING}
    assert "first report" in waiting[-1].summary
    held = [look for look in canary.looks if look.elapsed_s > rule.first_report_s + 1]
    assert {look.reason for look in held} == {Reason.CANARY_SILENT}
    assert kinds(canary.looks) == {VerdictKind.INCONCLUSIVE}
    assert [look.final for look in canary.looks[:-1]] == [False] * (len(canary.looks) - 1)
    assert canary.looks[-1].final
    assert canary.looks[-1].elapsed_s == pytest.approx(rule.horizon_s)


@pytest.mark.parametrize("arm", ["canary", "baseline"])
def test_an_arm_cut_off_midway_is_held_and_released(run, without, rule, arm):
    r = run.Run
    canary = run(change=without(arm, r.SERVER, r.ERRORS, since=20, until=70))
    canary.until(70)
    reason = Reason.CANARY_SILENT if arm == "canary" else Reason.BASELINE_SILENT
    held = [look for look in canary.looks if look.elapsed_s > 20 + rule.silence_s]
    assert {look.reason for look in held} == {reason}
    assert not any(look.final for look in held)
    assert arm in held[0].summary
    last = canary.until(300)
    assert last.verdict.kind is VerdictKind.PASS


def test_silence_does_not_hide_behind_the_other_arms_failures(run, without):
    """Cut off at 15 s with a broken device family: held, not failed, not passed."""
    r = run.Run
    canary = run(
        release=r.Release("x", legacy_failure_ratio=0.2),
        change=without("canary", r.SERVER, r.ERRORS, since=5),
    )
    canary.until(310)
    assert kinds(canary.looks) <= {VerdictKind.INCONCLUSIVE, VerdictKind.FAIL}
    late = [look for look in canary.looks if look.elapsed_s > 14]
    if canary.looks[-1].verdict.kind is VerdictKind.INCONCLUSIVE:
        assert {look.reason for look in late} == {Reason.CANARY_SILENT}
    else:  # beyond doubt before the silence was noticed
        assert canary.looks[-1].elapsed_s <= 14


def test_nothing_at_all_is_no_data(run, rule):
    canary = run(change=lambda t, key, block: None)
    canary.until(310)
    assert {look.reason for look in canary.looks} == {Reason.WARMING, Reason.NO_DATA}
    last = canary.looks[-1]
    assert (last.verdict.kind, last.reason, last.final) == (
        VerdictKind.INCONCLUSIVE,
        Reason.NO_DATA,
        True,
    )
    assert last.elapsed_s == pytest.approx(rule.horizon_s)


def test_both_arms_quiet_midway_is_no_data(run):
    canary = run(change=lambda t, key, block: block if t < 20 else None)
    last = canary.until(40)
    assert (last.verdict.kind, last.reason) == (VerdictKind.INCONCLUSIVE, Reason.NO_DATA)
    assert not last.final


# --- never a pass, never a rollback without evidence ----------------------------------------


def nothing_in(*names):
    return lambda t, key, block: None if key.partition("{")[0] in names else block


def one_bucket(t, key, block):
    """Every value of both arms in one bucket."""
    if not isinstance(block.baseline, HistogramArm) and not isinstance(block.canary, HistogramArm):
        return block
    arm = HistogramArm(np.array([1.0, 2.0]), np.array([0, 12, 0]))
    return replace(block, baseline=arm, canary=arm)


def unrelated_layouts(t, key, block):
    if not isinstance(block.canary, HistogramArm):
        return block
    edges = np.array([0.0031, 0.017, 0.09, 0.33, 1.7])
    return replace(block, canary=HistogramArm(edges, np.array([1, 2, 3, 4, 5, 6])))


def broken_bounds(t, key, block):
    if not isinstance(block.canary, HistogramArm):
        return block
    bounds = block.canary.bounds.copy()
    bounds[0] = np.nan
    return replace(block, canary=HistogramArm(bounds, block.canary.counts))


def absurd_counts(t, key, block):
    arm = block.canary
    if isinstance(arm, CountArm):
        return replace(block, canary=CountArm(10**15, 10**15))
    if arm is None:
        return block
    counts = np.full(len(arm.counts), 2**60, dtype=np.int64)
    return replace(block, canary=HistogramArm(arm.bounds, counts))


def no_events(t, key, block):
    """Both arms report, nobody asks anything of them."""
    arms = {}
    for name in ("baseline", "canary"):
        arm = getattr(block, name)
        if isinstance(arm, CountArm):
            arms[name] = CountArm(0, 0)
        elif arm is not None:
            arms[name] = HistogramArm(arm.bounds, np.zeros(len(arm.counts), dtype=np.int64))
    return replace(block, **arms)


def no_buckets(t, key, block):
    if not isinstance(block.canary, HistogramArm):
        return block
    arm = HistogramArm(np.zeros(0), np.array([12]))
    return replace(block, baseline=arm, canary=arm)


def always_late(t, key, block):
    if t == 0:
        return block
    return replace(block, start_unix_nano=block.start_unix_nano - (t + 1) * 10**9)


def backwards(t, key, block):
    return replace(block, end_unix_nano=block.start_unix_nano - 1)


@pytest.mark.parametrize(
    ("change", "kind", "reasons"),
    [
        (nothing_in("playback.startup.duration"), "inconclusive", {"undecided_at_horizon"}),
        (nothing_in("playback.start.failures"), "inconclusive", {"undecided_at_horizon"}),
        (nothing_in("http.server.errors"), "inconclusive", {"undecided_at_horizon"}),
        (nothing_in("http.server.request.duration"), "inconclusive", {"no_data"}),
        (one_bucket, "inconclusive", {"undecided_at_horizon"}),
        (unrelated_layouts, "invalid", {"incomparable_layouts"}),
        (broken_bounds, "invalid", {"incomparable_layouts"}),
        (absurd_counts, "invalid", {"incomparable_layouts"}),
        (no_events, "inconclusive", {"undecided_at_horizon"}),
        (no_buckets, "inconclusive", {"undecided_at_horizon"}),
        (always_late, "inconclusive", {"no_data"}),
        (backwards, "invalid", {"incomparable_layouts"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_without_evidence_there_is_no_pass_and_no_rollback(run, change, kind, reasons):
    canary = run(change=change)
    last = canary.until(310)
    assert last.final
    assert kinds(canary.looks) == {VerdictKind(kind)}
    assert {str(last.reason)} <= reasons


def test_low_traffic_is_undecided(run):
    last = run(traffic=run.Run.Traffic(0.2, 0.2)).until(310)
    assert last.verdict.kind is VerdictKind.INCONCLUSIVE
    assert last.reason in {Reason.UNDECIDED_AT_HORIZON, Reason.CANARY_SILENT, Reason.NO_DATA}


def test_one_bucket_is_called_constant(run):
    canary = run(change=one_bucket)
    canary.until(60)
    assert metric_of(canary.looks[-1], canary.SERVER).state is MetricState.CONSTANT


def test_a_hole_in_the_data_is_counted_and_survived(run, without):
    """Two seconds without the canary: not silence, not zero."""
    r = run.Run
    names = (r.FAILURES, r.STARTUP, r.SERVER, r.ERRORS)
    canary = run(change=without("canary", *names, since=10, until=12))
    last = canary.until(300)
    assert last.verdict.kind is VerdictKind.PASS
    assert metric_of(last, r.SERVER).blocks_skipped == {"baseline_only": 2}


# --- gates ----------------------------------------------------------------------------------


def test_a_split_that_was_not_declared_is_invalid(run, rule):
    declared = replace(rule, declared_canary_share_ratio=0.5)
    last = run(rule=declared, traffic=run.Run.Traffic(18.0, 6.0)).until(300)
    assert (last.verdict.kind, last.reason, last.final) == (
        VerdictKind.INVALID,
        Reason.SAMPLE_RATIO_MISMATCH,
        True,
    )
    assert last.traffic["checked"]


def test_the_declared_split_passes_the_check(run, rule):
    declared = replace(rule, declared_canary_share_ratio=0.25)
    last = run(rule=declared, traffic=run.Run.Traffic(18.0, 6.0)).until(300)
    assert last.verdict.kind is VerdictKind.PASS


def test_an_undeclared_split_is_reported_and_not_checked(run):
    last = run(traffic=run.Run.Traffic(18.0, 6.0)).until(20)
    assert not last.traffic["checked"]
    assert last.traffic["canary_share_ratio"] == pytest.approx(0.25, abs=0.1)


def test_a_common_cause_holds(run):
    """Both arms fail a fifth of the starts: neither promote nor roll back."""
    r = run.Run
    canary = run(traffic=r.Traffic(12.0, 12.0, failure_ratio=0.2), release=r.Release("x"))
    canary.until(310)
    late = [look for look in canary.looks if look.elapsed_s > 20]
    assert {look.reason for look in late} == {Reason.BOTH_BAD}
    assert kinds(canary.looks) == {VerdictKind.INCONCLUSIVE}


def test_a_bad_yardstick_holds(run):
    """Only the baseline fails: the canary looks like a cure, and is not promoted for it."""

    def broken_baseline(t, key, block):
        if not key.startswith("playback.start.failures") or block.baseline is None:
            return block
        arm = block.baseline
        return replace(block, baseline=CountArm(int(arm.good * 0.7), arm.total))

    canary = run(change=broken_baseline)
    canary.until(310)
    late = [look for look in canary.looks if look.elapsed_s > 20]
    assert {look.reason for look in late} == {Reason.BASELINE_BAD}


def test_beyond_doubt_but_small_is_no_rollback_and_no_pass(run):
    """Ten times the stalls, in no quantile that 2,500 requests tell well enough."""
    edges = 2.0 ** (np.arange(-4, 12) / 8)
    usual = np.array([2, 4, 6, 8, 10, 10, 10, 10, 10, 8, 6, 5, 4, 4, 3, 0, 0])

    def stalls(t, key, block):
        if key != run.Run.STARTUP:
            return block
        arms = [usual.copy(), usual.copy()]
        arms[0][-1], arms[1][-1] = int(t % 3 == 0), 3
        histograms = [HistogramArm(edges, counts) for counts in arms]
        return replace(block, baseline=histograms[0], canary=histograms[1])

    canary = run(change=stalls)
    canary.until(24)
    last = canary.looks[-1]
    assert (last.verdict, last.reason) == (None, Reason.SMALL_EFFECT)
    assert "small: playback startup time" in last.summary


def test_a_canary_that_turns_bad_during_the_bake_does_not_pass(run):
    """Shown safe at 50 s, broken from then on."""

    def turning(t, key, block):
        if t < 50 or not key.startswith("playback.start.failures") or block.canary is None:
            return block
        arm = block.canary
        return replace(block, canary=CountArm(int(arm.good * 0.6), arm.total))

    last = run(change=turning).until(300)
    assert last.verdict.kind is VerdictKind.FAIL


# --- splits ---------------------------------------------------------------------------------


def test_splits_beyond_the_limit_are_counted_not_judged(run):
    canary = run()
    canary.until(5)
    key = f"{canary.FAILURES}{{playback.device.class=toaster}}"
    start = canary.START + 5 * canary.SECOND
    block = Block(start, start + canary.SECOND, CountArm(5, 5), CountArm(5, 5))
    look = canary.judge.look({key: [block]}, start + canary.SECOND)
    assert look.traffic["splits_not_judged"] == {key: 1}
    assert len([m for m in look.metrics if m.split]) == 5


def test_weights_never_exceed_the_budget(run):
    canary = run()
    look = canary.until(30)
    assert sum(m.weight for m in look.metrics) <= 1 + 1e-12
    assert sum(m.weight for m in look.metrics) == pytest.approx(1)


# --- input ----------------------------------------------------------------------------------


def block(baseline, canary, start=0):
    return Block(start, start + 10**9, baseline, canary)


@pytest.mark.parametrize(
    ("key", "arm"),
    [
        ("no.such.metric", CountArm(1, 1)),
        ("playback.startup.duration", CountArm(1, 1)),
        ("playback.start.failures", HistogramArm(np.array([1.0]), np.array([1, 1]))),
        ("playback.start.failures{playback.isp=x}", CountArm(1, 1)),
        ("http.server.errors{a=b}", CountArm(1, 1)),
    ],
)
def test_wrong_input_is_refused_whole(rule, key, arm):
    judge = CanaryJudge(rule, 0)
    before = judge.to_state()
    good = block(CountArm(1, 1), CountArm(1, 1))
    with pytest.raises(CanaryInputError, match=r"playback|no.such|http"):
        judge.look({"http.server.errors": [good], key: [block(arm, arm)]}, 10**9)
    assert judge.to_state() == before


def test_state_of_another_rule_or_version_is_refused(rule):
    state = CanaryJudge(rule, 0).to_state()
    with pytest.raises(CanaryStateError, match="rule"):
        CanaryJudge.from_state(replace(rule, alpha=0.01), state)
    with pytest.raises(CanaryStateError, match=r"0\.0/other"):
        CanaryJudge.from_state(rule, {**state, "code_version": "0.0/other"})


def test_blocks_taken_twice_count_once(run, rule):
    canary = run()
    canary.until(10)
    start = canary.START + 9 * canary.SECOND
    repeated = {canary.ERRORS: [block(CountArm(0, 50), CountArm(0, 50), start)]}
    look = canary.judge.look(repeated, start + canary.SECOND, with_intervals=False)
    errors = metric_of(look, canary.ERRORS)
    assert errors.blocks_skipped == {"late": 1}
    assert errors.canary["bad"] == metric_of(canary.looks[-1], canary.ERRORS).canary["bad"]


def test_history_before_the_canary_sharpens_and_judges_nothing(rule):
    edges = 2.0 ** (np.arange(-32, 40) / 8)
    counts = np.bincount(np.random.default_rng(3).binomial(72, 0.4, 3000), minlength=73)
    judge = CanaryJudge(rule, 0)
    past = [block(HistogramArm(edges, counts), None, -(10**9))]
    judge.prime({"playback.startup.duration": past, "playback.start.failures": past})
    look = judge.look({}, 10**9)
    assert metric_of(look, "playback.startup.duration").log_e_value == 0.0
    assert metric_of(look, "playback.startup.duration").baseline["total"] == 0


def cold_start(t, key, block):
    """Durations of the canary's first 30 s are those of a cold cache: one octave up."""
    if t >= 30 or key != "playback.startup.duration" or block.canary is None:
        return block
    arm = block.canary
    up = np.concatenate([np.zeros(16, dtype=np.int64), arm.counts[:-16]])
    return replace(block, canary=replace(arm, counts=up))


def test_a_cold_start_is_forgiven_only_by_a_warm_up(run, rule):
    strict = run(change=cold_start).until(300)
    assert strict.verdict.kind == "fail"
    last = run(rule=replace(rule, warm_up_s=30.0), change=cold_start).until(300)
    assert last.verdict.kind == "pass"
    skipped = {m.name: m.blocks_skipped.get("warm_up", 0) for m in last.metrics if not m.split}
    assert skipped["playback.startup.duration"] == 30


def test_too_few_instances_hold_the_verdict(run, rule):
    """The blocks of these streams come from one instance per arm."""
    bad = run.Run.Release("x", device_failure_ratio=0.3)
    look = run(rule=replace(rule, min_instances_per_arm=2), release=bad).until(40)
    assert look.verdict.kind == "inconclusive"
    assert look.reason == "too_few_instances"
    assert not look.final
    assert look.to_json()["traffic"]["instances"] == {"baseline": 1, "canary": 1}
