"""The lines a person reads."""

from __future__ import annotations

import io

from davylamp.story import _success_ratio, _traffic_text
from davylamp.timeline import Timeline
from telemetry.clock import FixedClock


def test_lines_carry_the_time_since_the_start():
    clock, out = FixedClock(), io.StringIO()
    timeline = Timeline(clock, out)
    clock.advance(12.34)
    timeline.say("It happened.")
    assert out.getvalue() == "   12.3 s  It happened.\n"
    assert timeline.entries == [{"at_s": 12.34, "text": "It happened."}]


def test_progress_without_a_terminal_is_sparse():
    """A log file gets a line every ten seconds, not four a second."""
    clock, out = FixedClock(), io.StringIO()
    timeline = Timeline(clock, out)
    for _ in range(100):
        clock.advance(0.25)
        timeline.progress("waiting")
    assert out.getvalue().count("waiting") == 2


def test_success_counts_neither_business_refusals_nor_leavers():
    counts = {"plays_success": 99, "plays_failure_technical": 1, "plays_abandoned": 50}
    assert _success_ratio(counts) == 0.99
    assert _traffic_text(counts) == "100 plays, 99.00% started"
    assert _success_ratio({}) == 1.0
