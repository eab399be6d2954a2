"""Blocks of the canary report: verdict, story, metrics, traffic, deliveries, rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dash import html
from dash.development.base_component import Component

from dashboards.answers.analysis import Attempt, Canary, Delivery
from dashboards.answers.looks import Look, MetricLook
from dashboards.components.instances import small_table
from dashboards.components.words import (
    Piece,
    aria,
    canary_badge,
    page_link,
    status_badge,
    version_label,
)
from dashboards.figures.interval import effect_words
from dashboards.metric_words import arm_words, metric_words, state_words
from dashboards.routes import service_href, with_param
from dashboards.story import Step
from dashboards.theme import Status
from dashboards.wording import UNKNOWN, clock_time, date_time, duration, percent

#: What each outcome means, for a reader who sees one for the first time.
_MEANING: Final[Mapping[str, str]] = {
    "declared": "The canary is known; the judge has not looked yet.",
    "warming": "Too few requests so far to say anything.",
    "observing": "No verdict yet: neither harm nor safety is shown beyond doubt.",
    "passed": "Shown not to be worse than the margins allow.",
    "failed": "Shown beyond doubt to be worse.",
    "inconclusive": "Undecided: there is no ground to promote or to roll back.",
    "invalid": "Not comparable: the numbers of the two arms do not answer the question.",
}


def verdict_block(canary: Canary) -> Component:
    """The verdict first, in a sentence, with what it means."""
    hold = canary.verdict is not None and not canary.verdict.final
    badges = [canary_badge(canary.state)]
    if hold and canary.verdict is not None:
        badges.append(status_badge(f"on hold: {canary.verdict.kind}", Status.UNKNOWN, shape="?"))
    return html.Div(
        [
            html.Div(badges, className="verdict-badges"),
            *_sentence(canary.summary or _MEANING.get(canary.state, "")),
            html.P(
                [
                    _MEANING.get(canary.state, ""),
                    f" Reason: {canary.reason.replace('_', ' ')}." if canary.reason else "",
                ],
                className="verdict-meaning",
            ),
            html.P(_arms(canary), className="verdict-arms"),
        ],
        className=f"verdict-block verdict-block-{canary.state}",
    )


def _sentence(summary: str) -> list[Component]:
    """What was found, then the numbers; several findings as a list."""
    lead, _, rest = summary.partition(": ")
    if not rest:
        return [html.P(summary, className="verdict-sentence")]
    found = rest.split("; ")
    if len(found) == 1:
        words: list[Piece] = [html.Span(f"{lead}: ", className="verdict-lead"), rest]
        return [html.P(words, className="verdict-sentence")]
    return [
        html.P(html.Span(f"{lead}:", className="verdict-lead"), className="verdict-sentence"),
        html.Ul([html.Li(item) for item in found], className="verdict-details"),
    ]


def _arms(canary: Canary) -> list[Piece]:
    return [
        page_link(canary.service, service_href(canary.service)),
        f" in {canary.environment}: baseline ",
        version_label(canary.baseline.version, "baseline"),
        f" ({len(canary.baseline.instances)} inst.), canary ",
        version_label(canary.canary.version, "canary"),
        f" ({len(canary.canary.instances)} inst.). ",
        f"Declared {date_time(canary.declared_unix_nano)}.",
    ]


def story_block(steps: Sequence[Step]) -> Component:
    """The steps in a row, with the seconds between."""
    return html.Ol([_step(s) for s in steps], className="story")


def _step(step: Step) -> Component:
    done = step.unix_nano is not None
    since = gap_words(step.since_s) if step.since_s is not None else ""
    return html.Li(
        [
            html.Span(since, className="story-gap"),
            html.Span("●" if done else "○", className="story-dot", **aria(hidden="true")),
            html.Span(step.name, className="story-name"),
            html.Span(clock_time(step.unix_nano) if done else "not yet", className="story-time"),
        ],
        className="story-step done" if done else "story-step",
        title=date_time(step.unix_nano) if done else None,
    )


def gap_words(seconds: float) -> str:
    """``+40 ms``, ``+8.1 s``; two clocks may disagree, which shows as ``−7 ms``."""
    rounded = round(seconds, 3 if abs(seconds) < 1 else 1)
    return duration(rounded) if rounded < 0 else f"+{duration(rounded)}"


def metrics_table(look: Look, chosen: str, search: str) -> Component:
    """Every metric and split: state, both arms, effect. Names choose what is drawn over time."""
    rows = [_metric_row(m, m.key == chosen, search) for m in look.metrics]
    head = ("metric", "state", "baseline", "canary", "effect (always-valid interval)")
    table = html.Table(
        [
            html.Thead(html.Tr([html.Th(text, scope="col") for text in head])),
            html.Tbody(rows),
        ],
        className="small-table metrics",
    )
    return html.Div(
        table, className="scrolls", tabIndex="0", role="region", **aria(label="Metrics")
    )


def _metric_row(metric: MetricLook, is_chosen: bool, search: str) -> Component:
    word, status = state_words(metric.state)
    link = page_link(metric_words(metric), with_param(search, "metric", metric.key))
    name = [link]
    if metric.critical:
        name.append(html.Span(" critical", className="muted", title="must be shown safe for PASS"))
    if metric.one_answer is not None:
        once = metric.one_answer
        name.append(html.Span(f" {once.mode}", className="muted", title=once.reason))
    return html.Tr(
        [
            html.Th(name, scope="row", className="split" if metric.split else ""),
            html.Td(status_badge(word, status)),
            html.Td(arm_words(metric, metric.baseline)),
            html.Td(arm_words(metric, metric.canary)),
            html.Td(effect_words(metric.effect)),
        ],
        className="chosen" if is_chosen else "",
        **aria(current="true") if is_chosen else {},
    )


def traffic_block(look: Look) -> Component:
    """How much of the traffic each arm got, and whether that is what was declared."""
    t = look.traffic
    share = t.canary_share_ratio
    declared = t.declared_canary_share_ratio
    text = (
        f"Declared {percent(declared)}, checked."
        if declared is not None
        else "No share was declared, so it is reported and not checked."
    )
    width = 0.0 if share is None else share
    return html.Div(
        [
            html.Div(
                [
                    html.Div(
                        className="split-baseline", style={"width": f"{100 * (1 - width):.2f}%"}
                    ),
                    html.Div(className="split-canary", style={"width": f"{100 * width:.2f}%"}),
                ],
                className="split-bar",
                role="img",
                **aria(label=f"the canary has {percent(share)} of the traffic"),
            ),
            html.P(
                [
                    html.Span("baseline", className="arm arm-baseline"),
                    f" {t.baseline_requests:,.0f} · ",
                    html.Span("canary", className="arm arm-canary"),
                    f" {t.canary_requests:,.0f} ({percent(share)} of both). {text}",
                ]
            ),
        ]
    )


def deliveries_block(canary: Canary, deliveries: Sequence[Delivery]) -> Component:
    """The decision and each webhook's attempts, with what the receiver said."""
    decision = canary.decision
    assert decision is not None
    return html.Div(
        [
            html.P(
                [
                    html.B(f"{decision.action} "),
                    status_badge(decision.state, _decision_status(decision.state)),
                    f" decided {clock_time(decision.created_unix_nano)} UTC, ",
                    f"expires {clock_time(decision.expires_unix_nano)}. ",
                    html.Code(decision.decision_id, className="id"),
                ]
            ),
            *[_delivery(d) for d in deliveries],
        ],
        className="deliveries",
    )


def _decision_status(state: str) -> Status:
    if state in {"completed", "confirmed", "acknowledged"}:
        return Status.OK
    return Status.BAD if state in {"expired", "unconfirmed"} else Status.WARN


def _delivery(delivery: Delivery) -> Component:
    status = {"delivered": Status.OK, "dead": Status.BAD}.get(delivery.state, Status.WARN)
    rows = [_attempt(i, a) for i, a in enumerate(delivery.attempts, start=1)]
    return html.Div(
        [
            html.P(
                [
                    status_badge(delivery.state, status),
                    f" to {delivery.endpoint_id} at {delivery.url}. Webhook ",
                    html.Code(delivery.webhook_id, className="id"),
                ]
            ),
            small_table(("attempt", "at", "answer", "took"), rows)
            if rows
            else html.P("No attempt yet."),
        ]
    )


def _attempt(number: int, attempt: Attempt) -> list[Piece]:
    ok = attempt.status is not None and 200 <= attempt.status < 300
    text = f"HTTP {attempt.status}" if attempt.status is not None else (attempt.error or UNKNOWN)
    return [
        str(number),
        clock_time(attempt.unix_nano),
        status_badge(text, Status.OK if ok else Status.BAD),
        duration(attempt.duration_s),
    ]


def rule_block(look: Look) -> Component:
    """What makes the verdict repeatable: same blocks, rule and code give the same bytes."""
    return html.Dl(
        [
            html.Div([html.Dt(term), html.Dd(html.Code(value, className="id"))])
            for term, value in (
                ("rule", look.rule_digest),
                ("inputs", look.inputs_digest),
                ("code", look.code_version),
                ("look", f"{look.index} at {date_time(look.unix_nano)}"),
            )
        ],
        className="digests",
    )
