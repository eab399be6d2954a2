"""Playback starts per second, a line per zone."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.figures.base import (
    MAX_LINES,
    Chart,
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
from dashboards.playback import Starts
from dashboards.theme import Palette
from dashboards.wording import rate

NO_STARTS = Message(
    "No playback start was reported in this window.",
    "Services that count starts with telemetry.playback appear here within seconds.",
)


def starts_chart(
    starts: Starts, span: Span, markers: Sequence[Marker], palette: Palette
) -> Chart | Message:
    """The user-facing load, by zone."""
    if starts.rate_per_s is None and not any(
        value is not None for zone in starts.zones for value in zone.rates_per_s
    ):
        return NO_STARTS
    traces = [
        line(
            zone.times_unix_s,
            zone.rates_per_s,
            zone.zone,
            LineStyle(palette.series[index % len(palette.series)]),
            hovertemplate="%{y:.1f}/s",
        )
        for index, zone in enumerate(starts.zones[:MAX_LINES])
    ]
    figure = {
        "data": traces,
        "layout": layout(
            palette,
            xaxis=time_axis(palette, span),
            yaxis=axis(palette, rangemode="tozero", ticksuffix="/s", nticks=5),
        ),
    }
    summary = (
        f"{rate(starts.rate_per_s)} playback starts over the last minute in "
        f"{', '.join(zone.zone for zone in starts.zones)}."
    )
    return Chart(with_markers(figure, markers, palette, span), summary)
