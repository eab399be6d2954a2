"""Share of requests of one service that ended in an error, a line per group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dashboards.answers.collector import Red
from dashboards.figures.base import (
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
from dashboards.figures.requests import NO_REQUESTS, drawn_groups, every_step, group_name
from dashboards.theme import Palette
from dashboards.wording import percent, plural

#: The axis reaches at least this share, so that one error in a thousand does not fill the chart.
LEAST_TOP_RATIO = 0.01


def errors_chart(
    red: Red,
    cohort_of: Mapping[str, str],
    span: Span,
    markers: Sequence[Marker],
    palette: Palette,
    *,
    settle_s: float,
) -> Chart | Message:
    """How much of it goes wrong; a step without requests has no share."""
    traces: list[Figure] = []
    words, top = [], LEAST_TOP_RATIO
    for index, group in enumerate(drawn_groups(red)):
        rows = every_step(group, red, settle_s)
        ratios = [row[2] / row[1] if row[1] else None for row in rows if row[2] is not None]
        if not rows:
            continue
        name = group_name(group.label)
        top = max([top, *(ratio for ratio in ratios if ratio is not None)])
        traces.append(
            line(
                [row[0] for row in rows],
                ratios,
                name,
                line_style(palette, group.label, index, cohort_of),
                hovertemplate="%{y:.2%}",
            )
        )
        asked, failed = sum(row[1] or 0 for row in rows), sum(row[2] or 0 for row in rows)
        words.append(
            f"{name}: {plural(failed, 'error')} in {plural(asked, 'request')} "
            f"({percent(failed / asked if asked else None, digits=2)})"
        )
    if not traces:
        return NO_REQUESTS
    figure = {
        "data": traces,
        "layout": layout(
            palette,
            xaxis=time_axis(palette, span),
            yaxis=axis(palette, range=[-0.02 * top, top * 1.12], tickformat=".3~p", nticks=5),
        ),
    }
    return Chart(with_markers(figure, markers, palette, span), f"{'; '.join(words)}.")
