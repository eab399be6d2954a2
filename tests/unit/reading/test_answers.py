"""What the read API says is taken exactly, or refused with a typed error."""

from __future__ import annotations

import pytest

from analysis.reading.answers import HeardInstance, parse_blocks, parse_series, parse_services
from analysis.reading.errors import AnswerTruncated, AnswerUnusable

BOUNDS = [0.1, 0.2]


def _series(points, **changes):
    body = {
        "truncated": False,
        "from_unix_nano": 0,
        "to_unix_nano": 3_000_000_000,
        "step_s": 1.0,
        "groups": [{"attributes": {"a": "b"}, "points": points}],
    }
    return {**body, **changes}


def test_a_counter_block_holds_its_increase(answer):
    """Seven starts in the second step are seven events there."""
    (block,) = parse_blocks(answer(({}, {1: 7.0}))).groups[0].blocks
    assert (block.total, block.counts) == (7, None)


def test_a_histogram_block_holds_its_counts(answer):
    """The observations of a block are the sum over its buckets."""
    (block,) = parse_blocks(answer(({}, {0: [1, 2, 3]}), bounds=BOUNDS)).groups[0].blocks
    assert block.total == 6


def test_nobody_reported_is_an_answer_without_groups(answer):
    """No group is no error: nobody was heard."""
    assert parse_blocks(answer()).groups == ()


@pytest.mark.parametrize("parse", [parse_blocks, parse_series, parse_services])
def test_a_truncated_answer_is_no_answer(parse):
    """What leaves out series is refused by name, whatever else it says."""
    with pytest.raises(AnswerTruncated):
        parse({"truncated": True, "groups": [], "services": []})


@pytest.mark.parametrize("parse", [parse_blocks, parse_series, parse_services])
@pytest.mark.parametrize("body", [None, [], "text", 7, {}, {"truncated": False}])
def test_another_shape_is_unusable(parse, body):
    """Bodies of any other shape raise the typed error and nothing else."""
    with pytest.raises(AnswerUnusable):
        parse(body)


@pytest.mark.parametrize("value", [-1, 1.5, None, "many", float("nan"), float("inf")])
def test_an_increase_that_is_no_number_of_events_is_unusable(answer, value):
    """Events are whole and never negative."""
    with pytest.raises(AnswerUnusable):
        parse_blocks(answer(({}, {0: value})))


@pytest.mark.parametrize(
    "counts", [[1, 2], [1, 2, 3, 4], [1, -2, 3], [1, 2.5, 3], [1, None, 3], [[1], [2], [3]], 7]
)
def test_counts_that_do_not_fit_their_bounds_are_unusable(answer, counts):
    """One whole count per bucket; a fraction is not cut off silently."""
    with pytest.raises(AnswerUnusable):
        parse_blocks(answer(({}, {0: counts}), bounds=BOUNDS))


@pytest.mark.parametrize("bounds", [[0.2, 0.1], [0.1, 0.1], [0.1, float("inf")], [0.1, "x"]])
def test_bounds_that_do_not_ascend_are_unusable(answer, bounds):
    """No layout can be widened or added up on such edges."""
    with pytest.raises(AnswerUnusable):
        parse_blocks(answer(({}, {0: [1, 2, 3]}), bounds=bounds))


@pytest.mark.parametrize("step", [-1, 5, 0.5])
def test_a_block_that_is_no_step_of_its_window_is_unusable(answer, step):
    """Before the window, after it, between two steps: it would be counted in a wrong step."""
    with pytest.raises(AnswerUnusable):
        parse_blocks(answer(({}, {step: 1})))


def test_blocks_out_of_order_are_unusable(answer):
    """The newest is read off the end of the list, so the order is part of the shape."""
    body = answer(({}, {0: 1, 1: 1}))
    body["groups"][0]["blocks"].reverse()
    with pytest.raises(AnswerUnusable):
        parse_blocks(body)


@pytest.mark.parametrize("step_s", [0, -1, None, "x", float("nan")])
def test_a_step_without_width_is_unusable(answer, step_s):
    """Steps are cut by division."""
    with pytest.raises(AnswerUnusable):
        parse_blocks({**answer(), "step_s": step_s})


def test_a_point_of_no_data_is_absent_and_zero_is_zero():
    """Null means nobody reported, which is not the same as nothing happened."""
    ((_, points),) = parse_series(_series([[0, 4], [1, None], [2, 0]])).groups
    assert points == {0: 4, 2_000_000_000: 0}


@pytest.mark.parametrize("points", [[[0]], [[0, "x"]], [[None, 1]], [[0, 0.5]], None, [[0, -1]]])
def test_odd_points_are_unusable(points):
    """No point is guessed."""
    with pytest.raises(AnswerUnusable):
        parse_series(_series(points))


def test_services_list_every_instance_with_when_it_was_heard():
    """One entry per instance."""
    one = {"version": "2.4.0", "instance_id": "c-0", "last_seen_unix_nano": 5}
    body = {"truncated": False, "services": [{"service_name": "playback", "instances": [one]}]}
    assert (HeardInstance("playback", "2.4.0", "c-0", 5),) == parse_services(body)
