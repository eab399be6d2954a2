"""Where response times lie: requests by time and duration, what quantiles hide."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dashboards.answers.collector import Heatmap
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
from dashboards.figures.red_groups import NO_REQUESTS
from dashboards.theme import Palette
from dashboards.wording import duration, iso

#: Cividis, which reads the same with and without colour vision. It runs away from the background:
#: many requests are dark on light and bright on dark, and one request still stands out from none.
_CIVIDIS = ("#35456C", "#4D576C", "#666970", "#948E77", "#C8B866", "#FEE838")
_CIVIDIS_LIGHT = ("#E3D58B", "#C8B866", "#948E77", "#666970", "#35456C", "#00224E")


def heatmap_chart(
    heat: Heatmap, span: Span, markers: Sequence[Marker], palette: Palette, *, settle_s: float
) -> Chart | Message:
    """Empty cells are transparent; colour grows with the logarithm of the count."""
    last = heat.to_unix_nano / 1e9 - settle_s - heat.step_s
    rows = [
        (time, row)
        for time, row in zip(heat.times_unix_s, heat.counts, strict=True)
        if time <= last
    ]
    if not rows or not heat.bounds_s:
        return NO_REQUESTS
    x, columns = _without_holes([row[0] for row in rows], [row[1] for row in rows], heat.step_s)
    counts = [[column[j] for column in columns] for j in range(len(heat.bounds_s))]
    colours = [[math.log10(1 + n) if n else None for n in row] for row in counts]
    top = max((v for row in colours for v in row if v is not None), default=1.0)
    figure = {
        "data": [
            {
                "type": "heatmap",
                "x": [iso(time + heat.step_s / 2) for time in x],
                "y": list(range(len(heat.bounds_s))),
                "z": colours,
                "customdata": counts,
                "colorscale": _scale(palette),
                "zmin": 0,
                "zmax": top,
                "showscale": False,
                "hovertemplate": "%{y}: %{customdata} requests<extra></extra>",
                "xgap": 0,
                "ygap": 0,
            }
        ],
        "layout": layout(
            palette,
            showlegend=False,
            margin={"l": 56, "r": 14, "t": 24, "b": 26},
            hovermode="closest",
            xaxis=time_axis(palette, span),
            yaxis=_duration_axis(heat.bounds_s, palette),
        ),
    }
    total = sum(sum(row) for row in counts)
    slowest = max(j for j, row in enumerate(counts) if any(row))
    summary = f"{total:,} requests; the slowest took up to {duration(heat.bounds_s[slowest])}."
    return Chart(with_markers(figure, markers, palette, span), summary)


def _scale(palette: Palette) -> list[list[float | str]]:
    colours = _CIVIDIS if palette.name == "dark" else _CIVIDIS_LIGHT
    return [[index / (len(colours) - 1), colour] for index, colour in enumerate(colours)]


def _without_holes(
    times: list[float], rows: list[tuple[int, ...]], step_s: float
) -> tuple[list[float], list[tuple[int, ...]]]:
    """Steps nobody asked in become empty columns, else their neighbours would be drawn wide."""
    empty = (0,) * len(rows[0])
    known = dict(zip(times, rows, strict=True))
    count = round((times[-1] - times[0]) / step_s) + 1
    every = [times[0] + index * step_s for index in range(count)]
    return every, [known.get(time, empty) for time in every]


def _duration_axis(bounds_s: Sequence[float], palette: Palette) -> dict[str, object]:
    """Rows are buckets of equal ratio; ticks name the bucket's upper bound."""
    every = max(1, len(bounds_s) // 6)
    ticks = list(range(0, len(bounds_s), every))
    return axis(
        palette,
        tickvals=[tick + 0.5 for tick in ticks],
        ticktext=[duration(bounds_s[tick]) for tick in ticks],
        showgrid=False,
        range=[-0.5, len(bounds_s) - 0.5],
    )
