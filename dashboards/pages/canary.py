"""Canary report: is it worse, how sure are we, what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from dash import html
from dash.development.base_component import Component

from dashboards.answers.analysis import Canary, Delivery
from dashboards.answers.looks import Look
from dashboards.answers.reading import Answer, Unavailable, Why, value_or
from dashboards.components.canary_report import (
    deliveries_block,
    metrics_table,
    rule_block,
    story_block,
    traffic_block,
    verdict_block,
)
from dashboards.components.panel import block_part, chart_part
from dashboards.components.shell import page_frame
from dashboards.config import DashboardsConfig
from dashboards.data import Data
from dashboards.figures.base import Marker, Message, Span
from dashboards.figures.evidence import NO_LOOKS, evidence_chart
from dashboards.figures.forest import forest_chart
from dashboards.figures.interval import interval_chart
from dashboards.figures.safety import safety_chart
from dashboards.live import Block, Content, PartKind
from dashboards.pages.common import Page, View
from dashboards.routes import PageQuery, Route
from dashboards.story import steps

PARTS: Final[Mapping[str, PartKind]] = {
    "canary-verdict": PartKind.BLOCK,
    "canary-story": PartKind.BLOCK,
    "canary-evidence": PartKind.CHART,
    "canary-safety": PartKind.CHART,
    "canary-metrics": PartKind.BLOCK,
    "canary-forest": PartKind.CHART,
    "canary-interval": PartKind.CHART,
    "canary-traffic": PartKind.BLOCK,
    "canary-deliveries": PartKind.BLOCK,
    "canary-rule": PartKind.BLOCK,
}
#: Looks drawn per line.
MAX_POINTS: Final = 180
#: Seconds of empty time kept right of the newest look while the canary runs.
_MARGIN_S: Final = 5.0
#: The time axis of a report is at least this long, seconds.
_LEAST_S: Final = 30.0


def layout(route: Route, _: PageQuery, config: DashboardsConfig) -> Component:
    """The frame of the report, verdict first."""
    return page_frame(
        "canary",
        ["Canary ", html.Code(route.name, className="id")],
        [
            block_part("canary-verdict", height_px=150),
            block_part("canary-story", height_px=64),
            html.Div(
                [
                    chart_part(
                        "canary-evidence",
                        "Evidence that it is worse",
                        height_px=300,
                        hint="How many times a bet on “worse” has paid off. Crossing the line is "
                        "FAIL, at whatever moment anyone looks.",
                    ),
                    chart_part(
                        "canary-safety",
                        "Evidence that it is safe",
                        height_px=300,
                        hint="One line per claim “not worse than the margin”. PASS needs all of "
                        "them above the line.",
                    ),
                ],
                className="two",
            ),
            block_part("canary-metrics", "Metrics", height_px=270),
            html.Div(
                [
                    chart_part(
                        "canary-forest",
                        "All effects",
                        height_px=330,
                        hint="The blue line is no difference from the baseline; right is worse.",
                    ),
                    chart_part(
                        "canary-interval",
                        "One effect over time",
                        height_px=330,
                        hint="The band holds at all looks at once. Choose the metric in the table.",
                    ),
                ],
                className="two",
            ),
            html.Div(
                [
                    block_part("canary-deliveries", "Decision and delivery", height_px=190),
                    html.Div(
                        [
                            block_part("canary-traffic", "Traffic", height_px=60),
                            block_part(
                                "canary-rule",
                                "Repeatable from",
                                height_px=90,
                                hint="Same blocks, rule and code: the same verdict, byte for byte.",
                            ),
                        ]
                    ),
                ],
                className="two",
            ),
        ],
        refresh_s=config.refresh_s,
    )


async def update(data: Data, config: DashboardsConfig, view: View) -> Mapping[str, Content]:
    """The canary first; its looks and deliveries depend on what it says."""
    del config
    answer = await data.canary(view.route.name)
    if isinstance(answer, Unavailable):
        content: Content = answer
        if answer.why is Why.NOT_FOUND:
            content = Message(
                f"No canary {view.route.name} is known.", "The list of canaries has all that are."
            )
        return dict.fromkeys(PARTS, content)
    canary = answer.value
    looks, deliveries = await asyncio.gather(
        data.looks(canary.deployment_id, total=canary.looks), _deliveries(data, canary)
    )
    return {
        "canary-verdict": Block(verdict_block(canary)),
        "canary-story": Block(story_block(steps(canary, value_or(looks, ())))),
        **_charts(canary, looks, view),
        **_last_look(canary, view),
        "canary-deliveries": _decision(canary, deliveries),
    }


async def _deliveries(data: Data, canary: Canary) -> Answer[tuple[Delivery, ...]] | None:
    return await data.deliveries(canary.decision.decision_id) if canary.decision else None


def _charts(canary: Canary, answer: Answer[tuple[Look, ...]], view: View) -> Mapping[str, Content]:
    if isinstance(answer, Unavailable):
        return dict.fromkeys(("canary-evidence", "canary-safety", "canary-interval"), answer)
    looks = thinned(answer.value)
    if not looks:
        return dict.fromkeys(("canary-evidence", "canary-safety", "canary-interval"), NO_LOOKS)
    span, markers = report_span(canary, looks), report_markers(canary)
    key = chosen_metric(canary, view.query.metric)
    return {
        "canary-evidence": evidence_chart(looks, span, markers, view.palette),
        "canary-safety": safety_chart(looks, span, markers, view.palette),
        "canary-interval": interval_chart(looks, key, span, markers, view.palette),
    }


def thinned(looks: Sequence[Look]) -> list[Look]:
    """At most about MAX_POINTS looks, evenly, always with the newest and the deciding one."""
    every = max(1, -(-len(looks) // MAX_POINTS))
    decided = next((i for i, look in enumerate(looks) if look.final), None)
    newest = len(looks) - 1
    return [look for i, look in enumerate(looks) if i % every == 0 or i in {newest, decided}]


def report_span(canary: Canary, looks: Sequence[Look]) -> Span:
    """From the declaration to the end of the story."""
    start = min(canary.started_unix_nano, canary.declared_unix_nano) / 1e9
    ends = [look.unix_nano / 1e9 for look in looks[-1:]]
    if canary.verdict and canary.verdict.final:
        ends = [canary.verdict.unix_nano / 1e9]
    decision = canary.decision
    if decision is not None:
        known = (decision.confirmed_unix_nano, decision.completed_unix_nano)
        ends += [at / 1e9 for at in known if at is not None]
    return Span(start, max([start + _LEAST_S, *(end + _MARGIN_S for end in ends)]))


def report_markers(canary: Canary) -> list[Marker]:
    """Verdict and completion on the charts of the report."""
    markers = []
    if canary.verdict and canary.verdict.final:
        markers.append(Marker(canary.verdict.unix_nano / 1e9, "⚖", canary.verdict.summary))
    decision = canary.decision
    if decision is not None and decision.completed_unix_nano is not None:
        markers.append(
            Marker(decision.completed_unix_nano / 1e9, "↩", f"{decision.action} completed")
        )
    if decision is not None and decision.confirmed_unix_nano is not None:
        markers.append(Marker(decision.confirmed_unix_nano / 1e9, "✔", "confirmed by telemetry"))
    return markers


def chosen_metric(canary: Canary, wanted: str) -> str:
    """The reader's choice, else the culprit, else the rule's first metric."""
    metrics = canary.last_look.metrics if canary.last_look else ()
    keys = [m.key for m in metrics]
    if wanted in keys:
        return wanted
    verdict = canary.verdict
    if verdict is not None and verdict.culprit_metric:
        split = f"{{{verdict.culprit_split}}}" if verdict.culprit_split else ""
        return f"{verdict.culprit_metric}{split}"
    return keys[0] if keys else wanted


def _last_look(canary: Canary, view: View) -> Mapping[str, Content]:
    look = canary.last_look
    if look is None:
        parts = ("canary-metrics", "canary-forest", "canary-traffic", "canary-rule")
        return dict.fromkeys(parts, NO_LOOKS)
    chosen = chosen_metric(canary, view.query.metric)
    return {
        "canary-metrics": Block(metrics_table(look, chosen, view.search)),
        "canary-forest": forest_chart(look, view.palette),
        "canary-traffic": Block(traffic_block(look)),
        "canary-rule": Block(rule_block(look)),
    }


def _decision(canary: Canary, deliveries: Answer[tuple[Delivery, ...]] | None) -> Content:
    if canary.decision is None:
        if canary.is_running:
            return Message("No decision yet.", "PASS promotes and FAIL rolls back.")
        return Message(
            f"No action follows from {canary.state.upper()}.",
            "Neither promoting nor rolling back would be founded; a human decides.",
        )
    if isinstance(deliveries, Unavailable):
        return deliveries
    return Block(deliveries_block(canary, deliveries.value if deliveries else ()))


PAGE: Final = Page("canary", lambda route: f"Canary {route.name}", layout, PARTS, update)
