"""Turns: one at a time, an urgent one next."""

from __future__ import annotations

import threading

import pytest

from analysis.decisions.turns import Turns


def test_an_urgent_turn_comes_before_those_that_wait():
    """Three wait, the urgent one comes last and is served first."""
    turns, order = Turns(), []

    def take(name, *, is_urgent=False):
        with turns.turn(is_urgent=is_urgent):
            order.append(name)

    with turns.turn():
        threads = [threading.Thread(target=take, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        while len(turns._condition._waiters) < 3:
            pass
        threads.append(threading.Thread(target=take, args=("urgent",), kwargs={"is_urgent": True}))
        threads[-1].start()
        while len(turns._condition._waiters) < 4:
            pass
    for thread in threads:
        thread.join(10)
    assert order[0] == "urgent"
    assert sorted(map(str, order)) == ["0", "1", "2", "urgent"]


def test_turns_exclude_each_other_and_an_error_passes_them_on():
    """Eight threads count without losing one; a block that raises ends its turn too."""
    turns, counted = Turns(), [0]

    def count():
        for _ in range(200):
            with turns.turn():
                now = counted[0]
                counted[0] = now + 1

    with pytest.raises(KeyError), turns.turn(is_urgent=True):
        raise KeyError
    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert counted == [1600]
