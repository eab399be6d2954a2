"""Failures out of requests: the stated run length, what is found, what is learned."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.anomaly.counts import CountsConfig, CountsDetector, CountsState

SHARE = 0.05
#: At the ceiling from the first block on: learned shares may raise it, the floor is the truth.
AT_CEILING = CountsConfig(
    average_run_length_blocks=60.0,
    factors=(2.0, 5.0),
    margin_factor=1.0,
    ceiling_sigmas=0.0,
    floor_ratio=SHARE,
    lag_blocks=0,
    learn_min_requests=1,
    half_life_blocks=1e9,
    winsor_factor=3.0,
    min_failures=1,
)
WATCHING = CountsConfig(
    average_run_length_blocks=60_480.0,
    factors=(2.0, 5.0, 20.0),
    margin_factor=1.5,
    ceiling_sigmas=2.0,
    floor_ratio=0.002,
    lag_blocks=12,
    learn_min_requests=300,
    half_life_blocks=360.0,
    winsor_factor=3.0,
    min_failures=5,
)


def taught(config=WATCHING, share=0.01, blocks=100, requests=200, seed=1):
    """A detector that has seen a healthy service."""
    detector = CountsDetector(config)
    for failures in np.random.default_rng(seed).binomial(requests, share, blocks).tolist():
        last = detector.step(failures, requests)
    return detector, last


def run_lengths(share, runs, longest, seed):
    """Blocks to the first alarm, cut at ``longest``: the mean can only come out too small."""
    rng, lengths = np.random.default_rng(seed), []
    for _ in range(runs):
        detector = CountsDetector(AT_CEILING)
        detector.step(0, 1000)  # teaches; every ceiling from here on is at least the floor
        length = longest
        for block, failures in enumerate(rng.binomial(40, share, longest).tolist(), start=1):
            if detector.step(failures, 40).state is CountsState.ANOMALOUS:
                length = block
                break
        lengths.append(length)
    return np.array(lengths, dtype=float)


def test_average_run_length_is_at_least_the_stated_one():
    healthy = run_lengths(SHARE, runs=120, longest=300, seed=7)
    error = healthy.std() / math.sqrt(len(healthy))
    assert healthy.mean() - 3 * error >= AT_CEILING.average_run_length_blocks
    # The same measurement does see alarms, when there is something to see.
    assert run_lengths(4 * SHARE, runs=40, longest=300, seed=8).mean() < 6


@pytest.mark.parametrize("truth", [0.0, 0.01, 0.04, SHARE])
@pytest.mark.parametrize("requests", [1, 7, 40])
def test_a_bet_is_fair_up_to_the_ceiling(truth, requests):
    """By enumeration: the mean of the likelihood ratio is 1 at the ceiling, less below it."""
    mean = 0.0
    for failures in range(requests + 1):
        detector = CountsDetector(AT_CEILING)
        detector.step(0, 10)
        chance = math.comb(requests, failures) * truth**failures
        chance *= (1 - truth) ** (requests - failures)
        detector._restart()
        detector._bet(failures, requests, SHARE)
        mean += chance * math.exp(detector._log_statistic())
    assert mean <= 1 + 1e-9
    if truth == SHARE:
        assert mean == pytest.approx(1.0)


def test_a_tenfold_rise_is_found_within_a_minute():
    """200 requests in a block of 10 s, 1 % fail; then 10 %."""
    detector, last = taught()
    assert last.state is CountsState.NORMAL
    states = [
        detector.step(failures, 200).state
        for failures in np.random.default_rng(2).binomial(200, 0.1, 6).tolist()
    ]
    assert CountsState.ANOMALOUS in states


def test_a_healthy_service_is_left_alone():
    detector = CountsDetector(WATCHING)
    for failures in np.random.default_rng(3).binomial(200, 0.01, 3000).tolist():
        assert detector.step(failures, 200).state is not CountsState.ANOMALOUS


def test_learning_does_not_learn_the_fault():
    """Ten minutes at 40 %: alarms go on, the ceiling stays far below what is seen."""
    detector, before = taught(blocks=360)
    alarms = []
    for block, failures in enumerate(np.random.default_rng(4).binomial(200, 0.4, 60).tolist()):
        found = detector.step(failures, 200)
        if found.state is CountsState.ANOMALOUS:
            alarms.append(block)
        if block < WATCHING.lag_blocks:
            # Not one block of the fault has taught yet; the past only gets older.
            assert found.ceiling_ratio == pytest.approx(before.ceiling_ratio, rel=0.2)
    assert alarms[-1] >= 58
    assert found.ceiling_ratio < 0.1


def test_one_block_teaches_at_most_its_winsorised_share():
    config = replace(WATCHING, lag_blocks=0)
    wild, _ = taught(config)
    mild = CountsDetector(config)
    mild.restore(wild.to_state())
    ceiling = wild.step(200, 200).ceiling_ratio
    before = mild.to_state()["learned_failures"]
    mild.step(0, 200)
    gained = wild.to_state()["learned_failures"] - mild.to_state()["learned_failures"]
    assert before > 0
    assert gained == pytest.approx(config.winsor_factor * ceiling * 200)


def test_too_little_past_is_learning():
    detector = CountsDetector(WATCHING)
    for _ in range(13):
        found = detector.step(200, 200)
        assert (found.state, found.ceiling_ratio) == (CountsState.LEARNING, None)
        assert found.failure_ratio == 1.0


def test_no_data_and_no_requests_are_no_anomaly():
    """Neither moves the evidence, however long it lasts; neither is a share of nothing."""
    detector, _ = taught()
    before = detector.to_state()
    for _ in range(500):
        found = detector.step(None, None)
        assert (found.state, found.failure_ratio, found.ceiling_ratio) == (
            CountsState.NO_DATA,
            None,
            None,
        )
    assert detector.to_state() == before
    for _ in range(500):
        found = detector.step(0, 0)
        assert found.state is CountsState.NO_REQUESTS
        assert found.failure_ratio is None
        assert math.isfinite(found.log_statistic)
    assert detector.to_state()["logs"] == before["logs"]


@pytest.mark.parametrize(("failures", "requests"), [(-1, 5), (6, 5), (0, -1)])
def test_impossible_counts_are_refused(failures, requests):
    detector, _ = taught()
    before = detector.to_state()
    with pytest.raises(ValueError, match="failures <= requests"):
        detector.step(failures, requests)
    assert detector.to_state() == before


@pytest.mark.parametrize("at", [0, 1, 11, 13, 60, 103])
def test_state_survives_json_in_mid_stream(at):
    """A restarted detector goes on exactly as the one that never stopped."""
    rng = np.random.default_rng(5)
    stream = rng.binomial(200, 0.01, 100).tolist() + rng.binomial(200, 0.06, 10).tolist()
    whole, first, second = (CountsDetector(WATCHING) for _ in range(3))
    expected = [whole.step(failures, 200) for failures in stream]
    found = [first.step(failures, 200) for failures in stream[:at]]
    second.restore(json.loads(json.dumps(first.to_state(), allow_nan=False)))
    found += [second.step(failures, 200) for failures in stream[at:]]
    assert found == expected
    assert second.to_state() == whole.to_state()


def test_state_of_other_alternatives_is_refused():
    with pytest.raises(ValueError, match="need 2 alternatives, got 3"):
        CountsDetector(AT_CEILING).restore(CountsDetector(WATCHING).to_state())
