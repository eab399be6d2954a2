"""Not found: for addresses changed inside the browser, and as plain HTML for the server's 404."""

from __future__ import annotations

from html import escape

from dash import html
from dash.development.base_component import Component

from dashboards.components.words import page_link


def layout(path: str) -> Component:
    """Said in place of a page whose address the browser made up."""
    return html.Div(
        [
            html.H1("There is no such page", className="page-title"),
            html.P([html.Code(path), " is not an address of Davylamp."]),
            html.P([page_link("Fleet", "/"), " · ", page_link("Canaries", "/canaries")]),
        ],
        className="page page-missing",
    )


def as_html(path: str) -> str:
    """The whole document; it needs nothing else."""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Not found · Davylamp</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/assets/davylamp.css"></head>
<body><main class="page page-missing"><h1 class="page-title">There is no such page</h1>
<p><code>{escape(path[:200])}</code> is not an address of Davylamp.</p>
<p><a class="link" href="/">Fleet</a> · <a class="link" href="/canaries">Canaries</a></p>
</main></body></html>
"""
