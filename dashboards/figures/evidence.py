"""Evidence against a canary over time, on the scale of a bet: how many times a stake has grown.

An e-value of 200 is what a bettor on "the canary is worse" would have made of 1, had the canary
been as good as the rule demands that happens to less than 1 in 200. Above the line: FAIL.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from dashboards.answers.looks import Look
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
    time_axis,
    with_markers,
)
from dashboards.metric_words import metric_name
from dashboards.theme import Palette
from dashboards.wording import figures3

NO_LOOKS = Message(
    "The judge has not looked yet.",
    "The first look follows the first complete block of both arms.",
)
ONLY_ONCE = Message(
    "No evidence is kept from look to look.",
    "Every metric of this rule is judged once, at the horizon; the table has the answers.",
)
#: Single metrics drawn beside the whole, the strongest first.
MAX_METRICS: Final = 5
#: Evidence below 1 : 10 is all the same to a reader; the axis ends there (natural log).
_FLOOR: Final = -math.log(10)


def evidence_chart(
    looks: Sequence[Look], span: Span, markers: Sequence[Marker], palette: Palette
) -> Chart | Message:
    """All evidence as the bold line, single metrics thin, the limit as the line to cross."""
    if not looks:
        return NO_LOOKS
    last = looks[-1]
    times = [look.unix_nano / 1e9 for look in looks]
    names = strongest(looks)
    if last.metrics and not names:
        return ONLY_ONCE
    traces: list[Figure] = [
        line(
            times,
            [_metric_log(look, key) for look in looks],
            metric_name(*key),
            LineStyle(palette.series[index % len(palette.series)], width=1.4),
            customdata=[_fold(_raw_log(look, key)) for look in looks],
            hovertemplate="%{customdata}",
        )
        for index, key in enumerate(names)
    ]
    traces.append(
        line(
            times,
            [_clamped(look.log_e_value) for look in looks],
            "all together",
            LineStyle(palette.text, width=3),
            customdata=[_fold(look.log_e_value) for look in looks],
            hovertemplate="%{customdata}",
        )
    )
    top = max([last.threshold_log_e * 1.25, *(v for t in traces for v in t["y"] if v is not None)])
    limit = math.exp(last.threshold_log_e)
    body = layout(
        palette,
        xaxis=time_axis(palette, span),
        yaxis=fold_axis(palette, top),
    )
    name = f"FAIL above {figures3(limit)}-fold"
    traces.append(threshold_line(last.threshold_log_e, span, name, palette.bad))
    summary = (
        f"Evidence that the canary is worse: {_fold(last.log_e_value)}; "
        f"FAIL needs {figures3(limit)}-fold, which a good canary reaches in fewer than "
        f"1 of {figures3(limit)} cases."
    )
    return Chart(with_markers({"data": traces, "layout": body}, markers, palette, span), summary)


def strongest(looks: Sequence[Look]) -> list[tuple[str, str]]:
    """(name, split) of the metrics whose evidence ever was the strongest, in a stable order.

    What is judged once has none.
    """
    most: dict[tuple[str, str], float] = {}
    for look in looks:
        for metric in look.metrics:
            if metric.one_answer is not None:
                continue
            key = (metric.name, metric.split)
            most[key] = max(most.get(key, -math.inf), metric.log_e_value or 0.0)
    overall = [key for key in most if not key[1]]
    splits = sorted((key for key in most if key[1]), key=lambda key: -most[key])
    return [*overall, *splits][:MAX_METRICS]


def _raw_log(look: Look, key: tuple[str, str]) -> float | None:
    for metric in look.metrics:
        if (metric.name, metric.split) == key:
            return metric.log_e_value
    return None


def _metric_log(look: Look, key: tuple[str, str]) -> float | None:
    value = _raw_log(look, key)
    return None if value is None else _clamped(value)


def _clamped(log_e: float | None) -> float | None:
    return None if log_e is None else max(log_e, _FLOOR)


def _fold(log_e: float | None) -> str:
    """``37-fold``; below one the stake has shrunk: ``none (0.02-fold)``."""
    if log_e is None:
        return "not known yet"
    if log_e > 46:  # more than 20 digits say nothing more
        return f"more than 10^{log_e / math.log(10):.0f}-fold"
    value = math.exp(log_e)
    if value < 1:
        return f"none ({figures3(value)}-fold)" if value >= 0.001 else "none"
    return f"{figures3(value)}-fold"


def fold_axis(palette: Palette, top: float, floor: float = _FLOOR) -> dict[str, object]:
    """Natural-log values, ticks in powers of ten, as "100-fold"."""
    decades = range(math.ceil(floor / math.log(10)), math.floor(top / math.log(10)) + 1)
    every = max(1, len(decades) // 6)
    shown = [d for d in decades if d % every == 0]
    return axis(
        palette,
        range=[floor - 0.2, top * 1.06],
        tickvals=[d * math.log(10) for d in shown],
        ticktext=[_decade(d) for d in shown],
    )


def _decade(exponent: int) -> str:
    if exponent < 0:
        return f"1/{10**-exponent:,}"
    return f"{10**exponent:,}" if exponent <= 6 else f"10<sup>{exponent}</sup>"


def threshold_line(value: float, span: Span, name: str, colour: str) -> Figure:
    """The line to cross; named in the legend, so that nothing is written over the data."""
    ends = (span.from_unix_s, span.to_unix_s)
    return line(ends, (value, value), name, LineStyle(colour, "longdash", 1.6), hoverinfo="skip")
