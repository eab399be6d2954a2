"""Frames of parts: a titled region of fixed height that holds a chart, a grid or a block."""

from __future__ import annotations

from typing import Any, Final

import dash_ag_grid as dag
from dash import dcc, html
from dash.development.base_component import Component

from dashboards.components.words import aria
from dashboards.live import HEADER_PX, MIN_ROWS, ROW_PX, body_id, grid_style, note_id

#: No zoom buttons to learn, and nothing that offers to upload a chart to someone's cloud.
GRAPH_CONFIG: Final[Any] = {
    "displayModeBar": False,
    "displaylogo": False,
    "showSendToCloud": False,
    "showEditInChartStudio": False,
    "showLink": False,
    "plotlyServerURL": "",
    "responsive": True,
}


def chart_part(part: str, title: str, *, height_px: int, hint: str = "") -> Component:
    """A chart with its title, one sentence that says the same, and room for both from the start."""
    graph = dcc.Graph(
        id=body_id(part),
        config=GRAPH_CONFIG,
        style={"height": f"{height_px}px"},
        className="part-body",
        animate=False,
    )
    return _frame(part, title, hint, graph, body_px=height_px)


def grid_part(
    part: str,
    title: str,
    columns: list[dict[str, Any]],
    *,
    row_id: str,
    rows: int = MIN_ROWS,
    hint: str = "",
    **options: Any,
) -> Component:
    """A table; ``row_id`` names the field that identifies a row, so that updates move nothing."""
    height_px = HEADER_PX + rows * ROW_PX + 3
    grid = dag.AgGrid(
        id=body_id(part),
        columnDefs=columns,
        rowData=[],
        getRowId=f"params.data.{row_id}",
        defaultColDef={"resizable": True, "sortable": True, "suppressMovable": True, "flex": 1},
        dashGridOptions={
            "animateRows": False,
            "rowHeight": ROW_PX,
            "headerHeight": HEADER_PX,
            "suppressCellFocus": False,
            "ensureDomOrder": True,
            "enableCellTextSelection": True,
            "suppressNoRowsOverlay": True,
            "domLayout": "normal",
            **options,
        },
        className="part-body grid",
        style=grid_style(height_px),
    )
    return _frame(part, title, hint, grid, body_px=height_px)


def block_part(part: str, title: str = "", *, height_px: int = 0, hint: str = "") -> Component:
    """Any components; without a title there is no frame."""
    body = html.Div(id=body_id(part), className="part-body")
    return _frame(part, title, hint, body, body_px=height_px)


def bare_part(part: str) -> Component:
    """A place for components without frame, title or note of its own."""
    return html.Div(
        [html.Div(id=body_id(part), className="part-body controls"), html.Div(id=note_id(part))],
        id=part,
        className="part is-waiting",
    )


def _frame(part: str, title: str, hint: str, body: Component, *, body_px: int) -> Component:
    note = html.Figcaption("Loading…", id=note_id(part), className="part-note", **aria(live="off"))
    inner: list[Component] = [body, note]
    figure = html.Figure(
        inner, className="part-figure", style={"minHeight": f"{body_px}px"} if body_px else {}
    )
    children: list[Component] = []
    if title:
        children.append(html.H2(title, id=f"{part}-title", className="part-title"))
    if hint:
        children.append(html.P(hint, className="part-hint"))
    children.append(figure)
    labels = aria(labelledby=f"{part}-title") if title else {}
    return html.Div(
        html.Section(children, className="panel" if title else "bare", **labels),
        id=part,
        className="part is-waiting",
    )
