"""Points: which interval, what of it, and what is no point at all."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from analysis.blocks import Block, CountArm, HistogramArm
from analysis.canary.config import Mode, Statistic
from analysis.canary.points import PointCollector, point_of

SECOND = 1_000_000_000
START = 1_790_000_003 * SECOND
ERRORS, SERVER = "http.server.errors", "http.server.request.duration"
BOUNDS = np.array([0.1, 0.2, 0.4, 0.8])


def counts(second, a, b, length=1):
    start = START + second * SECOND
    return Block(start, start + length * SECOND, CountArm(*a), CountArm(*b))


def buckets(second, a, b):
    start = START + second * SECOND
    arms = (HistogramArm(BOUNDS, np.array(found)) for found in (a, b))
    return Block(start, start + SECOND, *arms)


@pytest.fixture
def collector(rule):
    def make(name=ERRORS, horizon_s=100.0, **changes):
        config = replace(rule.metric(name), **{"mode": Mode.KAYENTA, **changes})
        return PointCollector(name, config, horizon_s)

    return make


def values(found):
    return [one.value for one in found.intervals]


def test_a_point_is_the_share_of_its_interval(collector):
    points = collector(point_s=2)
    for second in range(5):
        points.take(counts(second, (9 - second, 10), (5, 5)))
    # The fifth second's interval is not over.
    assert values(points) == [(0.15, 0.0), (0.35, 0.0)]
    assert [one.start_unix_nano for one in points.intervals] == [START, START + 2 * SECOND]
    assert points.over == 2


def test_no_events_is_no_point_and_never_zero(collector):
    points = collector(point_s=1)
    points.take(counts(0, (9, 10), (0, 0)))
    points.take(counts(1, (0, 0), (0, 0)))
    # Nothing of seconds 2 to 4.
    points.take(counts(5, (10, 10), (8, 10)))
    assert values(points) == [(0.1, None), (0.0, 0.2)]
    assert points.over == 6


def test_what_starts_after_the_horizon_is_not_taken(collector):
    points = collector(point_s=10, horizon_s=25.0)
    taken = [points.take(counts(second, (1, 1), (1, 1))) for second in range(40)]
    assert taken == [True] * 20 + [False] * 20
    assert len(points.intervals) == 2


def test_a_block_longer_than_its_interval_leaves_gaps(collector):
    points = collector(point_s=2)
    for second in (0, 6, 12):
        points.take(counts(second, (1, 2), (2, 2), length=6))
    assert values(points) == [(0.5, 0.0)] * 3
    assert points.over == 7


def test_exact_points_are_made_of_as_many_events_on_both_sides(collector):
    points = collector(point_s=1, mode=Mode.EXACT)
    for second in range(400):
        points.take(counts(second, (180, 200), (18, 20)))
    assert {one.events for one in points.intervals} == {(20, 20)}
    assert {one.value[1] for one in points.intervals} == {0.1}
    drawn = [one.value[0] for one in points.intervals]
    assert len(set(drawn)) > 3
    # A tenth is bad, drawn without replacement: sd of the mean about 0.003.
    assert np.mean(drawn) == pytest.approx(0.1, abs=0.013)


def test_exact_points_need_events_on_both_sides(collector):
    points = collector(point_s=1, mode=Mode.EXACT)
    points.take(counts(0, (9, 10), (0, 0)))
    points.take(counts(1, (9, 10), (1, 1)))
    assert len(points.intervals) == 1
    assert points.over == 2


def test_absurdly_many_events_are_drawn_from_as_well(collector):
    points = collector(point_s=1, mode=Mode.EXACT)
    points.take(counts(0, (9 * 10**10, 10**11), (8, 10)))
    points.take(counts(1, (9 * 10**10, 10**11), (8 * 10**9, 10**10)))
    assert points.intervals[1].value == pytest.approx((0.1, 0.2), abs=1e-3)


def test_durations_are_drawn_down_too(collector):
    points = collector(SERVER, point_s=1, mode=Mode.EXACT, statistic=Statistic.P50)
    points.take(buckets(0, [0, 60, 40, 0, 0], [0, 6, 4, 0, 0]))
    assert points.intervals[0].events == (10, 10)
    points.take(buckets(1, [5, 0, 0, 0, 0], [5, 0, 0, 0, 0]))
    assert points.intervals[1].value[0] == points.intervals[1].value[1]


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        # Half of the events of (0.1, 0.2] and of (0.2, 0.4]: the edge between.
        ("p50", 0.2),
        ("p90", 0.2 * 2**0.8),
        ("p99", 0.2 * 2**0.98),
        ("mean", (0.1 * 2**0.5 + 0.2 * 2**0.5) / 2),
    ],
)
def test_statistics_come_from_buckets_by_interpolation(statistic, expected):
    found = point_of(BOUNDS, np.array([0.0, 5.0, 5.0, 0.0, 0.0]), Statistic(statistic))
    assert found == pytest.approx(expected)


def test_the_ends_of_a_layout(collector):
    first, last = (np.array([4.0, 0, 0, 0, 0]), np.array([0, 0, 0, 0, 4.0]))
    assert point_of(BOUNDS, first, Statistic.MEAN) == pytest.approx(0.05)
    assert point_of(BOUNDS, first, Statistic.P50) == pytest.approx(0.05)
    # Of the open last bucket only its lower edge is known.
    assert point_of(BOUNDS, last, Statistic.MEAN) == point_of(BOUNDS, last, Statistic.P99) == 0.8
    assert point_of(BOUNDS, np.zeros(5), Statistic.MEAN) is None
    assert point_of(np.zeros(0), np.array([3.0]), Statistic.P50) is None


@pytest.mark.parametrize("mode", [Mode.KAYENTA, Mode.EXACT])
@pytest.mark.parametrize("name", [ERRORS, SERVER])
def test_it_goes_on_from_its_state_in_the_middle_of_an_interval(collector, mode, name):
    rng = np.random.default_rng(3)
    whole, resumed = (collector(name, point_s=4, mode=mode) for _ in range(2))
    for second in range(30):
        if name == ERRORS:
            n_a, n_b = (int(n) for n in rng.integers(0, 9, 2))
            block = counts(second, (n_a // 2, n_a), (n_b // 3, n_b))
        else:
            block = buckets(second, *rng.integers(0, 4, (2, 5)))
        whole.take(block)
        resumed.take(block)
        saved = json.loads(json.dumps(resumed.to_state(), allow_nan=False))
        resumed = collector(name, point_s=4, mode=mode)
        resumed.restore(saved)
    assert resumed.to_state() == whole.to_state()
    assert resumed.intervals == whole.intervals
    assert len(whole.intervals) == 7
