"""What the edge decides by itself."""

from __future__ import annotations

import pytest

from sample_services.edge.domain import NO_ARM, Arm, PlayMemory, arm_of, fit_rows, stock_rows
from sample_services.routing import RoutingTable, Split

CANARY = Arm("canary", "d-1")


def test_a_play_belongs_to_the_arm_that_was_in_force_when_it_began():
    """Also after the routes changed."""
    memory = PlayMemory(10)
    memory.remember("p-1", CANARY)
    memory.remember("p-2", NO_ARM)
    assert (memory.recall("p-1"), memory.recall("p-2")) == (CANARY, NO_ARM)
    assert memory.recall("p-3") is None


def test_a_start_is_counted_once():
    """A device that did not get our answer reports again."""
    memory = PlayMemory(10)
    memory.remember("p-1", CANARY)
    assert memory.report("p-1", CANARY)
    assert not memory.report("p-1", CANARY)
    assert memory.report("p-2", NO_ARM)
    assert not memory.report("p-2", NO_ARM)


def test_memory_is_bounded():
    """The oldest plays are forgotten."""
    memory = PlayMemory(2)
    for number in range(5):
        memory.remember(f"p-{number}", CANARY)
    assert [memory.recall(f"p-{number}") for number in range(5)] == [None] * 3 + [CANARY] * 2


def test_no_arm_without_a_deployment():
    """Cohort and deployment come together or not at all."""
    table = RoutingTable(1, None, ())
    assert arm_of(table, "acc-1") == NO_ARM
    everyone = RoutingTable(1, Split("d-1", "playback", 0.5), ())
    assert arm_of(everyone, "acc-1") in (Arm("baseline", "d-1"), CANARY)


@pytest.mark.parametrize(("device", "rows", "titles"), [("tv", 6, 8), ("phone", 3, 4), ("?", 3, 4)])
def test_rows_fit_the_device(device, rows, titles):
    """A television shows much, a phone little, an unknown device as little."""
    many = [{"name": str(n), "titles": [f"t-{i}" for i in range(12)]} for n in range(9)]
    fitted = fit_rows(many, device)
    assert (len(fitted), {len(row["titles"]) for row in fitted}) == (rows, {titles})


def test_the_stock_page_needs_nobody():
    """It is the same for everyone, and never empty."""
    assert stock_rows() == stock_rows()
    assert all(row["titles"] for row in fit_rows(stock_rows(), "phone"))
