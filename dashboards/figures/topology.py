"""Who calls whom, in layers from the edge inwards; positions depend on names only, so it is still.

A layer is the longest chain of calls that leads to a service. Within a layer, services stand
near their callers. Edges are wider with more calls and named by rate and errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboards.answers.collector import Edge, Topology
from dashboards.figures.base import FONT, Chart, Figure, Message, layout
from dashboards.theme import SHAPES, Palette, Status
from dashboards.wording import duration, percent, plural, rate

NO_CALLS = Message(
    "No calls between services were seen in this window.",
    "The map is drawn from client spans and the server spans they caused.",
)
#: Services drawn; the rest is named in the summary.
MAX_NODES = 40
#: Shares of failed calls from which an edge is shown as failing.
WARN_RATIO, BAD_RATIO = 0.01, 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """Layer from the left, and height within it, both from 0 to 1."""

    x: float
    y: float


def layers(topology: Topology) -> dict[str, int]:
    """Layer of each service that calls or is called: its longest chain of callers.

    Calls that close a cycle do not count.
    """
    callees: dict[str, list[str]] = {}
    for edge in topology.edges:
        callees.setdefault(edge.server, [])
        callees.setdefault(edge.client, []).append(edge.server)
    order = _callers_first(callees)
    rank = {name: index for index, name in enumerate(order)}
    layer = dict.fromkeys(order, 0)
    for name in order:
        for callee in callees[name]:
            if rank[callee] > rank[name]:
                layer[callee] = max(layer[callee], layer[name] + 1)
    return layer


def _callers_first(callees: Mapping[str, list[str]]) -> list[str]:
    """All services, each before those it calls unless they call back; services nobody calls first.

    Reverse postorder of a walk along the calls, without recursion: chains may be long.
    """
    called = {callee for name, inner in callees.items() for callee in inner if callee != name}
    finished: list[str] = []
    seen: set[str] = set()
    for root in sorted(callees, key=lambda name: (name in called, name)):
        stack = [(root, False)]
        while stack:
            name, is_done = stack.pop()
            if is_done:
                finished.append(name)
            elif name not in seen:
                seen.add(name)
                stack.append((name, True))
                stack.extend((c, False) for c in sorted(callees[name]) if c not in seen)
    return finished[::-1]


def places(topology: Topology) -> dict[str, Place]:
    """Where each service stands."""
    of = layers(topology)
    deepest = max(of.values(), default=0)
    result: dict[str, Place] = {}
    for layer in range(deepest + 1):
        names = sorted(name for name, depth in of.items() if depth == layer)
        names.sort(key=lambda name: (_mean_caller_y(name, topology, result), name))
        for index, name in enumerate(names):
            x = layer / deepest if deepest else 0.5
            result[name] = Place(x, 1 - (index + 1) / (len(names) + 1))
    return result


def _mean_caller_y(name: str, topology: Topology, known: Mapping[str, Place]) -> float:
    """Minus the mean height of the callers placed so far: high callers come first."""
    heights = [known[e.client].y for e in topology.edges if e.server == name and e.client in known]
    return -sum(heights) / len(heights) if heights else 0.0


def edge_status(edge: Edge) -> Status:
    """How a call path is doing, from its share of failed calls."""
    ratio = edge.error_count / edge.call_count if edge.call_count else 0.0
    if ratio >= BAD_RATIO:
        return Status.BAD
    return Status.WARN if ratio >= WARN_RATIO else Status.OK


def topology_chart(
    topology: Topology, statuses: Mapping[str, Status], palette: Palette
) -> Chart | Message:
    """The map. ``statuses``: how each service is doing."""
    if not topology.edges:
        return NO_CALLS
    place = places(topology)
    calm = {name: place[name] for name in sorted(place)[:MAX_NODES]}
    edges = [e for e in topology.edges if e.client in calm and e.server in calm]
    most = max(e.call_count for e in edges)
    traces: list[Figure] = [_edge_line(edge, calm, most, palette) for edge in edges]
    traces.append(_edge_hover(edges, calm, topology.window_s))
    traces.append(_nodes(calm, edges, statuses, palette))
    hidden_axis = {"visible": False, "fixedrange": True}
    body = layout(
        palette,
        showlegend=False,
        hovermode="closest",
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={**hidden_axis, "range": [-0.18, 1.18]},
        yaxis={**hidden_axis, "range": _heights(calm)},
        annotations=[_edge_label(edge, calm, topology.window_s, palette) for edge in edges],
    )
    return Chart({"data": traces, "layout": body}, _summary(topology, len(calm)))


def _heights(place: Mapping[str, Place]) -> list[float]:
    """The axis ends a little beyond the outermost services and their names."""
    heights = [p.y for p in place.values()]
    low, high = min(heights), max(heights)
    room = max(high - low, 0.3)
    return [low - 0.38 * room, high + 0.38 * room]


def _edge_line(edge: Edge, place: Mapping[str, Place], most: int, palette: Palette) -> Figure:
    a, b = place[edge.client], place[edge.server]
    status = edge_status(edge)
    width = 1 + 4 * math.sqrt(edge.call_count / most)
    failing = status is not Status.OK
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [a.x, b.x],
        "y": [a.y, b.y],
        "hoverinfo": "skip",
        "line": {
            "width": width,
            "color": palette.status(status) if failing else palette.faint(palette.axis, 0.55),
            "dash": "dash" if failing else "solid",
        },
    }


def _point_on(edge: Edge, place: Mapping[str, Place], share: float) -> Place:
    a, b = place[edge.client], place[edge.server]
    return Place(a.x + share * (b.x - a.x), a.y + share * (b.y - a.y))


#: Labels stand nearer to the callee, where edges of one caller have spread apart.
_LABEL_SHARE = 0.58


def _edge_hover(edges: list[Edge], place: Mapping[str, Place], window_s: float) -> Figure:
    """Invisible points at the labels that carry the whole story of an edge."""
    at = [_point_on(edge, place, _LABEL_SHARE) for edge in edges]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [p.x for p in at],
        "y": [p.y for p in at],
        "marker": {"size": 26, "color": "rgba(0,0,0,0)"},
        "hovertemplate": [
            f"{e.client} → {e.server}<br>{rate(e.call_count / window_s)}, "
            f"{percent(e.error_count / e.call_count, digits=2)} failed"
            f"<br>p50 {duration(e.p50_s)}, p99 {duration(e.p99_s)}<extra></extra>"
            for e in edges
        ],
    }


def _edge_label(
    edge: Edge, place: Mapping[str, Place], window_s: float, palette: Palette
) -> dict[str, object]:
    at, status = _point_on(edge, place, _LABEL_SHARE), edge_status(edge)
    text = rate(edge.call_count / window_s)
    if edge.error_count:
        text += f" · {percent(edge.error_count / edge.call_count)} fail"
    if status is not Status.OK:
        text = f"{SHAPES[status]} {text}"
    return {
        "x": at.x,
        "y": at.y,
        "text": text,
        "showarrow": False,
        "bgcolor": palette.panel,
        "borderpad": 2,
        "font": {
            "size": 11,
            "family": FONT,
            "color": palette.muted if status is Status.OK else palette.status(status),
        },
    }


def _name_side(name: str, place: Mapping[str, Place], edges: Sequence[Edge]) -> str:
    """Below a service that is called from above, so that its name does not lie on the line."""
    callers = [place[e.client].y for e in edges if e.server == name and e.client != name]
    is_called_from_above = bool(callers) and min(callers) > place[name].y
    return "bottom center" if is_called_from_above else "top center"


def _nodes(
    place: Mapping[str, Place],
    edges: Sequence[Edge],
    statuses: Mapping[str, Status],
    palette: Palette,
) -> Figure:
    symbols = {
        Status.OK: "circle",
        Status.WARN: "triangle-up",
        Status.BAD: "square",
        Status.UNKNOWN: "diamond-open",
    }
    of = {name: statuses.get(name, Status.UNKNOWN) for name in place}
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": [p.x for p in place.values()],
        "y": [p.y for p in place.values()],
        "text": list(place),
        "textposition": [_name_side(name, place, edges) for name in place],
        "textfont": {"size": 13, "color": palette.text},
        "customdata": list(place),
        "hovertemplate": "%{text}<br>click to open<extra></extra>",
        "marker": {
            "size": 20,
            "symbol": [symbols[of[name]] for name in place],
            "color": [palette.status(of[name]) for name in place],
            "line": {"width": 2, "color": palette.panel},
        },
    }


def _summary(topology: Topology, drawn: int) -> str:
    failing = [e for e in topology.edges if edge_status(e) is not Status.OK]
    text = f"{plural(len(topology.edges), 'call path')} between {plural(drawn, 'service')}"
    if failing:
        names = "; ".join(
            f"{e.client} → {e.server} {percent(e.error_count / e.call_count)}" for e in failing
        )
        text += f"; failing: {names}"
    hidden = len(set(topology.nodes)) - drawn
    if hidden > 0:
        text += f"; {plural(hidden, 'service')} not drawn"
    return f"{text}."
