"""What all charts share: the result types, axes, fonts, line styles and event markers.

Figures are plain dicts with plain lists: building them costs a tenth of plotly's own objects, and
lists can be patched point by point, which encoded arrays silently cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dashboards.theme import Palette
from dashboards.wording import iso

Figure = dict[str, Any]

FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
FONT_PX: Final = 12
#: Lines drawn in one chart; the rest is named in the summary.
MAX_LINES: Final = 8
#: Markers drawn on one chart, the newest first.
MAX_MARKERS: Final = 12
#: Share of the time axis a glyph needs for itself.
MARKER_ROOM_RATIO: Final = 0.035


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure and one sentence that says the same to someone who does not see it."""

    figure: Figure
    summary: str


@dataclass(frozen=True, slots=True)
class Message:
    """Why there is no chart, and what to do about it. Shown instead of bare axes."""

    sentence: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Time axis of a chart."""

    from_unix_s: float
    to_unix_s: float


@dataclass(frozen=True, slots=True)
class Marker:
    """An event on a time axis: a glyph above a thin line."""

    unix_s: float
    glyph: str
    label: str


@dataclass(frozen=True, slots=True)
class LineStyle:
    """Colour, dash and width (pixels) of a line."""

    colour: str
    dash: str = "solid"
    width: float = 2.0


def layout(palette: Palette, revision: str = "fixed", **more: Any) -> dict[str, Any]:
    """The common layout. ``revision``: what the reader hid stays hidden while it is the same."""
    return {
        "font": {"family": FONT, "size": FONT_PX, "color": palette.text},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 56, "r": 14, "t": 40, "b": 26},
        "hovermode": "x unified",
        "hoverlabel": {
            "bgcolor": palette.panel,
            "bordercolor": palette.axis,
            "font": {"family": FONT, "size": FONT_PX, "color": palette.text},
        },
        "dragmode": False,
        "uirevision": revision,
        "showlegend": True,
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "xanchor": "left",
            "font": {"size": 11, "color": palette.muted},
            "bgcolor": "rgba(0,0,0,0)",
        },
        **more,
    }


def axis(palette: Palette, **more: Any) -> dict[str, Any]:
    """A value axis with a quiet grid."""
    return {
        "gridcolor": palette.grid,
        "zeroline": False,
        "linecolor": palette.axis,
        "tickfont": {"size": 11, "color": palette.muted},
        "fixedrange": True,
        "automargin": True,
        **more,
    }


def time_axis(palette: Palette, span: Span, **more: Any) -> dict[str, Any]:
    """The time axis: fixed to the window, so that all charts of a page line up."""
    return axis(
        palette,
        type="date",
        range=[iso(span.from_unix_s), iso(span.to_unix_s)],
        showgrid=False,
        showline=True,
        ticks="outside",
        ticklen=4,
        tickcolor=palette.axis,
        nticks=6,
        tickformatstops=[
            {"dtickrange": [None, 60_000], "value": "%H:%M:%S"},
            {"dtickrange": [60_000, 86_400_000], "value": "%H:%M"},
        ],
        hoverformat="%H:%M:%S UTC",
        automargin=False,
        **more,
    )


def line(
    times_unix_s: Sequence[float],
    values: Sequence[float | None],
    name: str,
    style: LineStyle,
    **more: Any,
) -> dict[str, Any]:
    """One line; a step without a value is a gap, never 0."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [iso(time) for time in times_unix_s],
        "y": list(values),
        "name": name,
        "line": {"color": style.colour, "dash": style.dash, "width": style.width},
        "connectgaps": False,
        **more,
    }


def line_style(palette: Palette, label: str, index: int, cohort_of: Mapping[str, str]) -> LineStyle:
    """Baseline blue and solid, canary orange and dashed, everything else by its place."""
    cohort = cohort_of.get(label, label)
    if cohort == "canary":
        return LineStyle(palette.canary, "dash", 2.2)
    if cohort == "baseline":
        return LineStyle(palette.baseline, "solid", 2.2)
    if not label:
        return LineStyle(palette.series[0])
    # The first two colours look like the arms', so other groups begin with the third.
    others = palette.series[2:]
    return LineStyle(others[index % len(others)])


def with_markers(figure: Figure, markers: Sequence[Marker], palette: Palette, span: Span) -> Figure:
    """The figure with a thin line and a glyph for each event inside the span."""
    inside = [m for m in markers if span.from_unix_s <= m.unix_s <= span.to_unix_s]
    newest = sorted(inside, key=lambda m: -m.unix_s)[:MAX_MARKERS]
    shapes = [_marker_line(marker, palette) for marker in newest]
    room_s = MARKER_ROOM_RATIO * (span.to_unix_s - span.from_unix_s)
    annotations = [_marker_glyph(group, palette) for group in _grouped(newest, room_s)]
    old = figure["layout"]
    return {
        **figure,
        "layout": {
            **old,
            "shapes": [*old.get("shapes", []), *shapes],
            "annotations": [*old.get("annotations", []), *annotations],
        },
    }


def _grouped(newest_first: Sequence[Marker], room_s: float) -> list[list[Marker]]:
    """Markers too close for two glyphs stand together under one, the newest."""
    groups: list[list[Marker]] = []
    for marker in newest_first:
        if groups and groups[-1][0].unix_s - marker.unix_s < room_s:
            groups[-1].append(marker)
        else:
            groups.append([marker])
    return groups


def _marker_line(marker: Marker, palette: Palette) -> dict[str, Any]:
    at = iso(marker.unix_s)
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": at,
        "x1": at,
        "y0": 0,
        "y1": 1,
        "line": {"color": palette.marker, "width": 1, "dash": "dot"},
        "layer": "below",
    }


def _marker_glyph(group: Sequence[Marker], palette: Palette) -> dict[str, Any]:
    return {
        "x": iso(group[0].unix_s),
        "y": 1,
        "xref": "x",
        "yref": "paper",
        "text": group[0].glyph,
        "hovertext": "<br>".join(marker.label for marker in reversed(group)),
        "showarrow": False,
        "yanchor": "bottom",
        "font": {"size": 13, "color": palette.text},
    }
