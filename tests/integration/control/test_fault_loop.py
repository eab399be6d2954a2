"""The fault loop itself: short runs with everything it knows, and its own eyes."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.rollback import faults
from bench.rollback.fault_kinds import Faults
from bench.rollback.fault_place import Ends
from bench.rollback.fault_process import Told
from bench.rollback.fault_receiver import Arrival, FaultReceiver, Flight
from bench.rollback.faults import Goal
from bench.rollback.postgres import missing


def wrong(counts):
    return {name: n for name, n in counts["must_be_zero"].items() if n}


@pytest.mark.slow
async def test_faults_of_a_file_lose_and_double_nothing(tmp_path):
    """Kills, locks, full and broken disks, odd receivers; every decision's end is known."""
    counts = await faults.run(tmp_path, Goal(120.0, 150, 8), seed=3, lifetime_s=8.0)
    assert wrong(counts) == {}
    assert counts["faults"] >= 8


@pytest.mark.slow
async def test_faults_of_a_server_lose_and_double_nothing(tmp_path):
    """Two processes, of which one leads; the server ends, stops, is locked, cuts them off."""
    if reason := missing():
        pytest.skip(reason)
    counts = await faults.run(
        tmp_path, Goal(120.0, 100, 8), seed=3, lifetime_s=8.0, database="postgresql"
    )
    assert wrong(counts) == {}
    assert counts["faults"] >= 8
    assert counts["terms_of_leaders"] >= 1


def test_a_goal_wants_both_its_numbers():
    """Without numbers only the time ends the faults."""
    assert Goal(1.0, 10, 5).is_reached(10, 5)
    assert not Goal(1.0, 10, 5).is_reached(10, 4)
    assert not Goal(1.0, 10, 5).is_reached(9, 5)
    assert not Goal(1.0).is_reached(10, 5)


def test_what_must_not_happen_is_counted():
    """One lost, one only said to be delivered, one dead in silence, one without an end."""
    told = Told(committed={"1": "lost", "2": "said"}, refused_numbers={"3", "4"})
    receiver = FaultReceiver("whsec_", arrivals={"m": [Arrival(0.0, 1.0, "open")]})
    ends = Ends(
        states={"said": "delivered", "silent": "dead", "open": "pending"},
        told=set(),
        deployments={"said": "d-1-9", "silent": "d-2-9", "open": "d-3-9", "bare": "d-5-9"},
        reasons=Counter(),
    )
    goal = Goal(1.0, decisions=5, faults=1)
    found = faults._counts(told, receiver, Faults([], receiver, None), ends, 0, goal)
    assert wrong(found) == {
        "lost": 1,
        "said_delivered_but_never_accepted": 1,
        "dead_and_nobody_told": 1,
        "without_an_end": 1,
        "decisions_without_a_row": 1,
        "decisions_short_of_the_goal": 2,
        "faults_short_of_the_goal": 1,
    }
    assert found["refused_but_in_the_ledger"] == 1


@pytest.mark.parametrize(
    ("is_of_paused", "signed_unix_s", "doubled"),
    [(False, 101, (1, 0)), (True, 101, (0, 1)), (False, 99, (0, 1))],
    ids=["two that live", "the open one was paused", "the new one was paused"],
)
def test_a_second_request_in_a_lane_counts_unless_one_sender_was_paused(
    is_of_paused, signed_unix_s, doubled
):
    """Of a leader that was overtaken in its sleep it is told apart, not forgiven."""
    receiver = FaultReceiver("whsec_", paused_unix_s=100.0)
    open_one = Flight(is_of_paused)
    receiver.enter("lane", open_one)
    receiver.enter("lane", receiver.flight(signed_unix_s))
    assert (receiver.wrong["two_at_once_in_a_lane"], receiver.beside_a_paused) == doubled
