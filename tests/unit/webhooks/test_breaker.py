"""The breaker: when it opens, what it lets through, how it closes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.webhooks.breaker import (
    MAX_PER_ENDPOINT,
    OPEN_AT_REQUESTS,
    PAUSES_S,
    WINDOW_S,
    Breaker,
    BreakerState,
)


def request(breaker: Breaker, now_s: float, *, is_well: bool):
    breaker.begin(now_s)
    breaker.end(now_s, is_well=is_well)


@pytest.fixture
def open_breaker():
    """Opened at 0 s."""
    breaker = Breaker()
    for _ in range(OPEN_AT_REQUESTS):
        request(breaker, 0.0, is_well=False)
    return breaker


def test_a_well_endpoint_has_room_for_several_requests():
    """Room shrinks with what is under way and comes back."""
    breaker = Breaker()
    for under_way in range(MAX_PER_ENDPOINT):
        assert breaker.room(0.0) == MAX_PER_ENDPOINT - under_way
        breaker.begin(0.0)
    assert breaker.room(0.0) == 0
    assert breaker.wait_s(0.0) is None
    breaker.end(0.1, is_well=True)
    assert breaker.room(0.1) == 1


def test_few_failures_do_not_open_it():
    """Nine failures, or six of ten, say too little."""
    breaker = Breaker()
    for _ in range(OPEN_AT_REQUESTS - 1):
        request(breaker, 0.0, is_well=False)
    assert breaker.state(0.0) is BreakerState.CLOSED
    mixed = Breaker()
    for is_well in (True, False, False, True, False, True, False, True, False, False):
        request(mixed, 0.0, is_well=is_well)
    assert mixed.state(0.0) is BreakerState.CLOSED


def test_seven_of_ten_failures_open_it():
    """The ratio counts, successes among them or not."""
    breaker = Breaker()
    for is_well in (True, False, False, True, False, False, True, False, False, False):
        request(breaker, 0.0, is_well=is_well)
    assert breaker.state(0.0) is BreakerState.OPEN


def test_old_failures_are_forgotten():
    """Failures from before the window do not open it."""
    breaker = Breaker()
    for _ in range(OPEN_AT_REQUESTS - 1):
        request(breaker, 0.0, is_well=False)
    request(breaker, WINDOW_S + 1.0, is_well=False)
    assert breaker.state(WINDOW_S + 1.0) is BreakerState.CLOSED


def test_open_it_lets_nothing_through_until_its_pause_is_over(open_breaker):
    """Then one request at a time."""
    assert open_breaker.room(PAUSES_S[0] - 0.1) == 0
    assert open_breaker.wait_s(1.0) == PAUSES_S[0] - 1.0
    assert open_breaker.state(PAUSES_S[0]) is BreakerState.HALF_OPEN
    assert open_breaker.room(PAUSES_S[0]) == 1
    open_breaker.begin(PAUSES_S[0])
    assert open_breaker.room(PAUSES_S[0]) == 0


def test_every_failed_probe_pauses_longer(open_breaker):
    """5, 10, 20, 30, 30 s."""
    now_s, waited = 0.0, []
    for _ in range(5):
        wait_s = open_breaker.wait_s(now_s)
        assert wait_s is not None
        waited.append(wait_s)
        now_s += wait_s
        request(open_breaker, now_s, is_well=False)
    assert waited == [*PAUSES_S, PAUSES_S[-1]]


def test_one_good_answer_closes_it(open_breaker):
    """And what failed before is forgiven."""
    request(open_breaker, PAUSES_S[0], is_well=True)
    assert open_breaker.state(PAUSES_S[0]) is BreakerState.CLOSED
    request(open_breaker, PAUSES_S[0], is_well=False)
    assert open_breaker.state(PAUSES_S[0]) is BreakerState.CLOSED


def test_a_late_failure_of_a_request_from_before_does_not_lengthen_the_pause():
    """Only a probe's result moves an open breaker's time."""
    breaker = Breaker()
    breaker.begin(0.0)
    for _ in range(OPEN_AT_REQUESTS):
        request(breaker, 0.0, is_well=False)
    breaker.end(4.0, is_well=False)
    assert breaker.wait_s(4.0) == PAUSES_S[0] - 4.0


def test_a_request_not_sent_says_nothing(open_breaker):
    """Its place is free again, and the next probe may go."""
    open_breaker.begin(PAUSES_S[0])
    open_breaker.drop()
    assert open_breaker.room(PAUSES_S[0]) == 1


@given(st.lists(st.tuples(st.floats(0.0, 40.0), st.booleans()), max_size=60))
def test_there_is_always_a_next_request(steps):
    """Whatever happened: with nothing under way there is room now or after a bounded pause."""
    breaker, now_s = Breaker(), 0.0
    for pause_s, is_well in steps:
        now_s += pause_s
        if breaker.room(now_s):
            request(breaker, now_s, is_well=is_well)
        wait_s = breaker.wait_s(now_s)
        assert (breaker.room(now_s) > 0) == (wait_s is None)
        assert wait_s is None or 0 < wait_s <= PAUSES_S[-1]
