"""A short run of the simulated loop; hours of it are ``python -m bench.rollback.simulate``."""

from __future__ import annotations

import pytest

from analysis.decisions import outbox
from bench.rollback import tapes
from bench.rollback.observer import ViolationError
from bench.rollback.simulate import Simulation

#: Of every run's seeds; on a failure the test prints where it was.
SEED = 20_261_125
FAULT_MINUTES = 100.0


@pytest.fixture(scope="module")
def recorded():
    return tapes.record(seed=1, repeats=1, scenarios=2)


@pytest.fixture
def simulation(tmp_path, recorded):
    return Simulation(SEED, tmp_path, recorded)


def test_two_hours_of_faults_break_no_promise_and_repeat_exactly(simulation):
    """Requests were made, some failed, and the same seed gives the same history."""
    first = simulation.episode(0, FAULT_MINUTES)
    assert first.minutes > FAULT_MINUTES
    assert first.counts["requests"] > first.counts["acted on"] > 0
    assert first.counts["kill"] > 0
    assert simulation.episode(0, FAULT_MINUTES).digest == first.digest


def test_a_broken_promise_is_found_and_named(simulation, monkeypatch):
    """Without it the test above would show nothing: a newer command buries no older one."""
    monkeypatch.setattr(outbox, "supersede", lambda *_: None)

    def some():
        for number in range(10):
            simulation.episode(number, 2 * FAULT_MINUTES)

    with pytest.raises(ViolationError, match="superseded and still queued"):
        some()
