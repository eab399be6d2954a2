"""Requests per second of one service, a line per group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboards.answers.collector import Red, RedGroup
from dashboards.figures.base import (
    MAX_LINES,
    Chart,
    Figure,
    Marker,
    Message,
    Span,
    axis,
    layout,
    line,
    line_style,
    time_axis,
    with_markers,
)
from dashboards.theme import Palette
from dashboards.wording import rate

NO_REQUESTS = Message(
    "This service answered no request in this window.",
    "Charts appear with its next server span; a longer range may show earlier ones.",
)


def drawn_groups(red: Red) -> list[RedGroup]:
    """The busiest groups, at most MAX_LINES, in a stable order."""
    busiest = sorted(red.groups, key=lambda g: -sum(p.request_count for p in g.points))
    return sorted(busiest[:MAX_LINES], key=lambda g: g.label)


def every_step(
    group: RedGroup, red: Red, settle_s: float
) -> list[tuple[float, int, int] | tuple[float, None, None]]:
    """(time, requests, errors) of every settled step from the group's first to the window's end.

    A group that is silent between two steps answered nothing: 0, not a gap.
    """
    if not group.points:
        return []
    known = {p.t_unix_s: p for p in group.points}
    last = red.to_unix_nano / 1e9 - settle_s - red.step_s
    count = int((last - group.points[0].t_unix_s) // red.step_s) + 1
    rows: list[tuple[float, int, int] | tuple[float, None, None]] = []
    for index in range(max(count, 0)):
        time = group.points[0].t_unix_s + index * red.step_s
        point = known.get(time)
        rows.append(
            (time, 0, 0) if point is None else (time, point.request_count, point.error_count)
        )
    return rows


def group_name(label: str) -> str:
    """What a line is called in legends."""
    return label or "all requests"


def requests_chart(
    red: Red,
    cohort_of: Mapping[str, str],
    span: Span,
    markers: Sequence[Marker],
    palette: Palette,
    *,
    settle_s: float,
) -> Chart | Message:
    """How much is asked of it."""
    traces: list[Figure] = []
    latest = []
    for index, group in enumerate(drawn_groups(red)):
        rows = every_step(group, red, settle_s)
        values = [None if row[1] is None else row[1] / red.step_s for row in rows]
        name = group_name(group.label)
        traces.append(
            line(
                [row[0] for row in rows],
                values,
                name,
                line_style(palette, group.label, index, cohort_of),
                hovertemplate="%{y:.1f}/s",
            )
        )
        if values:
            latest.append(f"{name} {rate(values[-1])}")
    if not latest:
        return NO_REQUESTS
    figure = {
        "data": traces,
        "layout": layout(
            palette,
            xaxis=time_axis(palette, span),
            yaxis=axis(palette, rangemode="tozero", ticksuffix="/s", nticks=5),
        ),
    }
    return Chart(with_markers(figure, markers, palette, span), f"Now: {'; '.join(latest)}.")
