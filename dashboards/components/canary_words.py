"""A canary in a line: who, which versions, how it stands."""

from __future__ import annotations

from collections.abc import Sequence

from dash import html
from dash.development.base_component import Component

from dashboards.answers.analysis import Anomaly, Canary
from dashboards.components.words import canary_badge, page_link, status_badge, version_label
from dashboards.figures.base import Message
from dashboards.routes import canary_href, service_href
from dashboards.theme import Status
from dashboards.wording import duration, percent

NO_CANARY = Message(
    "No canary has been declared.",
    "A deployer declares one with POST /api/v1/canaries on the analysis API.",
)
NO_ANOMALY = Message("Nothing unusual.", "Every watched share is within its expected range.")


def canary_banner(canary: Canary, now_unix_nano: int) -> Component:
    """The running canary, or the last one, in a strip that links to its report."""
    since = (now_unix_nano - canary.started_unix_nano) / 1e9
    return html.Div(
        [
            canary_badge(canary.state),
            html.Div(
                [
                    html.Div(
                        [
                            page_link(canary.service, service_href(canary.service)),
                            " ",
                            version_label(canary.baseline.version, "baseline"),
                            " → ",
                            version_label(canary.canary.version, "canary"),
                            html.Span(
                                f" running for {duration(max(0.0, round(since)))}"
                                if canary.is_running
                                else "",
                                className="muted",
                            ),
                        ]
                    ),
                    html.Div(canary.summary, className="banner-summary", title=canary.summary),
                ],
                className="banner-text",
            ),
            page_link("Open report", canary_href(canary.deployment_id)),
        ],
        className=f"banner banner-{canary.state}",
    )


def anomaly_list(anomalies: Sequence[Anomaly]) -> Component:
    """Open anomalies; each says what is expected and what is seen."""
    return html.Ul(
        [
            html.Li(
                [
                    status_badge("unusual", Status.WARN),
                    html.Span([page_link(a.service, service_href(a.service)), " ", _where(a)]),
                    html.Span(
                        f"{percent(a.observed_ratio, digits=2)} seen, "
                        f"{percent(a.expected_ratio, digits=2)} expected"
                        if a.observed_ratio is not None
                        else a.summary,
                        className="muted",
                    ),
                ],
                title=a.summary,
            )
            for a in anomalies
        ],
        className="anomalies",
    )


def _where(anomaly: Anomaly) -> str:
    values = ", ".join(anomaly.attributes.values())
    return f"{anomaly.name} ({values})" if values else anomaly.name
