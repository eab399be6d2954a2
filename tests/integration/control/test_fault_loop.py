"""The fault loop itself: a short run with everything it knows, and its own eyes."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.rollback import faults
from bench.rollback.fault_receiver import Arrival, FaultReceiver
from bench.rollback.faults import Ends, Faults, Worker


@pytest.mark.slow
async def test_ten_seconds_of_faults_lose_and_double_nothing(tmp_path):
    """Kills, locks, full and broken disks, odd receivers; every decision's end is known."""
    counts = await faults.run(tmp_path, seconds=10.0, seed=3, lifetime_s=8.0)
    assert counts["faults"] > 5
    assert counts["told_committed"] > 20
    assert {name: n for name, n in counts["must_be_zero"].items() if n} == {}


def test_what_must_not_happen_is_counted():
    """One lost, one only said to be delivered, one dead in silence, one without an end."""
    worker = Worker(None, "", 1.0, committed={"1": "lost", "2": "said"})
    receiver = FaultReceiver("whsec_", arrivals={"m": [Arrival(0.0, 1.0, "open")]})
    ends = Ends(
        states={"said": "delivered", "silent": "dead", "open": "pending"},
        told=set(),
        deployments={"said": "d1", "silent": "d2", "open": "d3", "bare": "d4"},
        reasons=Counter(),
    )
    found = faults._counts(worker, receiver, Faults(worker, receiver, None), ends, 0)
    assert {name: n for name, n in found["must_be_zero"].items() if n} == {
        "lost": 1,
        "said_delivered_but_never_accepted": 1,
        "dead_and_nobody_told": 1,
        "without_an_end": 1,
        "decisions_without_a_row": 1,
    }
