"""Requests per second of one service, a line per group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboards.answers.collector import Red
from dashboards.figures.base import (
    Chart,
    Marker,
    Message,
    Span,
    axis,
    layout,
    time_axis,
    with_markers,
)
from dashboards.figures.red_groups import NO_REQUESTS, group_lines
from dashboards.theme import Palette
from dashboards.wording import rate


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
    lines = list(
        group_lines(
            red,
            cohort_of,
            palette,
            settle_s=settle_s,
            value_of=lambda step: step.request_count / red.step_s,
            hovertemplate="%{y:.1f}/s",
        )
    )
    if not lines:
        return NO_REQUESTS
    figure = {
        "data": [drawn.trace for drawn in lines],
        "layout": layout(
            palette,
            xaxis=time_axis(palette, span),
            yaxis=axis(palette, rangemode="tozero", ticksuffix="/s", nticks=5),
        ),
    }
    latest = "; ".join(f"{drawn.name} {rate(drawn.values[-1])}" for drawn in lines)
    return Chart(with_markers(figure, markers, palette, span), f"Now: {latest}.")
