"""The four charts of a service, and the two of the fleet."""

from __future__ import annotations

import json

import pytest

from dashboards.answers.collector import Heatmap
from dashboards.figures.base import MAX_LINES, MAX_MARKERS, Chart, Marker, Message
from dashboards.figures.durations import durations_chart
from dashboards.figures.errors import errors_chart
from dashboards.figures.heatmap import heatmap_chart
from dashboards.figures.requests import requests_chart
from dashboards.figures.starts import starts_chart
from dashboards.figures.success import success_chart
from dashboards.playback import Starts, ZoneStarts
from dashboards.theme import DARK, LIGHT

CHARTS = [requests_chart, errors_chart, durations_chart]


def drawn(chart, red, make, cohorts=None, markers=(), colours=LIGHT):
    return chart(red, cohorts or {}, make.SPAN, markers, colours, settle_s=2.0)


@pytest.mark.parametrize("chart", CHARTS)
def test_no_requests_is_a_sentence_and_not_bare_axes(chart, make):
    """With what would change that."""
    found = drawn(chart, make.red({}, end_s=60), make)
    assert isinstance(found, Message)
    assert found.advice


def test_a_silent_step_between_two_is_zero_requests_without_a_share_of_errors(make):
    """0/s is known; 0 of 0 is not a share."""
    red = make.red({"": [(0, 20, 1), (20, 40, 0)]}, end_s=41)
    (line,) = drawn(requests_chart, red, make).figure["data"]
    assert line["y"] == [2.0, 0.0, 4.0]
    (line,) = drawn(errors_chart, red, make).figure["data"]
    assert line["y"] == [0.05, None, 0.0]


def test_a_step_that_still_fills_is_not_drawn(make):
    """The newest step begins to be drawn when it is over and settled."""
    points = [(0, 20, 0), (10, 20, 0), (20, 3, 0)]
    for end_s, count in ((31, 2), (32, 3)):
        for chart in CHARTS:
            figure = drawn(chart, make.red({"": points}, end_s=end_s), make).figure
            assert {len(line["y"]) for line in figure["data"]} == {count}, chart


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("chart", CHARTS)
def test_baseline_is_blue_and_solid_and_canary_orange_and_dashed(chart, make, colours):
    """By cohort, and by version when a canary says which version is which."""
    points = [(0, 20, 1)]
    for groups, cohorts in (
        ({"baseline": points, "canary": points}, {}),
        ({"1.9": points, "2.0": points}, {"1.9": "baseline", "2.0": "canary"}),
    ):
        figure = drawn(chart, make.red(groups, end_s=60), make, cohorts, (), colours).figure
        styles = {(line["line"]["color"], line["line"]["dash"]) for line in figure["data"]}
        assert styles == {(colours.baseline, "solid"), (colours.canary, "dash")}


@pytest.mark.parametrize("chart", CHARTS)
def test_other_groups_do_not_look_like_an_arm(chart, make):
    """A third version is neither blue nor orange."""
    groups = {v: [(0, 20, 1)] for v in ("1.8", "1.9", "2.0")}
    cohorts = {"1.9": "baseline", "2.0": "canary"}
    figure = drawn(chart, make.red(groups, end_s=60), make, cohorts).figure
    others = {ln["line"]["color"] for ln in figure["data"] if "1.8" in ln["name"]}
    assert others.isdisjoint({LIGHT.baseline, LIGHT.canary, *LIGHT.series[:2]})


def test_the_sentence_says_what_the_chart_shows(make):
    """Numbers with their units."""
    red = make.red({"": [(0, 480, 12)]}, end_s=60)
    assert drawn(requests_chart, red, make).summary.startswith("Now: all requests ")
    assert drawn(errors_chart, red, make).summary == (
        "all requests: 12 errors in 480 requests (2.50 %)."
    )
    assert drawn(durations_chart, red, make).summary == "Now: all requests: p50 50 ms, p99 200 ms."


def test_lines_and_markers_are_bounded(make):
    """The busiest groups, the newest markers."""
    groups = {f"v{n:02}": [(0, n + 1, 0)] for n in range(MAX_LINES + 5)}
    markers = [Marker(make.T0_S + n, "⚑", f"m{n}") for n in range(MAX_MARKERS + 10)]
    figure = drawn(requests_chart, make.red(groups, end_s=60), make, markers=markers).figure
    assert len(figure["data"]) == MAX_LINES
    assert figure["data"][0]["name"] == "v05"
    assert len(figure["layout"]["shapes"]) == MAX_MARKERS


def test_markers_too_close_for_two_glyphs_share_one(make):
    """Their lines stay, their words are joined in order."""
    markers = [Marker(make.T0_S + t, g, g) for t, g in ((100, "a"), (102, "b"), (200, "c"))]
    figure = drawn(requests_chart, make.red({"": [(0, 1, 0)]}, end_s=60), make, markers=markers)
    layout = figure.figure["layout"]
    assert len(layout["shapes"]) == 3
    assert [(a["text"], a["hovertext"]) for a in layout["annotations"]] == [
        ("c", "c"),
        ("b", "a<br>b"),
    ]


def test_markers_outside_the_window_are_not_drawn(make):
    """Nor squeezed to its edge."""
    markers = [Marker(make.T0_S - 1, "x", "x"), Marker(make.T0_S + 301, "y", "y")]
    figure = drawn(requests_chart, make.red({"": [(0, 1, 0)]}, end_s=60), make, markers=markers)
    assert figure.figure["layout"]["annotations"] == []


def heat(times, counts, end_s=100):
    return Heatmap(
        bounds_s=(0.1, 0.2, 0.4),
        times_unix_s=tuple(times),
        counts=tuple(map(tuple, counts)),
        from_unix_nano=0,
        to_unix_nano=int((1_790_000_000 + end_s) * 1e9),
        step_s=10,
    )


def test_heatmap_cells_are_counts_and_holes_are_empty_columns(make):
    """A missing step is not painted over by its neighbours; no requests, no colour."""
    t0 = make.T0_S
    found = heatmap_chart(
        heat([t0, t0 + 20], [[1, 0, 2], [0, 5, 0]]), make.SPAN, (), LIGHT, settle_s=2.0
    )
    (trace,) = found.figure["data"]
    assert trace["customdata"] == [[1, 0, 0], [0, 0, 5], [2, 0, 0]]
    assert [row[1] for row in trace["z"]] == [None, None, None]
    assert found.summary == "8 requests; the slowest took up to 400 ms."


def test_heatmap_colours_run_away_from_the_background(make):
    """One request is pale on light and dim on dark; many are the opposite."""
    one = heat([make.T0_S], [[1, 9, 0]])
    light, dark = (
        heatmap_chart(one, make.SPAN, (), colours, settle_s=2.0).figure["data"][0]["colorscale"]
        for colours in (LIGHT, DARK)
    )
    assert (light[0][1], dark[0][1]) == ("#E3D58B", "#35456C")
    assert (light[-1][1], dark[-1][1]) == ("#00224E", "#FEE838")


def test_an_empty_heatmap_is_a_sentence(make):
    """No axes without cells."""
    assert isinstance(heatmap_chart(heat([], []), make.SPAN, (), LIGHT, settle_s=2.0), Message)


def starts(*zones):
    times = (1_790_000_000.0, 1_790_000_010.0)
    return Starts(tuple(ZoneStarts(n, times, r, s) for n, r, s in zones), 10.0, 0.98, 60.0)


def test_starts_and_success_are_a_line_per_zone(make):
    """The objective is a line of the legend, and the axis shows it."""
    both = starts(("a", (4.0, 6.0), (1.0, 0.97)), ("b", (5.0, None), (0.99, None)))
    chart = starts_chart(both, make.SPAN, (), LIGHT)
    assert [line["y"] for line in chart.figure["data"]] == [[4.0, 6.0], [5.0, None]]
    assert chart.summary == "10/s playback starts over the last minute in a, b."
    chart = success_chart(both, 0.95, make.SPAN, (), LIGHT)
    names = [line["name"] for line in chart.figure["data"]]
    assert names == ["a", "b", "objective 95.0 %"]
    low, high = chart.figure["layout"]["yaxis"]["range"]
    assert low < 0.95
    assert high > 1
    assert "objective is 95.0 %" in chart.summary


def test_no_starts_is_a_sentence(make):
    """It names the library that would change it."""
    empty = Starts((), None, None, 60.0)
    for found in (
        starts_chart(empty, make.SPAN, (), LIGHT),
        success_chart(empty, 0.99, make.SPAN, (), LIGHT),
    ):
        assert isinstance(found, Message)
        assert "telemetry.playback" in found.advice


def test_figures_are_plain_data(make):
    """Dicts and lists only: the JSON of a figure is the figure."""
    figure = drawn(requests_chart, make.red({"": [(0, 1, 0)]}, end_s=60), make).figure
    assert json.loads(json.dumps(figure)) == figure
    assert isinstance(drawn(requests_chart, make.red({"": [(0, 1, 0)]}, end_s=60), make), Chart)
