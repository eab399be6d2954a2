"""One service in a sentence: state, rate, errors, durations, versions, running canary."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from dashboards.answers.analysis import Canary
from dashboards.answers.collector import Service
from dashboards.components.words import Piece, page_link, status_badge
from dashboards.health import live_instances, service_status, status_word
from dashboards.routes import canary_href
from dashboards.wording import ago, duration, percent, plural, rate


def summary_block(service: Service, running: Canary | None, now_unix_nano: int) -> Component:
    """The sentence, with the running canary as a link."""
    status = service_status(service, now_unix_nano)
    words: list[Piece] = [html.Span(summary_text(service, now_unix_nano))]
    if running is not None:
        text = f"Canary {running.canary.version} under observation."
        words += [" ", page_link(text, canary_href(running.deployment_id))]
    return html.Div(
        [
            status_badge(status_word(service, now_unix_nano), status),
            html.P(words, className="headline-text"),
        ],
        className=f"headline status-edge-{status}",
    )


def summary_text(service: Service, now_unix_nano: int) -> str:
    """Rate, errors, durations and instances in words."""
    live = live_instances(service, now_unix_nano)
    versions = sorted({i.version for i in live if i.version})
    parts = []
    if service.request_rate_per_s is None:
        parts.append("No requests in the last minute")
    else:
        parts.append(
            f"{rate(service.request_rate_per_s)} requests, "
            f"{percent(service.error_ratio, digits=2)} failed, "
            f"p50 {duration(service.p50_s)}, p95 {duration(service.p95_s)}, "
            f"p99 {duration(service.p99_s)}"
        )
    if live:
        text = plural(len(live), "instance")
        parts.append(text + (f" of {', '.join(versions)}" if versions else ""))
    else:
        parts.append(f"last heard {ago(service.last_seen_unix_nano, now_unix_nano)}")
    return f"{'; '.join(parts)}."
