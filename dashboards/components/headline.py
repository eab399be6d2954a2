"""One sentence of state: is it quiet, how many plays start, what is rolling out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dash import html
from dash.development.base_component import Component

from dashboards.answers.analysis import Anomaly, Canary, Slo
from dashboards.answers.collector import Service
from dashboards.components.words import Piece, page_link, status_badge
from dashboards.health import service_status
from dashboards.playback import Starts
from dashboards.routes import canary_href
from dashboards.theme import Status
from dashboards.wording import clock_time, percent, plural, rate

#: A decided canary is still worth a clause for this long.
RECENT_CANARY_S: Final = 1_800.0


@dataclass(frozen=True, slots=True)
class Headline:
    """Status, what leads, what follows; ``canary`` names the one the last clause is about."""

    status: Status
    lead: str
    clauses: tuple[str, ...]
    canary: Canary | None = None
    canary_clause: str = ""

    @property
    def text(self) -> str:
        parts = [*self.clauses, *([self.canary_clause] if self.canary_clause else [])]
        return f"{self.lead} {'; '.join(parts)}." if parts else self.lead


def headline(
    services: Sequence[Service],
    starts: Starts | None,
    slos: Sequence[Slo],
    anomalies: Sequence[Anomaly],
    canaries: Sequence[Canary],
    now_unix_nano: int,
) -> Headline:
    """The worst thing leads; numbers and the newest canary follow."""
    status, lead = _lead(services, slos, anomalies, now_unix_nano)
    clauses = []
    if starts is not None and starts.rate_per_s is not None:
        success = percent(starts.success_ratio)
        clauses.append(
            f"{rate(starts.rate_per_s).replace('/s', ' plays/s')}, {success} start successfully"
        )
    elif services:
        total = sum(s.request_rate_per_s or 0.0 for s in services)
        clauses.append(f"{rate(total)} requests in {plural(len(services), 'service')}")
    canary = newest_canary(canaries, now_unix_nano)
    clause = canary_clause(canary) if canary else ""
    return Headline(status, lead, tuple(clauses), canary, clause)


def _lead(
    services: Sequence[Service],
    slos: Sequence[Slo],
    anomalies: Sequence[Anomaly],
    now_unix_nano: int,
) -> tuple[Status, str]:
    if not services:
        return Status.UNKNOWN, "No service has been heard in this window."
    burning = [slo.display_name for slo in slos if slo.state == "burning"]
    if burning:
        return Status.BAD, f"Error budget burning: {', '.join(burning)}."
    of = {s.name: service_status(s, now_unix_nano) for s in services}
    failing = sorted(name for name, status in of.items() if status is Status.BAD)
    if failing:
        return Status.BAD, f"Failing: {', '.join(failing)}."
    strange = sorted({a.service for a in anomalies if a.state == "anomalous"})
    if strange:
        return Status.WARN, f"Unusual: {', '.join(strange)}."
    watch = sorted(name for name, status in of.items() if status is Status.WARN)
    if watch:
        return Status.WARN, f"Errors above 1 %: {', '.join(watch)}."
    return Status.OK, "All quiet."


def newest_canary(canaries: Sequence[Canary], now_unix_nano: int) -> Canary | None:
    """A running canary, else one decided recently."""
    running = [c for c in canaries if c.is_running]
    recent = [c for c in canaries if now_unix_nano - decided_unix_nano(c) < RECENT_CANARY_S * 1e9]
    chosen = running or recent
    return max(chosen, key=lambda c: c.declared_unix_nano, default=None)


def decided_unix_nano(canary: Canary) -> int:
    """When the verdict fell, or the declaration while there is none."""
    return canary.verdict.unix_nano if canary.verdict else canary.declared_unix_nano


def canary_clause(canary: Canary) -> str:
    """``canary playback 2.4.0 under observation``."""
    name = f"canary {canary.service} {canary.canary.version}"
    if canary.is_running:
        return f"{name} {'under observation' if canary.state != 'declared' else 'declared'}"
    decision = canary.decision
    if decision is None:
        return f"{name} ended {canary.state}"
    done = {
        "rollback": ("rolled back", "is being rolled back"),
        "promotion": ("promoted", "is being promoted"),
    }.get(decision.action, (decision.action, decision.action))
    if decision.state in {"completed", "confirmed"}:
        at = decision.completed_unix_nano or decision.confirmed_unix_nano
        seen = ", confirmed by telemetry" if decision.state == "confirmed" else ""
        return f"{name} {done[0]} at {clock_time(at)} UTC{seen}"
    if decision.state in {"expired", "unconfirmed"}:
        return f"{name}: {decision.action} {decision.state}, look at it"
    return f"{name} {done[1]}"


def headline_block(head: Headline) -> Component:
    """The sentence, with the canary as a link."""
    words: list[Piece] = [html.Strong(head.lead), " ", "; ".join(head.clauses)]
    if head.canary is not None:
        words += [
            "; " if head.clauses else "",
            page_link(head.canary_clause, canary_href(head.canary.deployment_id)),
        ]
    if head.clauses or head.canary:
        words.append(".")
    word = {
        Status.OK: "quiet",
        Status.WARN: "watch",
        Status.BAD: "act now",
        Status.UNKNOWN: "no data",
    }
    return html.Div(
        [status_badge(word[head.status], head.status), html.P(words, className="headline-text")],
        className=f"headline status-edge-{head.status}",
    )
