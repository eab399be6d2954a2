"""What is left of a budget after an outage: exactly, ours, and what Sloth's rules say in promtool.

Two days of traffic where that is enough. The figures of 30 days are those that were measured with
Sloth v0.16.0's generated example before any of this was written.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from analysis.slo.openslo.promql_text import normalised
from bench.slo import outage_sloth
from bench.slo.outage_sloth import converted_rules, sloth_budget, sloth_rules
from bench.slo.outage_streams import DAY_MIN, STREAMS, counters, events, exact_remaining
from bench.slo.outages import BUDGET, TOLERANCE, compared, our_budget, relative_error, slices
from bench.slo.promtool_values import PromtoolError, promtool, read_value, value_of

pytestmark = pytest.mark.skipif(promtool() is None, reason="promtool is not installed")

DAYS = 2
NIGHT, DAY, IDLE, DAY_AND_IDLE, HEALTHY, RESET, UNSEEN = STREAMS
#: 30 days: stream -> what is left by events (four digits) and by Sloth.
MEASURED = ((NIGHT, 0.9725, -0.38888888888904183), (DAY, -1.7503, -0.38888888888904183))


def ask(folder, expression, series=None, rules=()):
    return value_of(
        expression, folder=folder, rules=rules, series=series or {}, at_min=5, evaluate_every_min=1
    )


@pytest.mark.parametrize("stream", STREAMS, ids=lambda one: one.name)
def test_ours_is_the_exact_fraction(stream, tmp_path):
    row = compared(stream, DAYS, converted_rules(), tmp_path)
    assert row.relative_error <= TOLERANCE
    assert row.is_ours_right
    good, bad = events(stream, DAYS)
    assert [
        sum(column) for column in list(zip(*slices(counters(stream, DAYS)), strict=True))[1:]
    ] == [
        good.sum(),
        bad.sum(),
    ]


@pytest.mark.parametrize(("stream", "by_events", "by_sloth"), MEASURED, ids=["night", "day"])
def test_thirty_days_are_the_published_figures(stream, by_events, by_sloth, tmp_path):
    row = compared(stream, 30, sloth_rules()[0], tmp_path)
    assert row.our_remaining_ratio == pytest.approx(by_events, abs=5e-5)
    assert row.relative_error <= TOLERANCE
    assert row.sloth_remaining_ratio == by_sloth


def test_sloth_tells_no_night_from_day_and_says_nothing_after_an_idle_stretch(tmp_path):
    night, day, idle, healthy = (
        compared(one, DAYS, converted_rules(), tmp_path) for one in (NIGHT, DAY, IDLE, HEALTHY)
    )
    assert night.sloth_remaining_ratio == day.sloth_remaining_ratio
    assert night.our_remaining_ratio - day.our_remaining_ratio > 10
    assert math.isnan(idle.sloth_remaining_ratio)
    assert idle.our_remaining_ratio == healthy.our_remaining_ratio == 1.0
    assert healthy.sloth_remaining_ratio == 1.0
    assert idle.plain()["sloth_remaining_ratio"] == "nan"


def test_sloth_without_its_optimization_counts_events(tmp_path):
    """Its rules are read rightly: told to look at all 30 days, they give the exact answer."""
    for stream in STREAMS:
        row = compared(stream, DAYS, converted_rules(), tmp_path)
        assert row.sloth_unoptimized_remaining_ratio == pytest.approx(
            row.exact_remaining_ratio, rel=1e-9
        )


def test_a_number_that_is_off_is_not_right(tmp_path):
    """By a hundred-millionth, by the reset that was missed, by a mean of ratios, by no number."""
    exact = exact_remaining(RESET, DAYS, BUDGET)
    row = compared(RESET, DAYS, converted_rules(), tmp_path)
    off = relative_error(float(exact[1]) * (1 + 1e-8), exact[1])
    assert off == pytest.approx(1e-8, rel=1e-6)
    assert not replace(row, relative_error=off).is_ours_right
    assert relative_error(row.sloth_remaining_ratio, exact[1]) > 0.1
    assert relative_error(math.nan, exact[1]) == relative_error(1e-12, Fraction(0)) == math.inf
    seen = counters(RESET, DAYS)
    assert np.diff(seen.bad).min() < 0
    kept = np.maximum(np.diff(seen.bad, prepend=0), 0)
    assert kept.sum() < events(RESET, DAYS)[1].sum()


def test_missing_scrapes_lose_nothing_and_show_as_not_covered():
    whole, part = (our_budget(counters(one, DAYS)) for one in (DAY, UNSEEN))
    assert (part.good, part.total) == (whole.good, whole.total)
    window_min = 30 * DAY_MIN
    assert whole.covered_ratio == DAYS * DAY_MIN / window_min
    assert part.covered_ratio == (DAYS * DAY_MIN - 30) / window_min


def test_asking_once_at_the_end_is_recording_all_the_time(tmp_path):
    """Every rule the budget rests on, together in one run."""
    seen = counters(DAY, DAYS)
    rules = converted_rules()
    apart = sloth_budget(seen, rules, tmp_path)
    needed = [
        rule
        for rule in rules
        if not rule["record"].startswith("slo:sli_error:")
        or rule["record"].endswith(("rate5m", "rate30d"))
    ]
    together = [
        value_of(
            record,
            folder=tmp_path,
            rules=needed,
            series=outage_sloth.notation(seen),
            at_min=DAYS * DAY_MIN,
            evaluate_every_min=outage_sloth.RULES_EVERY_MIN,
        )
        for record in ("slo:sli_error:ratio_rate30d", "slo:period_error_budget_remaining:ratio")
    ]
    assert together == list(apart)


def test_the_rules_are_sloths_own():
    own, source = sloth_rules()
    if source != "Sloth's generated file":
        pytest.skip("needs the reference cases: set DAVYLAMP_REFERENCE_DATA to their folder")
    ours = converted_rules()
    assert [rule["record"] for rule in own] == [rule["record"] for rule in ours]
    for theirs, mine in zip(own, ours, strict=True):
        assert normalised(theirs["expr"]) == normalised(mine["expr"])
        assert theirs["labels"] == mine["labels"]


def test_values_come_out_of_promtool_as_they_are(tmp_path):
    assert ask(tmp_path, "vector(0.1 + 0.2)") == 0.1 + 0.2
    assert ask(tmp_path, "absent(vector(1))") is None
    assert math.isnan(ask(tmp_path, "vector(0) / 0"))
    assert ask(tmp_path, "-a", {'a{b="c"}': "1 2 3 4 5 6"}) == -6.0


def test_what_is_no_single_value_is_refused(tmp_path):
    with pytest.raises(PromtoolError, match="err"):
        ask(tmp_path, "sum(")
    with pytest.raises(PromtoolError):
        ask(tmp_path, "a", {'a{b="c"}': "1+0x9", 'a{b="d"}': "1+0x9"})
    with pytest.raises(PromtoolError):
        read_value(0, "")
