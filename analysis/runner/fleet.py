"""Objectives and anomalies of the whole fleet: one question per metric, asked every few seconds.

At start the past is read back from the collector, the recent one finely, so a restart neither
forgets an incident nor what was spent, nor announces it a second time. An anomaly or a burning
budget is told and shown; it never rolls anything back, because it knows no release to blame.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analysis.alerts.book import AlertBook, News, burning, held_by_policies, read_alert
from analysis.alerts.silences import Silence
from analysis.anomaly.signals import Signal, SignalsConfig
from analysis.anomaly.watch import AnomalyEdge, AnomalyState, AnomalyWatch
from analysis.decisions.ledger import Ledger
from analysis.decisions.override_store import Override
from analysis.decisions.records import Declaration, SloPoint
from analysis.reading.answers import SeriesAnswer
from analysis.reading.client import CollectorClient
from analysis.reading.errors import ReadingError
from analysis.reading.fleet_counts import failures, failures_by_split, steps_of
from analysis.reading.steps import SECOND_NS, fleet_closed_until
from analysis.runner.alertmanager import AlertmanagerClient
from analysis.runner.config import RunnerConfig
from analysis.runner.feedback import Feedback
from analysis.runner.older_past import OlderPast, coarse_step_s
from analysis.runner.recoveries import Recoveries
from analysis.slo.budget_policy import (
    PolicyAction,
    PolicyBook,
    PolicyStep,
    StepState,
    Watched,
)
from analysis.slo.composites import composite_statuses, composites_of
from analysis.slo.correction_book import KeptSpans, ScopedCorrection
from analysis.slo.objectives import Objective
from analysis.slo.openslo.time_windows import Period
from analysis.slo.tracker import SloStatus, SloTracker
from telemetry.clock import Clock

logger = logging.getLogger("analysis.fleet")

#: Steps per question while reading back the past.
MAX_STEPS: Final = 1_000


@dataclass(slots=True)
class _Question:
    """One metric, every attribute anybody here needs of it, and how far it was taken."""

    metric: str
    group_by: tuple[str, ...]
    taken_until_unix_nano: int


class Fleet:
    """All objectives and all watched series. ``tick()`` is called by one task."""

    def __init__(
        self,
        client: CollectorClient,
        ledger: Ledger,
        feedback: Feedback,
        clock: Clock,
        config: RunnerConfig,
        *,
        objectives: Sequence[Objective],
        policies: Sequence[PolicyStep],
        signals: SignalsConfig,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._feedback = feedback
        self._clock = clock
        self._config = config
        self._step_ns = config.fleet_step_s * SECOND_NS
        self._signals = signals.signals
        self._watch = AnomalyWatch(signals, float(config.fleet_step_s))
        self._objectives = tuple(objectives)
        self._composites = composites_of(self._objectives)
        self._trackers: list[SloTracker] = []
        self._anomalous: set[str] = set()
        self._questions: list[_Question] = []
        self._older = OlderPast(client, (), config.fleet_step_s, 0)
        self._point_due_unix_nano = 0
        self._spans = KeptSpans()
        url = config.alertmanager_url
        self._alertmanager = AlertmanagerClient(url) if url else None
        self._telling: asyncio.Future[bool] | None = None
        self._alerts = AlertBook()
        self._steps = tuple(policies)
        self._policies = PolicyBook(())
        self._policy_states: tuple[StepState, ...] = ()
        self._frozen: frozenset[str] = frozenset()
        self._recoveries = Recoveries(ledger)
        self.is_caught_up = False

    async def start(self) -> None:
        """Know what was on before this process; raises LedgerUnavailableError."""
        definitions = {one.name: one.definition() for one in self._objectives}
        await asyncio.to_thread(self._ledger.definitions.note, definitions)
        slos = await asyncio.to_thread(self._ledger.statuses, "slo")
        anomalies = await asyncio.to_thread(self._ledger.statuses, "anomaly")
        kept = await asyncio.to_thread(self._ledger.statuses, "alert")
        self._alerts = AlertBook(read_alert(one) for one in kept)
        known = await asyncio.to_thread(self._ledger.statuses, "policy")
        self._policies = PolicyBook(self._steps, known)
        firing = {status["name"]: _firing(status) for status in slos}
        self._frozen = frozenset(s["name"] for s in slos if s.get("alerts_frozen", False))
        self._anomalous = {one["name"] for one in anomalies if one["state"] == "anomalous"}
        self._trackers = [
            SloTracker(
                objective,
                self._config.fleet_step_s,
                self._config.fleet_stale_s,
                firing.get(objective.name, frozenset()),
            )
            for objective in self._objectives
        ]
        now = self._clock.wall_unix_nano()
        coarse_s = coarse_step_s(self._objectives, self._config.fleet_step_s)
        coarse_ns = coarse_s * SECOND_NS
        since = (now - self._config.fleet_backfill_s * SECOND_NS) // coarse_ns * coarse_ns
        self._older = OlderPast(self._client, self._trackers, coarse_s, since)
        self._questions = [
            _Question(metric, keys, since)
            for metric, keys in _attributes(self._objectives, self._signals).items()
        ]

    def take_back(self, canary: Declaration) -> str | None:
        """Why a policy takes the canary back; only one that began to hold after the canary did."""
        for one in self._policy_states:
            is_later = (one.since_unix_nano or 0) >= canary.started_unix_nano
            if (
                one.service == canary.service
                and PolicyAction.ROLL_BACK in one.in_force
                and is_later
            ):
                return f"{one.step.full_name} for {one.objective}: {one.text}."
        return None

    async def tick(self) -> None:
        """Take what is new and publish how everything stands; a failed reading is no data."""
        now = self._clock.wall_unix_nano()
        edges: list[AnomalyEdge] = []
        try:
            await self._older.read()
            reached = [await self._advance(question, now, edges) for question in self._questions]
            is_caught_up = all(reached)
        except ReadingError as error:
            logger.info("the fleet is not read: %s", error)
            is_caught_up = self.is_caught_up
        if not is_caught_up:
            return  # the past is being read back; its edges are history
        if not self.is_caught_up:
            self.is_caught_up = True
            edges = self._differences()
        await self._publish(now, edges)

    async def _advance(self, question: _Question, now: int, edges: list[AnomalyEdge]) -> bool:
        """Take the closed steps of one metric; whether that reached the present."""
        start = question.taken_until_unix_nano
        to = min(now, start + MAX_STEPS * self._step_ns)
        answer = await self._client.increase(
            question.metric,
            from_unix_nano=start,
            to_unix_nano=max(to, start + 1),
            step_ns=self._step_ns,
            matches=(),
            group_by=question.group_by,
            is_since_last=True,
        )
        until = fleet_closed_until(
            start,
            self._step_ns,
            newest_unix_nano=answer.newest_start_unix_nano,
            now_unix_nano=now,
            upto_unix_nano=to,
            patience_s=self._config.fleet_stale_s,
        )
        for step in steps_of(answer, until):
            self._take(question.metric, answer, step, edges)
        question.taken_until_unix_nano = until
        return to >= now

    def _take(
        self, metric: str, answer: SeriesAnswer, start: int, edges: list[AnomalyEdge]
    ) -> None:
        for tracker in self._trackers:
            objective = tracker.objective
            if objective.total.metric != metric:
                continue
            found = failures(answer, start, objective.total.attribute, objective.outcome)
            if found is not None:
                bad, total = found
                tracker.take(start // SECOND_NS, total - bad, bad)
        for signal in self._signals:
            if signal.metric != metric:
                continue
            counts = failures_by_split(
                answer,
                start,
                outcome_attribute=signal.outcome_attribute,
                split_by=signal.split_by,
                outcome=signal.outcome,
            )
            edges += self._watch.step(signal, start + self._step_ns, counts)

    def _differences(self) -> list[AnomalyEdge]:
        """After reading back: what is anomalous now and was not known to be, and the reverse."""
        edges = []
        for one in self._watch.series:
            is_anomalous = one.state is AnomalyState.ANOMALOUS
            if is_anomalous != (one.name in self._anomalous):
                edges.append(AnomalyEdge(one.name, one.service, is_anomalous, one.summary()))
        return edges

    # --- publishing -------------------------------------------------------------------------

    async def _publish(self, now: int, edges: Sequence[AnomalyEdge]) -> None:
        corrections, silences, overrides = await asyncio.to_thread(self._said_by_people, now)
        spans = [self._excluded(one.objective, now, corrections) for one in self._trackers]
        slos = [
            tracker.evaluate(now, excluded)
            for tracker, excluded in zip(self._trackers, spans, strict=True)
        ]
        slos += composite_statuses(self._composites, slos)
        self._feedback.fleet(slos, self._watch.series)
        with_points = now >= self._point_due_unix_nano
        if with_points:
            self._point_due_unix_nano = now + round(self._config.slo_history_interval_s * SECOND_NS)
        self._policy_states = self._policies.take(
            [
                Watched(one.objective.name, one.objective.service, one.view(excluded))
                for one, excluded in zip(self._trackers, spans, strict=True)
            ],
            lambda step, objective: _overriding(overrides, step, objective),
            now,
        )
        firing = burning(slos) + held_by_policies(slos, self._policy_states)
        calm = {one.objective.name: one.summary for one in slos}
        news = self._alerts.take(firing, silences, now, calm)
        await asyncio.to_thread(self._store, slos, news, edges, with_points=with_points)
        views = [one.view() for one in self._trackers]
        await asyncio.to_thread(self._recoveries.look, views, now)
        if self._alertmanager is not None and (self._telling is None or self._telling.done()):
            # Not awaited: a receiver that hangs must not slow the looks.
            self._telling = asyncio.ensure_future(self._alertmanager.tell(self._alerts.alerts, now))

    def _said_by_people(
        self, now: int
    ) -> tuple[Sequence[ScopedCorrection], Sequence[Silence], Sequence[Override]]:
        """Blocking."""
        return (
            self._ledger.corrections.in_force(now),
            self._ledger.silences.not_over(now),
            self._ledger.overrides.in_force(now),
        )

    def _excluded(
        self, objective: Objective, now: int, corrections: Sequence[ScopedCorrection]
    ) -> tuple[Period, ...]:
        bearing = objective.bearing(now // SECOND_NS + 1)
        start = bearing.start_unix_s - self._config.fleet_step_s
        period = Period(start, bearing.end_unix_s)
        return self._spans.of(objective.name, period, corrections)

    def _store(
        self,
        slos: Sequence[SloStatus],
        news: Sequence[News],
        edges: Sequence[AnomalyEdge],
        *,
        with_points: bool,
    ) -> None:
        """Blocking; events first, so that a status never shows what the timeline does not know."""
        for one in news:
            alert = one.alert
            self._ledger.record_event(
                f"slo_{alert.labels['severity']}",
                alert.labels["service"],
                one.title,
                detail=alert.summary,
                about={
                    "labels": alert.labels,
                    "is_firing": alert.is_firing,
                    "is_told": alert.is_told,
                },
            )
        for status in freeze_changes(self._frozen, slos):
            title = f"the alerts of {status.objective.display_name!r} "
            title += "freeze: no data" if status.is_frozen else "follow the data again"
            service = status.objective.service
            self._ledger.record_event("slo_freeze", service, title, detail=status.summary)
        self._frozen = frozenset(s.objective.name for s in slos if s.is_frozen)
        for anomaly in edges:
            word = "Unusual" if anomaly.is_anomalous else "Back to normal"
            title = f"{word}: {anomaly.name}"
            about = {"series": anomaly.name, "is_anomalous": anomaly.is_anomalous}
            self._ledger.record_event(
                "anomaly", anomaly.service, title, detail=anomaly.text, about=about
            )
        self._ledger.put_statuses("slo", {s.objective.name: s.to_json() for s in slos}, only=True)
        states = {f"{s.step.full_name} {s.objective}": s.to_json() for s in self._policy_states}
        self._ledger.put_statuses("policy", states, only=True)
        alerts = {one.fingerprint: one.to_json() for one in self._alerts.alerts}
        self._ledger.put_statuses("alert", alerts, only=True)
        anomalies = {one.name: one.to_json() for one in self._watch.series}
        self._ledger.put_statuses("anomaly", anomalies, only=True)
        if with_points:
            for status in slos:
                self._ledger.record_slo_point(status.objective.name, _point(status))


def _overriding(overrides: Sequence[Override], step: PolicyStep, objective: str) -> str | None:
    found = [one for one in overrides if one.is_about(step.full_name, objective)]
    return f"{found[0].author}: {found[0].reason}" if found else None


def freeze_changes(frozen: frozenset[str], slos: Sequence[SloStatus]) -> list[SloStatus]:
    """Objectives whose alerts stopped following, because nobody reports, or do so again."""
    return [status for status in slos if status.is_frozen != (status.objective.name in frozen)]


def _attributes(
    objectives: Sequence[Objective], signals: Sequence[Signal]
) -> dict[str, tuple[str, ...]]:
    """Metric -> every attribute asked of it."""
    wanted: dict[str, list[str]] = {}
    for objective in objectives:
        wanted.setdefault(objective.total.metric, []).append(objective.total.attribute)
    for signal in signals:
        wanted.setdefault(signal.metric, []).extend([signal.outcome_attribute, signal.split_by])
    return {metric: tuple(dict.fromkeys(keys)) for metric, keys in wanted.items()}


def _firing(status: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(burn["severity"] for burn in status["burn_rates"] if burn["firing"])


def _point(status: SloStatus) -> SloPoint:
    """The first window pair is the one drawn."""
    burn = status.burns[0] if status.burns else None
    return SloPoint(
        unix_nano=status.evaluated_unix_nano,
        error_ratio=status.budget.error_ratio,
        budget_remaining_ratio=status.budget.remaining_ratio,
        burn_rate_short=None if burn is None else burn.short_burn,
        burn_rate_long=None if burn is None else burn.long_burn,
    )
