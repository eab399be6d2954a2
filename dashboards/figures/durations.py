"""Response time quantiles of one service: p50, p95 and p99, or p50 and p99 per group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboards.answers.collector import Red, RedGroup, RedPoint
from dashboards.figures.base import (
    Chart,
    Figure,
    LineStyle,
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
from dashboards.figures.red_groups import NO_REQUESTS, drawn_groups, group_name
from dashboards.theme import Palette
from dashboards.wording import duration

#: Ticks of the logarithmic axis, in seconds.
_TICKS_S = tuple(m * 10.0**e for e in range(-5, 3) for m in (1, 2, 5))


def durations_chart(
    red: Red,
    cohort_of: Mapping[str, str],
    span: Span,
    markers: Sequence[Marker],
    palette: Palette,
    *,
    settle_s: float,
) -> Chart | Message:
    """How long it takes, on a logarithmic axis: a doubling looks the same everywhere."""
    last = red.to_unix_nano / 1e9 - settle_s - red.step_s
    traces: list[Figure] = []
    words = []
    groups = drawn_groups(red)
    is_split = len(groups) > 1 or any(group.label for group in groups)
    for index, group in enumerate(groups):
        points = [p for p in group.points if p.t_unix_s <= last]
        if not points:
            continue
        style = line_style(palette, group.label, index, cohort_of)
        traces += _split_lines(group, points, style) if is_split else _plain_lines(points, palette)
        newest = points[-1]
        words.append(
            f"{group_name(group.label)}: p50 {duration(newest.p50_s)}, p99 {duration(newest.p99_s)}"
        )
    if not traces:
        return NO_REQUESTS
    figure = {
        "data": traces,
        "layout": layout(
            palette,
            xaxis=time_axis(palette, span),
            yaxis=axis(
                palette,
                type="log",
                tickvals=list(_TICKS_S),
                ticktext=[duration(tick) for tick in _TICKS_S],
            ),
        ),
    }
    return Chart(with_markers(figure, markers, palette, span), f"Now: {'; '.join(words)}.")


def _plain_lines(points: Sequence[RedPoint], palette: Palette) -> list[Figure]:
    times = [p.t_unix_s for p in points]
    return [
        _line(times, [p.p99_s for p in points], "p99", LineStyle(palette.series[1])),
        _line(times, [p.p95_s for p in points], "p95", LineStyle(palette.series[3])),
        _line(times, [p.p50_s for p in points], "p50", LineStyle(palette.series[0])),
    ]


def _split_lines(group: RedGroup, points: Sequence[RedPoint], style: LineStyle) -> list[Figure]:
    times, name = [p.t_unix_s for p in points], group_name(group.label)
    thin = LineStyle(style.colour, style.dash, 1.2)
    return [
        _line(times, [p.p99_s for p in points], f"{name} p99", style),
        _line(times, [p.p50_s for p in points], f"{name} p50", thin),
    ]


def _line(
    times: Sequence[float], values: Sequence[float | None], name: str, style: LineStyle
) -> Figure:
    return line(
        times,
        values,
        name,
        style,
        hovertemplate="%{customdata}",
        customdata=[duration(value) for value in values],
    )
