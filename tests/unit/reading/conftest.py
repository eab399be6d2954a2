"""Answers of the read API, written the way the collector writes them."""

from __future__ import annotations

import pytest

from analysis.canary.config import default_config_text, load_canary_config
from analysis.reading.roster import DeclaredArm, Roster
from analysis.reading.sources import sources_of

SECOND_NS = 1_000_000_000
START = 1_790_000_000 * SECOND_NS


@pytest.fixture
def roster():
    """Two instances declared for each arm."""
    return Roster(
        "d-1",
        "playback",
        DeclaredArm("2.3.0", frozenset({"b-0", "b-1"})),
        DeclaredArm("2.4.0", frozenset({"c-0", "c-1"})),
    )


@pytest.fixture
def rule():
    """The shipped rule."""
    return load_canary_config(default_config_text())


@pytest.fixture
def sources(rule, roster):
    """Source metric -> source."""
    return {source.metric: source for source in sources_of(rule, roster)}


@pytest.fixture
def answer():
    """``answer((attributes, {step: value}), ...)``; with ``bounds`` the values are counts."""

    def make(*groups, bounds=None, steps=5):
        def block(step, value):
            at = START + step * SECOND_NS
            data = {"increase": value} if bounds is None else {"counts": value}
            return {"start_unix_nano": at, "instance_count": 1, **data}

        return {
            "kind": "counter" if bounds is None else "histogram",
            "truncated": False,
            "from_unix_nano": START,
            "to_unix_nano": START + steps * SECOND_NS,
            "step_s": 1.0,
            "groups": [
                {
                    "attributes": attributes,
                    "bounds": bounds,
                    "blocks": [block(*one) for one in sorted(blocks.items())],
                }
                for attributes, blocks in groups
            ],
        }

    return make
