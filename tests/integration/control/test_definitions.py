"""What an objective was when: generations, told once, the same on both engines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.slo.objectives import load_objectives, shipped_text
from telemetry.clock import FixedClock

MONTH, HOUR = load_objectives({"objectives.yaml": shipped_text()})


@pytest.fixture
def clock():
    return FixedClock()


def test_a_change_is_a_generation_and_is_told(open_ledger, clock, database_url):
    ledger = open_ledger(clock, url=database_url)
    store = ledger.definitions
    both = {one.name: one.definition() for one in (MONTH, HOUR)}
    store.note(both)
    store.note(both)
    assert [one.generation for one in store.generations(HOUR.name)] == [1]
    clock.advance(60)
    stricter = replace(HOUR, target_ratio=0.999)
    store.note({**both, HOUR.name: stricter.definition()})
    newest, first = store.generations(HOUR.name)
    assert (newest.generation, first.generation) == (2, 1)
    assert newest.since_unix_nano - first.since_unix_nano == 60 * 10**9
    assert (newest.definition["target_ratio"], first.definition["target_ratio"]) == (0.999, 0.99)
    assert len(store.generations(MONTH.name)) == 1
    (event,) = [one for one in ledger.events(0, 2**62) if one.kind == "slo_definition"]
    assert event.detail == "target_ratio: 0.99 -> 0.999"
    assert store.generations("nobody") == []


def test_equal_objectives_have_equal_definitions():
    again = load_objectives({"objectives.yaml": shipped_text()})
    assert [one.definition() for one in again] == [MONTH.definition(), HOUR.definition()]
    assert MONTH.definition()["good"]["values"] == ["success"]
