"""What makes settings looser, and what does not."""

from __future__ import annotations

from dataclasses import fields, replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.decisions.guarded_settings import (
    Destination,
    GuardedSettings,
    held_destinations,
    loosened,
)
from analysis.decisions.guards import GuardLimits
from analysis.decisions.policy import MODES

LIMITS = GuardLimits(2, 1, 3, 86_400.0, 1, 2, 600.0)
PROD = Destination("prod", "https://deploy.example/a", ("prod/*",), ("10.0.0.0/8",), False)
REST = Destination("rest", "https://deploy.example/b", ("*/*",), (), False)
BEFORE = GuardedSettings("advise", {"playback": "act"}, LIMITS, 900.0, (PROD, REST))

#: One value of each limit that lets more through, and one that lets less.
LOOSER = {
    "min_looks": (1, 3),
    "rollbacks_per_release": (2, 0),
    "rollbacks_per_service": (4, 2),
    "service_window_s": (3_600.0, 90_000.0),
    "in_flight_per_environment": (2, 0),
    "storm_services": (3, 1),
    "storm_window_s": (60.0, 700.0),
}


def changed(**changes):
    return loosened(BEFORE, replace(BEFORE, **changes))


def at(**changes):
    return (replace(PROD, **changes), REST)


@pytest.mark.parametrize("name", [one.name for one in fields(GuardLimits)])
def test_every_limit_has_a_looser_side(name):
    looser, tighter = LOOSER[name]
    assert changed(limits=replace(LIMITS, **{name: looser})) == (
        f"{name} is {looser}, it was {getattr(LIMITS, name)}",
    )
    assert changed(limits=replace(LIMITS, **{name: tighter})) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"general_mode": "act"}, "the mode is act, it was advise"),
        ({"service_modes": {"playback": "act", "home": "act"}}, "the mode of home is act"),
        ({"service_modes": {}, "general_mode": "act"}, "the mode is act"),
        ({"decision_lifetime_s": 901.0}, "decision_lifetime_s is 901.0, it was 900.0"),
        ({"destinations": at(url="https://evil.example/")}, "prod https://evil.example/"),
        ({"destinations": at(lanes=("*/*",))}, "other places"),
        ({"destinations": (REST, PROD)}, "other places"),
        ({"destinations": (REST,)}, "other places"),
        ({"destinations": at(allowed_networks=("10.0.0.0/8", "::/0"))}, "reached in ::/0"),
        ({"destinations": at(plain_http=True)}, "without TLS"),
    ],
)
def test_looser_in_each_way(changes, words):
    (sentence,) = changed(**changes)
    assert words in sentence


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"general_mode": "observe"},
        {"service_modes": {}},
        {"service_modes": {"playback": "act", "home": "observe"}},
        {"decision_lifetime_s": 60.0},
        {"destinations": at(allowed_networks=())},
    ],
)
def test_tighter_needs_nobody(changes):
    assert changed(**changes) == ()


def test_nothing_approved_is_nothing_allowed():
    assert loosened(None, BEFORE) == ("no settings that this version reads were approved",)
    assert held_destinations(None, BEFORE) == ("prod", "rest")


def test_what_was_commanded_before_goes_where_it_was_meant_to():
    """Raising a limit holds new commands, and no old one; another address holds its own."""
    raised = replace(BEFORE, limits=replace(LIMITS, storm_services=9))
    assert held_destinations(BEFORE, raised) == ()
    moved = replace(BEFORE, destinations=at(url="https://evil.example/"))
    assert held_destinations(BEFORE, moved) == ("prod",)
    assert held_destinations(BEFORE, replace(BEFORE, destinations=at(plain_http=True))) == ("prod",)


_MODES = st.sampled_from(MODES)
_SETTINGS = st.builds(
    GuardedSettings,
    _MODES,
    st.dictionaries(st.sampled_from(["a", "b"]), _MODES),
    st.builds(GuardLimits, *(st.integers(1, 3) for _ in fields(GuardLimits))),
    st.sampled_from([60.0, 900.0]),
    st.sampled_from([(PROD, REST), (REST,), at(plain_http=True), at(allowed_networks=())]),
)


@given(_SETTINGS, _SETTINGS, _SETTINGS)
def test_looser_is_an_order(one, two, three):
    """No way around an approval by small steps that are each no looser."""
    assert loosened(one, one) == ()
    if not loosened(one, two) and not loosened(two, three):
        assert loosened(one, three) == ()
    if not loosened(one, two) and not loosened(two, one):
        for service in ("a", "b", "other"):
            modes = [found.service_modes.get(service, found.general_mode) for found in (one, two)]
            assert modes[0] == modes[1]
        assert replace(one, service_modes={}) == replace(two, service_modes={})


@given(_SETTINGS)
def test_they_are_read_back_as_they_were(one):
    stored = orjson.loads(orjson.dumps(one.to_json()))
    assert GuardedSettings.from_json(stored) == one
    assert GuardedSettings.from_json(stored).sha256 == one.sha256
