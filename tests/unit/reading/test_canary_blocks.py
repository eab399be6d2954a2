"""From an answer to blocks of both arms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.blocks import PARTS_MAX, CountArm
from analysis.reading.answers import parse_blocks
from analysis.reading.canary_blocks import baseline_blocks, blocks_of, newest_by_arm
from analysis.reading.roster import DeclaredArm, Roster
from analysis.reading.sources import sources_of

SECOND_NS = 1_000_000_000
START = 1_790_000_000 * SECOND_NS
STARTS = "playback.starts"
HTTP = "http.server.request.duration"
FAILURES = "playback.start.failures"


def _viewers(cohort, outcome, device="tv"):
    return {
        "davylamp.canary.cohort": cohort,
        "playback.outcome": outcome,
        "playback.device.class": device,
    }


def _server(cohort, instance, status="200", version=None):
    return {
        "davylamp.canary.cohort": cohort,
        "service.instance.id": instance,
        "service.version": version or {"baseline": "2.3.0", "canary": "2.4.0"}[cohort],
        "http.response.status_code": status,
    }


def _taken(source, body, roster, steps=5):
    return blocks_of(source, parse_blocks(body), roster, START + steps * SECOND_NS)


def test_counts_are_good_or_bad_by_outcome_and_split(sources, roster, answer):
    """Aborted starts belong to neither; a device's block counts its own viewers only."""
    body = answer(
        (_viewers("baseline", "success"), {0: 9}),
        (_viewers("canary", "success"), {0: 7}),
        (_viewers("canary", "failure_technical", "phone"), {0: 2}),
        (_viewers("canary", "abandoned"), {0: 50}),
    )
    blocks = _taken(sources[STARTS], body, roster, 1).blocks
    (total,) = blocks[FAILURES]
    (phone,) = blocks[f"{FAILURES}{{playback.device.class=phone}}"]
    assert (
        total.baseline.good,
        total.baseline.total,
        total.canary.good,
        total.canary.total,
    ) == (9, 9, 7, 9)
    assert (
        phone.baseline.good,
        phone.baseline.total,
        phone.canary.good,
        phone.canary.total,
    ) == (0, 0, 0, 2)


def test_an_arm_that_did_not_report_has_no_number(sources, roster, answer):
    """Silence is None; a report without events is zero of zero."""
    body = answer(
        (_viewers("baseline", "success"), {0: 9, 1: 3}), (_viewers("canary", "success"), {1: 0})
    )
    first, second = _taken(sources[STARTS], body, roster, 2).blocks[FAILURES]
    assert first.canary is None
    assert (second.canary.good, second.canary.total) == (0, 0)


def test_every_closed_step_has_a_block_and_no_open_one(sources, roster, answer):
    """A step nobody reported in has an empty block; what is not closed is not taken."""
    body = answer((_viewers("canary", "success"), {0: 1, 3: 100}))
    taken = _taken(sources[STARTS], body, roster, 3)
    assert [START + i * SECOND_NS for i in range(3)] == [
        block.start_unix_nano for block in taken.blocks[FAILURES]
    ]
    assert taken.events == {("canary", START): 1}


def test_server_errors_are_counted_by_status_code(sources, roster, answer):
    """5xx is bad, everything else good, out of the same histogram the latency comes from."""
    body = answer(
        (_server("baseline", "b-0"), {0: [5, 0, 0]}),
        (_server("canary", "c-0"), {0: [3, 1, 0]}),
        (_server("canary", "c-0", "404"), {0: [0, 1, 0]}),
        (_server("canary", "c-0", "503"), {0: [0, 0, 2]}),
        bounds=[0.1, 0.3],
    )
    (block,) = _taken(sources[HTTP], body, roster, 1).blocks["http.server.errors"]
    assert (block.canary.good, block.canary.total) == (5, 7)


def test_instances_with_other_buckets_are_added_up_on_shared_bounds(sources, roster, answer):
    """Merging loses edges, never an observation."""
    wide = answer((_server("canary", "c-0"), {0: [1, 2, 3, 4]}), bounds=[0.1, 0.3, 0.7])
    narrow = answer((_server("canary", "c-1"), {0: [10, 20, 30]}), bounds=[0.3, 0.9])
    body = {**wide, "groups": wide["groups"] + narrow["groups"]}
    (block,) = _taken(sources[HTTP], body, roster, 1).blocks[HTTP]
    assert list(block.canary.bounds) == [0.3]
    assert list(block.canary.counts) == [13, 57]
    assert block.canary.instance_count == 2


def test_a_step_of_an_exponential_histogram_is_the_same_in_any_window(sources, roster, answer):
    """The collector cuts layouts to what an answer uses; the block does not show it."""
    attributes = {"davylamp.canary.cohort": "canary"}
    scale = 16
    short = answer((attributes, {0: [0, 4, 2, 0]}), bounds=list(np.exp2(np.arange(3, 6) / scale)))
    long = answer(
        (attributes, {0: [0, 0, 4, 2, 0, 0]}), bounds=list(np.exp2(np.arange(2, 7) / scale))
    )
    name = "playback.startup.duration"
    one, other = (_taken(sources[name], b, roster, 1).blocks[name][0] for b in (short, long))
    assert one.canary.total == 6
    np.testing.assert_array_equal(one.canary.bounds, other.canary.bounds)
    np.testing.assert_array_equal(one.canary.counts, other.canary.counts)


def test_strays_are_counted_and_named_and_move_no_arm(sources, roster, answer):
    """An undeclared instance, and a declared one of another version."""
    body = answer(
        (_server("canary", "c-9"), {0: [1, 0, 0]}),
        (_server("canary", "c-0", version="2.5.0"), {0: [0, 2, 0]}),
        bounds=[0.1, 0.3],
    )
    taken = _taken(sources[HTTP], body, roster, 1)
    assert (taken.stray_events, taken.strays, taken.events) == (3, ("c-0", "c-9"), {})
    assert taken.blocks[HTTP][0].canary is None


def test_a_stray_is_not_heard_as_an_arm(sources, roster, answer):
    """Steps do not close because somebody unknown reports."""
    body = answer(
        (_server("baseline", "b-0"), {2: [1, 0, 0]}),
        (_server("canary", "c-9"), {4: [1, 0, 0]}),
        bounds=[0.1, 0.3],
    )
    newest = newest_by_arm(sources[HTTP], parse_blocks(body), roster)
    assert newest == {"baseline": START + 2 * SECOND_NS}


def test_history_is_the_baselines_and_has_no_empty_blocks(rule, answer):
    """Whoever answered before the canary counts as baseline; silence then is left out."""
    body = answer(({}, {1: [1, 2, 3]}), bounds=[0.1, 0.3])
    (block,) = baseline_blocks(rule.metric(HTTP), parse_blocks(body))
    assert (
        block.start_unix_nano,
        block.baseline.total,
        block.canary,
    ) == (START + SECOND_NS, 6, None)


def _two_instances(answer):
    wide = answer(
        (_server("canary", "c-0"), {0: [1, 2, 3, 4]}),
        (_server("canary", "c-0", "503"), {0: [0, 0, 0, 2]}),
        bounds=[0.1, 0.3, 0.7],
    )
    narrow = answer((_server("canary", "c-1"), {0: [10, 20, 30]}), bounds=[0.3, 0.9])
    return {**wide, "groups": wide["groups"] + narrow["groups"]}


def test_a_rule_that_leaves_instances_out_is_told_what_each_reported(rule, roster, answer):
    """Counts as they came, durations on the bounds all of them have; the sums are the same."""
    robust = replace(rule, robust_to_one_instance=True)
    found = {}
    for said in (rule, robust):
        source = next(s for s in sources_of(said, roster) if s.metric == HTTP)
        blocks = _taken(source, _two_instances(answer), roster, 1).blocks
        found[said] = blocks[HTTP][0].canary, blocks["http.server.errors"][0].canary
    durations, errors = found[robust]
    assert {name: row.tolist() for name, row in durations.parts.items()} == {
        "c-0": [3, 9],
        "c-1": [10, 50],
    }
    assert errors.parts == {"c-0": CountArm(10, 12), "c-1": CountArm(60, 60)}
    assert durations.counts.tolist() == found[rule][0].counts.tolist() == [13, 59]
    assert replace(errors, parts=None) == found[rule][1]
    assert found[rule][0].parts is None


def test_players_are_no_instances_of_the_service(rule, roster, answer):
    robust = replace(rule, robust_to_one_instance=True)
    source = next(s for s in sources_of(robust, roster) if s.metric == STARTS)
    body = answer((_viewers("canary", "success"), {0: 9}))
    (block,) = _taken(source, body, roster, 1).blocks[FAILURES]
    assert block.canary.parts is None


def test_an_arm_of_too_many_instances_is_not_told_apart(rule, answer):
    everyone = Roster(
        "d-1", "playback", DeclaredArm("2.3.0", frozenset()), DeclaredArm("2.4.0", frozenset())
    )
    robust = replace(rule, robust_to_one_instance=True)
    source = next(s for s in sources_of(robust, everyone) if s.metric == HTTP)
    for count in (PARTS_MAX, PARTS_MAX + 1):
        groups = [(_server("canary", f"c-{n}"), {0: [1, 0, 0]}) for n in range(count)]
        blocks = _taken(source, answer(*groups, bounds=[0.1, 0.3]), everyone, 1).blocks
        for key in (HTTP, "http.server.errors"):
            arm = blocks[key][0].canary
            assert arm.instance_count == count
            assert (arm.parts is not None) is (count == PARTS_MAX)
