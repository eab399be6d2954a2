"""Every rule that may hold a command refuses by its own name, and lets through what it should."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.decisions.guards import (
    Guard,
    GuardFacts,
    GuardLimits,
    PastRollback,
    Wish,
    refusals,
)
from analysis.decisions.states import Action

S = 1_000_000_000
NOW = 1_700_000_000 * S
LIMITS = GuardLimits(2, 1, 3, 86_400.0, 1, 2, 600.0)
WISH = Wish(Action.ROLLBACK, "prod", "playback", "bad", "good", looks=5)
FACTS = GuardFacts(None, None, {}, {}, frozenset({"good"}), None, ())


def past(service="playback", digest="other", ago_s=60.0, environment="prod", **changes):
    when = NOW - round(ago_s * S)
    return PastRollback(environment, service, digest, when, is_under_way=False, **changes)


def guards(wish=WISH, limits=LIMITS, **changes):
    return {one.guard for one in refusals(wish, replace(FACTS, **changes), limits, NOW)}


def test_nothing_holds_a_rollback_within_its_limits():
    assert guards() == set()


def test_a_freeze_holds_promotions_and_no_rollback():
    why = "releases of playback are frozen by the policy p/s"
    promotion = replace(WISH, action=Action.PROMOTION)
    assert guards(promotion, frozen=why) == {Guard.BUDGET_FREEZE}
    assert guards(frozen=why) == set()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"kill_switch": "a person"}, Guard.KILL_SWITCH),
        ({"locks": {"prod": "freeze"}}, Guard.ENVIRONMENT_LOCK),
        ({"locks": {"*": "storm"}}, Guard.ENVIRONMENT_LOCK),
        ({"barred": {"good": "rolled back"}}, Guard.BARRED),
        ({"known_good": frozenset()}, Guard.TARGET_NOT_KNOWN_GOOD),
        ({"rollbacks": (past(digest="bad", ago_s=1e9),)}, Guard.RELEASE_LIMIT),
        ({"rollbacks": tuple(past(ago_s=t) for t in (9e3, 5e4, 86_399))}, Guard.SERVICE_LIMIT),
        ({"rollbacks": (replace(past("home", ago_s=1e5), is_under_way=True),)},
         Guard.IN_FLIGHT_LIMIT),
        ({"rollbacks": (past("home"), past("edge"))}, Guard.STORM),
        ({"rollbacks": (past("home"), past("playback", environment="test"))}, Guard.STORM),
    ],
)  # fmt: skip
def test_each_rule_refuses_by_its_name(changes, expected):
    assert guards(**changes) == {expected}


@pytest.mark.parametrize(
    "changes",
    [
        {"locks": {"test": "another environment"}},
        {"barred": {"bad": "a rollback takes away what is barred"}},
        {"rollbacks": (past(digest="bad", ago_s=1e6, is_cleared=True),)},
        {"rollbacks": tuple(past(ago_s=t) for t in (9e3, 5e4, 86_400))},
        {"rollbacks": (replace(past(environment="test"), is_under_way=True),)},
        {"rollbacks": (past("home"), past("edge", ago_s=600))},
    ],
)
def test_what_is_outside_a_rule_is_let_through(changes):
    assert guards(**changes) == set()


def test_too_few_looks_hold_a_command():
    assert guards(replace(WISH, looks=1)) == {Guard.DWELL}


def test_a_rollback_to_the_same_release_is_held():
    """It would change nothing, and bar the release that serves."""
    assert guards(replace(WISH, digest="good")) == {Guard.SAME_RELEASE}


def test_a_promotion_is_held_by_switch_lock_and_bar_only():
    wish = replace(WISH, action=Action.PROMOTION)
    many = tuple(replace(past(digest="bad"), is_under_way=True) for _ in range(9))
    assert guards(wish, rollbacks=many, known_good=frozenset()) == set()
    assert guards(wish, barred={"bad": "rolled back"}) == {Guard.BARRED}


def test_every_reason_is_told_at_once_in_whole_sentences():
    found = refusals(WISH, replace(FACTS, kill_switch="x", known_good=frozenset()), LIMITS, NOW)
    assert [one.guard for one in found] == [Guard.KILL_SWITCH, Guard.TARGET_NOT_KNOWN_GOOD]
    assert all(one.text.endswith(".") for one in found)


wishes = st.builds(
    Wish,
    st.just(Action.ROLLBACK),
    st.sampled_from(["prod", "test"]),
    st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from(["x", "y", "z"]),
    st.just("good"),
    st.just(5),
)


@given(st.lists(st.tuples(wishes, st.integers(-300, 4_000), st.booleans()), max_size=50))
def test_no_history_brings_more_rollbacks_than_the_limits(steps):
    """Whatever is wished, whenever (clocks run back too): what was commanded keeps every limit."""
    limits = replace(LIMITS, service_window_s=3_600.0)
    done: list[PastRollback] = []
    now = NOW
    for wish, pause_s, ends in steps:
        now += pause_s * S
        facts = replace(FACTS, rollbacks=tuple(done))
        if not refusals(wish, facts, limits, now):
            done.append(
                PastRollback(wish.environment, wish.service, wish.digest, now, is_under_way=True)
            )
            same = [
                p for p in done if (p.environment, p.service) == (wish.environment, wish.service)
            ]
            assert sum(p.digest == wish.digest for p in same) <= limits.rollbacks_per_release
            assert sum(p.unix_nano > now - 3_600 * S for p in same) <= 3
            assert sum(p.is_under_way for p in done if p.environment == wish.environment) == 1
            recent = {(p.environment, p.service) for p in done if p.unix_nano > now - 600 * S}
            assert len(recent) <= limits.storm_services
        if ends:
            done = [replace(one, is_under_way=False) for one in done]
