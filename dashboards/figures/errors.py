"""Share of requests of one service that ended in an error, a line per group."""

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
from dashboards.figures.red_groups import NO_REQUESTS, GroupLine, Step, group_lines
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
    lines = list(
        group_lines(
            red,
            cohort_of,
            palette,
            settle_s=settle_s,
            value_of=_error_ratio,
            hovertemplate="%{y:.2%}",
        )
    )
    if not lines:
        return NO_REQUESTS
    ratios = (ratio for drawn in lines for ratio in drawn.values if ratio is not None)
    top_ratio = max([LEAST_TOP_RATIO, *ratios])
    figure = {
        "data": [drawn.trace for drawn in lines],
        "layout": layout(
            palette,
            xaxis=time_axis(palette, span),
            yaxis=axis(
                palette, range=[-0.02 * top_ratio, top_ratio * 1.12], tickformat=".3~p", nticks=5
            ),
        ),
    }
    words = "; ".join(_in_words(drawn) for drawn in lines)
    return Chart(with_markers(figure, markers, palette, span), f"{words}.")


def _error_ratio(step: Step) -> float | None:
    return step.error_count / step.request_count if step.request_count else None


def _in_words(drawn: GroupLine) -> str:
    asked = sum(step.request_count for step in drawn.steps)
    failed = sum(step.error_count for step in drawn.steps)
    share = percent(failed / asked if asked else None, digits=2)
    return f"{drawn.name}: {plural(failed, 'error')} in {plural(asked, 'request')} ({share})"
