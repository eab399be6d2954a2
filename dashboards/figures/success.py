"""Share of playback starts that led to a picture, a line per zone."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.figures.base import (
    MAX_LINES,
    Chart,
    Figure,
    LineStyle,
    Marker,
    Message,
    Span,
    axis,
    layout,
    line,
    time_axis,
    with_markers,
)
from dashboards.figures.starts import NO_STARTS
from dashboards.playback import Starts
from dashboards.theme import Palette
from dashboards.wording import percent


def success_chart(
    starts: Starts,
    objective_ratio: float | None,
    span: Span,
    markers: Sequence[Marker],
    palette: Palette,
) -> Chart | Message:
    """Success by zone, with the objective when there is one."""
    values = [v for zone in starts.zones for v in zone.success_ratios if v is not None]
    if not values:
        return NO_STARTS
    traces = [
        line(
            zone.times_unix_s,
            zone.success_ratios,
            zone.zone,
            LineStyle(palette.series[index % len(palette.series)]),
            hovertemplate="%{y:.2%}",
        )
        for index, zone in enumerate(starts.zones[:MAX_LINES])
    ]
    if objective_ratio is not None:
        traces.append(_objective(objective_ratio, span, palette))
    lowest = min([*values, *([objective_ratio] if objective_ratio is not None else [])])
    floor = max(0.0, min(0.97, lowest - 0.1 * (1.002 - lowest)))
    body = layout(
        palette,
        xaxis=time_axis(palette, span),
        yaxis=axis(palette, range=[floor, 1 + (1 - floor) * 0.06], tickformat=".4~p", nticks=5),
    )
    figure = {"data": traces, "layout": body}
    summary = f"{percent(starts.success_ratio)} of starts succeeded over the last minute"
    if objective_ratio is not None:
        summary += f"; the objective is {percent(objective_ratio)}"
    return Chart(with_markers(figure, markers, palette, span), f"{summary}.")


def _objective(ratio: float, span: Span, palette: Palette) -> Figure:
    """A line like the others, so that the legend names it and nothing is written over the data."""
    style = LineStyle(palette.warn, "dot", 1.6)
    ends = (span.from_unix_s, span.to_unix_s)
    return line(ends, (ratio, ratio), f"objective {percent(ratio)}", style, hoverinfo="skip")
