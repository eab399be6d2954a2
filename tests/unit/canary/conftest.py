"""Canaries on seeded traffic, second by second, with anything changed on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from analysis.blocks import Block
from analysis.canary.config import default_config_text, load_canary_config
from analysis.canary.judge import CanaryJudge
from bench.canary.streams import HEALTHY, SECOND, START, Release, Traffic, blocks_of_seconds

FAILURES = "playback.start.failures"
STARTUP = "playback.startup.duration"
SERVER = "http.server.request.duration"
ERRORS = "http.server.errors"

Change = Callable[[int, str, Block], Block | None]  # second, key, block


class Run:
    """One canary: ``looks`` are what the judge said each second."""

    START, SECOND = START, SECOND
    FAILURES, STARTUP, SERVER, ERRORS = FAILURES, STARTUP, SERVER, ERRORS
    Release, Traffic = Release, Traffic

    def __init__(
        self, rule, *, release=HEALTHY, traffic=None, seed=1, change: Change | None = None
    ):
        self.judge = CanaryJudge(rule, START)
        self.looks = []
        self._change = change
        self._stream = blocks_of_seconds(
            traffic or Traffic(12.0, 12.0), release, 3600, np.random.default_rng(seed)
        )

    def blocks(self):
        """What the seconds bring, without judging them: (time of the look, blocks)."""
        return self._stream

    def second(self):
        now, blocks = next(self._stream)
        t = (now - START) // SECOND - 1
        if self._change is not None:
            changed = {
                key: [b for old in new if (b := self._change(t, key, old)) is not None]
                for key, new in blocks.items()
            }
            blocks = {key: new for key, new in changed.items() if new}
        self.looks.append(self.judge.look(blocks, now, with_intervals=False))
        return self.looks[-1]

    def until(self, seconds: int):
        """Look every second, to the end if it comes before."""
        while len(self.looks) < seconds and not (self.looks and self.looks[-1].final):
            self.second()
        return self.looks[-1]


@pytest.fixture
def rule():
    """The shipped rule."""
    return load_canary_config(default_config_text())


@pytest.fixture
def run(rule):
    def make(*, rule=rule, **options) -> Run:
        return Run(rule, **options)

    make.Run = Run
    return make


@pytest.fixture
def without():
    """Changes that take one arm's data away: ``without("canary", SERVER, since=30)``."""

    def make(arm: str, *names: str, since: int = 0, until: int = 10**9) -> Change:
        def change(t: int, key: str, block: Block) -> Block | None:
            if since <= t < until and key.partition("{")[0] in names:
                block = replace(block, **{arm: None})
            return block if block.baseline is not None or block.canary is not None else None

        return change

    return make
