"""All effects of one look on two common scales: shares in points, durations as factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dashboards.answers.looks import Look, MetricLook
from dashboards.figures.base import Chart, Figure, Message, axis, layout
from dashboards.figures.interval import RATIO_LIMITS, SHARE_LIMITS, effect_words, ratio_axis
from dashboards.metric_words import metric_words, state_words
from dashboards.theme import SHAPES, Palette, Status
from dashboards.wording import plural

_NOTHING = Message(
    "No effect can be estimated yet.", "Estimates follow as soon as both arms have requests."
)
_SYMBOLS: Final = {
    Status.OK: "circle",
    Status.WARN: "triangle-up",
    Status.BAD: "square",
    Status.UNKNOWN: "diamond-open",
}
ROW_PX: Final = 26


def forest_chart(look: Look | None, palette: Palette) -> Chart | Message:
    """Each row: estimate, interval, state. Right of the blue line is worse."""
    metrics = [] if look is None else [m for m in look.metrics if m.effect.estimate is not None]
    if not metrics:
        return _NOTHING
    shares = [m for m in metrics if not m.effect.is_ratio]
    ratios = [m for m in metrics if m.effect.is_ratio]
    rows = [*shares, *ratios]
    y_of = {m.key: len(rows) - index for index, m in enumerate(rows)}
    traces = [_row(m, y_of[m.key], palette) for m in rows]
    body = layout(
        palette,
        showlegend=False,
        hovermode="closest",
        height=70 + ROW_PX * len(rows),
        margin={"l": 10, "r": 14, "t": 8, "b": 44},
        grid={"rows": 1, "columns": 2, "pattern": "independent"},
        yaxis=_names(rows, y_of, palette),
        yaxis2={"visible": False, "fixedrange": True, "range": [0.4, len(rows) + 0.6]},
        xaxis=axis(
            palette,
            domain=[0.0, 0.47],
            range=_share_range(shares),
            tickformat="+.3~r",
            title=_title("difference of shares, points", palette),
            nticks=5,
        ),
        xaxis2=ratio_axis(
            palette,
            _ratio_ends(ratios),
            domain=[0.53, 1.0],
            anchor="y2",
            tickangle=0,
            title=_title("times the baseline", palette),
        ),
        shapes=[_none("x", 0.0, palette), _none("x2", 1.0, palette)],
    )
    worse = [m for m in rows if state_words(m.state)[1] is Status.BAD]
    summary = f"{plural(len(rows), 'effect')}; " + (
        "; ".join(f"{metric_words(m)} {effect_words(m.effect)}" for m in worse)
        if worse
        else "none is beyond doubt worse"
    )
    return Chart({"data": traces, "layout": body}, f"{summary}.")


def _row(metric: MetricLook, y: int, palette: Palette) -> Figure:
    effect, (word, status) = metric.effect, state_words(metric.state)
    limits = RATIO_LIMITS if effect.is_ratio else SHARE_LIMITS
    assert effect.estimate is not None
    x = min(max(effect.estimate, limits[0]), limits[1])
    if effect.low is None and effect.high is None:  # no interval is known: a point
        low = high = x
    else:
        low = limits[0] if effect.low is None else max(effect.low, limits[0])
        high = limits[1] if effect.high is None else min(effect.high, limits[1])
    number, scale = ("2", 1.0) if effect.is_ratio else ("", 100.0)  # shares are read in points
    x, low, high = scale * x, scale * low, scale * high
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x],
        "y": [y],
        "xaxis": f"x{number}",
        "yaxis": f"y{number}",
        "marker": {
            "size": 10 if metric.critical else 8,
            "symbol": _SYMBOLS[status],
            "color": palette.status(status),
        },
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [max(high - x, 0.0)],
            "arrayminus": [max(x - low, 0.0)],
            "color": palette.status(status),
            "thickness": 1.6,
            "width": 4,
        },
        "hovertemplate": "<br>".join((metric_words(metric), effect_words(effect), word))
        + "<extra></extra>",
    }


def _names(rows: Sequence[MetricLook], y_of: dict[str, int], palette: Palette) -> dict[str, Any]:
    texts = []
    for metric in rows:
        status = state_words(metric.state)[1]
        name = metric_words(metric)
        texts.append(f"{'<b>' + name + '</b>' if not metric.split else name} {SHAPES[status]}")
    return axis(
        palette,
        tickvals=[y_of[m.key] for m in rows],
        ticktext=texts,
        range=[0.4, len(rows) + 0.6],
        showgrid=True,
    )


def _share_range(shares: Sequence[MetricLook]) -> list[float]:
    ends = [abs(v) for m in shares for v in (m.effect.low, m.effect.high, m.effect.estimate) if v]
    edge = 100 * min(max([0.01, *ends]) * 1.1, SHARE_LIMITS[1])
    return [-edge, edge]


def _ratio_ends(ratios: Sequence[MetricLook]) -> list[float]:
    low, high = RATIO_LIMITS
    ends = [v for m in ratios for v in (m.effect.low, m.effect.high, m.effect.estimate)]
    return [min(max(v, low), high) for v in ends if v is not None] or [1.0]


def _title(text: str, palette: Palette) -> dict[str, Any]:
    return {"text": text, "font": {"size": 11, "color": palette.muted}, "standoff": 6}


def _none(xref: str, value: float, palette: Palette) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": xref,
        "yref": "paper",
        "x0": value,
        "x1": value,
        "y0": 0,
        "y1": 1,
        "line": {"color": palette.baseline, "width": 2},
        "layer": "below",
    }
