"""Invariants of the whole application that no single page can promise."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from dash.development.base_component import Component

import dashboards
from collector.access.config import AccessConfig
from dashboards.app import PAGES, build_app
from dashboards.components.panel import GRAPH_CONFIG
from dashboards.components.shell import shell
from dashboards.config import DashboardsConfig
from dashboards.routes import PageQuery, Route
from davylamp.config import dashboards_config, load_settings
from telemetry.clock import FixedClock

ASSETS = Path(dashboards.__file__).parent / "assets"
CONFIG = DashboardsConfig(
    host="127.0.0.1",
    port=0,
    collector_url="http://127.0.0.1:1",
    analysis_url="http://127.0.0.1:2",
    refresh_s=1.5,
    request_timeout_s=1.0,
    max_concurrent_reads=4,
    max_answer_bytes=1_000_000,
    max_cached_answers=16,
    max_cached_canaries=4,
    settle_s=2.0,
    window_s=300,
    allowed_hosts=(),
    access=AccessConfig(False, Path("/nonexistent"), Path("/nonexistent")),
    oidc=dashboards_config(load_settings(environ={})).oidc,
)


@pytest.fixture(scope="module")
def dash():
    return build_app(CONFIG, FixedClock()).state.dash


def components():
    """Every component of the shell and of every page."""
    query = PageQuery(300, "none", "", "")
    roots = [shell()]
    roots += [page.layout(Route(page.kind, "name"), query, CONFIG) for page in PAGES.values()]
    for root in roots:
        yield root
        yield from root._traverse()


def test_every_callback_is_a_coroutine(dash):
    """A synchronous one would run on the event loop and stop everybody else."""
    on_server = {
        name: entry["callback"] for name, entry in dash.callback_map.items() if "callback" in entry
    }
    assert len(on_server) >= len(PAGES) + 1
    assert [
        n for n, callback in on_server.items() if not inspect.iscoroutinefunction(callback)
    ] == []


def test_every_id_of_a_callback_is_on_some_page(dash):
    """Dash would find a misspelt one in the browser only."""
    ids = {c.id for c in components() if isinstance(c, Component) and hasattr(c, "id")}
    wanted = set()
    for callback in dash._callback_list:
        wanted |= {item["id"] for item in [*callback["inputs"], *callback["state"]]}
        wanted |= {part.rsplit(".", 1)[0] for part in callback["output"].strip(".").split("...")}
    assert wanted - ids == set()


def test_no_id_stands_twice_on_a_page():
    """Within one page together with the shell."""
    query = PageQuery(300, "none", "", "")
    for page in PAGES.values():
        roots = [shell(), page.layout(Route(page.kind, "name"), query, CONFIG)]
        ids = [
            c.id
            for root in roots
            for c in [root, *root._traverse()]
            if isinstance(c, Component) and hasattr(c, "id")
        ]
        assert sorted(ids) == sorted(set(ids)), page.kind


def test_nothing_offers_to_upload_a_chart():
    """plotly.js shares to its cloud by default: off for each graph and for all at once."""
    graphs = [c for c in components() if type(c).__name__ == "Graph"]
    assert len(graphs) >= 8
    for graph in graphs:
        assert graph.config is GRAPH_CONFIG
    assert GRAPH_CONFIG["showSendToCloud"] is False
    assert GRAPH_CONFIG["displayModeBar"] is False
    assert "showSendToCloud: false" in (ASSETS / "davylamp.js").read_text()


def test_every_chart_has_a_sentence_beside_it():
    """A figure that is not seen must still say something."""
    ids = {c.id for c in components() if isinstance(c, Component) and hasattr(c, "id")}
    graphs = [c.id for c in components() if type(c).__name__ == "Graph"]
    assert [g for g in graphs if g.removesuffix("-body") + "-note" not in ids] == []


def test_assets_need_no_other_host():
    """No address of another machine in any of our own files."""
    found = []
    for path in ASSETS.iterdir():
        text = path.read_text(encoding="utf-8")
        found += [
            f"{path.name}: {url}"
            for url in re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"')]*", text)
            if url != "http://www.w3.org/2000/svg"
        ]
    assert found == []


def test_browser_side_functions_exist(dash):
    """Each one that is registered is written in the asset."""
    script = (ASSETS / "davylamp.js").read_text()
    names = [
        callback["clientside_function"]["function_name"]
        for callback in dash._callback_list
        if callback.get("clientside_function")
    ]
    assert names
    assert [n for n in names if not re.search(rf"\b{n}: function", script)] == []
