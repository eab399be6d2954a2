"""One metric's effect over time with an interval that holds at every look at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dashboards.answers.looks import Effect, Look, MetricLook
from dashboards.figures.base import (
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
from dashboards.metric_words import metric_words
from dashboards.theme import Palette
from dashboards.wording import points, times

#: Factors beyond these are drawn at the edge: early intervals reach to the sky.
RATIO_LIMITS = (0.2, 5.0)
SHARE_LIMITS = (-1.0, 1.0)
#: State of a metric whose harm is beyond doubt.
WORSE = "worse"


def interval_chart(
    looks: Sequence[Look], key: str, span: Span, markers: Sequence[Marker], palette: Palette
) -> Chart | Message:
    """Estimate as the line, interval as the band, "no difference" as the line to clear."""
    found = [(look.unix_nano / 1e9, metric) for look in looks if (metric := _of(look, key))]
    rows = [(time, metric.effect) for time, metric in found if metric.effect.low is not None]
    if not found:
        return Message(f"No look has judged {key} yet.", "Choose another metric in the table.")
    if not rows and found[-1][1].one_answer is not None:
        once = found[-1][1].one_answer
        return Message(
            f"No interval for {metric_words(found[-1][1])}: it is judged once ({once.mode}).",
            f"{once.reason[:1].upper()}{once.reason[1:]}.",
        )
    if not rows:
        return Message(
            f"No interval for {metric_words(found[-1][1])} yet.",
            "It needs requests on both arms.",
        )
    effect = rows[-1][1]
    limits = RATIO_LIMITS if effect.is_ratio else SHARE_LIMITS
    scale = 1 if effect.is_ratio else 100  # shares are read in points
    when = [time for time, _ in rows]
    low = [scale * _clipped(e.low, limits[0], limits) for _, e in rows]
    high = [scale * _clipped(e.high, limits[1], limits) for _, e in rows]
    middle = [
        None if e.estimate is None else scale * _clipped(e.estimate, 0, limits) for _, e in rows
    ]
    no_line = LineStyle(palette.canary, width=0)
    words = [effect_words(e) for _, e in rows]
    traces = [
        line(when, low, "lowest", no_line, hoverinfo="skip", showlegend=False),
        line(
            when,
            high,
            "interval",
            no_line,
            fill="tonexty",
            fillcolor=palette.faint(palette.canary, 0.22),
            hoverinfo="skip",
        ),
        line(
            when,
            middle,
            "canary against baseline",
            LineStyle(palette.canary, "dash", 2.2),
            customdata=words,
            hovertemplate="%{customdata}",
        ),
    ]
    body = layout(
        palette,
        xaxis=time_axis(palette, span),
        yaxis=_effect_axis(effect, low, high, palette),
        shapes=[
            {
                "type": "line",
                "xref": "paper",
                "yref": "y",
                "x0": 0,
                "x1": 1,
                "y0": 1.0 if effect.is_ratio else 0.0,
                "y1": 1.0 if effect.is_ratio else 0.0,
                "line": {"color": palette.baseline, "width": 2},
            }
        ],
    )
    figure = with_markers({"data": traces, "layout": body}, markers, palette, span)
    told = f"{metric_words(found[-1][1])}: {words[-1]}."
    return Chart(figure, told + _beside_the_evidence(found[-1][1]))


def effect_words(effect: Effect) -> str:
    """``1.52× (1.31× to 1.77×)`` or ``+9.1 points (+5.2 to +13.4)``, the interval in brackets."""
    if effect.estimate is None:
        return "not known yet"
    if effect.is_ratio:
        text = times(effect.estimate)
        if effect.low is None and effect.high is None:
            return text
        high = times(effect.high) if effect.high is not None else "unbounded"
        return f"{text} ({times(effect.low or 0.0)} to {high})"
    text = points(effect.estimate)
    if effect.low is None or effect.high is None:
        return text
    low = points(effect.low).removesuffix(" points")
    high = points(effect.high).removesuffix(" points")
    return f"{text} ({low} to {high})"


def _beside_the_evidence(metric: MetricLook) -> str:
    """The verdict rests on a sharper question than the band; said where the two seem to differ."""
    effect, same = metric.effect, 1.0 if metric.effect.is_ratio else 0.0
    holds_same = (effect.low is None or effect.low <= same) and (
        effect.high is None or effect.high >= same
    )
    if metric.state != WORSE or not holds_same:
        return ""
    return (
        " The band also holds no difference: it guards both directions and every look."
        " The verdict's test asks only about harm and is already beyond doubt (evidence, above)."
    )


def _of(look: Look, key: str) -> MetricLook | None:
    return next((metric for metric in look.metrics if metric.key == key), None)


def _clipped(value: float | None, missing: float, limits: tuple[float, float]) -> float:
    return min(max(missing if value is None else value, limits[0]), limits[1])


def ratio_axis(palette: Palette, values: Sequence[float], **more: Any) -> dict[str, Any]:
    """A logarithmic axis around 1 that holds all values, with ticks that fit its width."""
    reach = 1.1 * max(math.log(1.2), *(abs(math.log(value)) for value in values))
    ticks: tuple[float, ...]
    if reach < math.log(1.6):
        ticks = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4)
    elif reach < math.log(2.5):
        ticks = (0.5, 0.7, 1.0, 1.4, 2.0)
    else:
        ticks = (0.2, 0.5, 1.0, 2.0, 5.0)
    return axis(
        palette,
        type="log",
        range=[-reach / math.log(10), reach / math.log(10)],
        tickvals=list(ticks),
        ticktext=[f"{tick:g}×" for tick in ticks],
        **more,
    )


def _effect_axis(
    effect: Effect, low: Sequence[float], high: Sequence[float], palette: Palette
) -> dict[str, object]:
    later = (*low[len(low) // 4 :], *high[len(high) // 4 :])
    if effect.is_ratio:
        return ratio_axis(palette, later)
    edge = 1.1 * max(1.0, *(abs(value) for value in later))
    return axis(palette, range=[-edge, edge], tickformat="+.3~r", ticksuffix=" points", nticks=6)
