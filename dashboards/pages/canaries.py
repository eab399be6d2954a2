"""Canaries: what is rolling out, what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dash.development.base_component import Component

from dashboards.answers.analysis import Canary
from dashboards.answers.reading import Unavailable
from dashboards.components.canary_words import NO_CANARY
from dashboards.components.panel import grid_part
from dashboards.components.shell import page_frame
from dashboards.components.words import canary_words
from dashboards.config import DashboardsConfig
from dashboards.data import Data
from dashboards.live import Content, PartKind, Rows
from dashboards.pages.common import Page, View
from dashboards.routes import PageQuery, Route, canary_href
from dashboards.wording import UNKNOWN, date_time, duration, plural

#: Canaries listed, the newest first.
MAX_CANARIES: Final = 200

COLUMNS: Final[list[dict[str, Any]]] = [
    {
        "field": "name",
        "headerName": "Canary",
        "cellRenderer": "PageLink",
        "minWidth": 150,
        "flex": 1,
    },
    {"field": "status", "headerName": "Verdict", "cellRenderer": "StatusWord", "minWidth": 140},
    {"field": "versions", "headerName": "Baseline → canary", "minWidth": 160},
    {
        "field": "summary",
        "headerName": "Why",
        "minWidth": 220,
        "flex": 4,
        "tooltipField": "summary",
    },
    {"field": "action", "headerName": "Decision", "minWidth": 180},
    {
        "field": "to_verdict",
        "headerName": "Verdict after",
        "valueFormatter": {"function": "params.data.to_verdict_text"},
        "type": "rightAligned",
        "minWidth": 110,
    },
    {
        "field": "declared",
        "headerName": "Declared (UTC)",
        "valueFormatter": {"function": "params.data.declared_text"},
        "minWidth": 180,
    },
]
PARTS: Final[Mapping[str, PartKind]] = {"canaries-list": PartKind.ROWS}


def layout(_: Route, query: PageQuery, config: DashboardsConfig) -> Component:
    """The frame of the list."""
    del query
    return page_frame(
        "canaries",
        "Canaries",
        [
            grid_part(
                "canaries-list",
                "All canaries, newest first",
                COLUMNS,
                row_id="deployment_id",
            )
        ],
        refresh_s=config.refresh_s,
    )


async def update(data: Data, config: DashboardsConfig, view: View) -> Mapping[str, Content]:
    """One row per canary."""
    del config, view
    answer = await data.canaries(limit=MAX_CANARIES)
    if isinstance(answer, Unavailable):
        return {"canaries-list": answer}
    if not answer.value:
        return {"canaries-list": NO_CANARY}
    running = sum(c.is_running for c in answer.value)
    text = f"{plural(len(answer.value), 'canary', 'canaries')}, {running} under observation."
    return {"canaries-list": Rows([canary_row(c) for c in answer.value], text)}


def canary_row(canary: Canary) -> dict[str, Any]:
    """One line of the list."""
    word, status, shape = canary_words(canary.state)
    verdict, decision = canary.verdict, canary.decision
    to_verdict_s = (
        (verdict.unix_nano - canary.started_unix_nano) / 1e9 if verdict and verdict.final else None
    )
    return {
        "deployment_id": canary.deployment_id,
        "name": f"{canary.service} {canary.canary.version}",
        "href": canary_href(canary.deployment_id),
        "status": word,
        "status_name": str(status),
        "shape": shape,
        "versions": f"{canary.baseline.version} → {canary.canary.version}",
        "summary": canary.summary,
        "action": f"{decision.action}: {decision.state}" if decision else UNKNOWN,
        "to_verdict": to_verdict_s,
        "to_verdict_text": duration(to_verdict_s),
        "declared": canary.declared_unix_nano // 1_000_000,
        "declared_text": date_time(canary.declared_unix_nano).removesuffix(" UTC"),
    }


PAGE: Final = Page("canaries", lambda _: "Canaries", layout, PARTS, update)
