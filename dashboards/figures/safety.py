"""Proof that a canary is safe, over time: one line per claim, PASS needs all above the line."""

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
    layout,
    line,
    time_axis,
    with_markers,
)
from dashboards.figures.evidence import NO_LOOKS, ONLY_ONCE, fold_axis, threshold_line
from dashboards.metric_words import metric_name
from dashboards.theme import Palette
from dashboards.wording import figures3

#: Claims drawn: the four shipped metrics make six.
MAX_CLAIMS: Final = 8
_DASHES: Final = ("solid", "dot", "dashdot")
_NO_CLAIMS = Message(
    "No claim of safety can be tested yet.",
    "Each critical metric needs blocks of both arms first.",
)

Claim = tuple[str, str]  # metric name, claim


def safety_chart(
    looks: Sequence[Look], span: Span, markers: Sequence[Marker], palette: Palette
) -> Chart | Message:
    """Evidence for each claim "not worse than the margin", as the judge keeps it."""
    if not looks:
        return NO_LOOKS
    claims = _claims(looks)
    if not claims:
        is_once = any(m.one_answer is not None for m in looks[-1].metrics if m.critical)
        return ONLY_ONCE if is_once else _NO_CLAIMS
    last = looks[-1]
    times = [look.unix_nano / 1e9 for look in looks]
    metrics = list(dict.fromkeys(name for name, _ in claims))
    traces: list[Figure] = []
    for claim in claims:
        rank = metrics.index(claim[0])
        within = [c for c in claims if c[0] == claim[0]].index(claim)
        traces.append(
            line(
                times,
                [_value(look, claim) for look in looks],
                _claim_words(claim, alone=sum(c[0] == claim[0] for c in claims) == 1),
                LineStyle(palette.series[rank % len(palette.series)], _DASHES[within % 3], 1.8),
                hovertemplate="%{y:.1f}",
            )
        )
    threshold = last.certify_threshold_log_e
    top = max([threshold * 1.4, *(v for t in traces for v in t["y"] if v is not None)])
    body = layout(
        palette,
        xaxis=time_axis(palette, span),
        yaxis=fold_axis(palette, min(top, threshold * 3), floor=-0.2),
    )
    for trace in traces:
        trace["hovertemplate"] = "%{customdata}"
        trace["customdata"] = ["shown" if (v or 0) >= threshold else "not yet" for v in trace["y"]]
    name = f"shown safe above {figures3(math.exp(threshold))}-fold"
    traces.append(threshold_line(threshold, span, name, palette.ok))
    shown = [c for c in claims if (_value(last, c) or 0.0) >= threshold]
    summary = f"{len(shown)} of {len(claims)} claims of safety are shown."
    return Chart(with_markers({"data": traces, "layout": body}, markers, palette, span), summary)


def _claims(looks: Sequence[Look]) -> list[Claim]:
    """Claims of critical metrics, in order of first appearance."""
    found: dict[Claim, None] = {}
    for look in looks:
        for metric in look.metrics:
            if metric.critical and not metric.split:
                for claim in metric.certificates:
                    found[metric.name, claim] = None
    return list(found)[:MAX_CLAIMS]


def _value(look: Look, claim: Claim) -> float | None:
    for metric in look.metrics:
        if metric.name == claim[0] and not metric.split:
            value = metric.certificates.get(claim[1])
            return None if value is None else max(value, 0.0)
    return None


def _claim_words(claim: Claim, *, alone: bool) -> str:
    name = metric_name(claim[0])
    return name if alone else f"{name}, {claim[1].replace('_', ' ')}"
