"""Answers of the analysis API: canaries, decisions, deliveries, objectives, anomalies, events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dashboards.answers.looks import Look, read_look
from dashboards.answers.reading import Fields

#: States of a canary that still takes looks.
RUNNING_STATES = frozenset({"declared", "warming", "observing"})


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a comparison."""

    version: str
    digest: str
    instances: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What statistics found. ``final`` verdicts end the canary, others are holds."""

    kind: str
    reason: str
    summary: str
    unix_nano: int
    final: bool
    culprit_metric: str | None
    culprit_split: str | None


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of a decision's history."""

    unix_nano: int
    what: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What policy chose, and how far it got."""

    decision_id: str
    deployment_id: str
    environment: str
    service: str
    action: str
    sequence: int
    state: str
    summary: str
    created_unix_nano: int
    expires_unix_nano: int
    delivered_unix_nano: int | None
    acknowledged_unix_nano: int | None
    completed_unix_nano: int | None
    confirmed_unix_nano: int | None
    history: tuple[Happening, ...]


@dataclass(frozen=True, slots=True)
class Canary:
    """One canary; ``last_look`` only when it was asked for alone."""

    deployment_id: str
    environment: str
    service: str
    baseline: Arm
    canary: Arm
    started_unix_nano: int
    expires_unix_nano: int
    declared_unix_nano: int
    state: str
    reason: str
    summary: str
    looks: int
    verdict: Verdict | None
    decision: Decision | None
    last_look: Look | None

    @property
    def is_running(self) -> bool:
        return self.state in RUNNING_STATES


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver; ``status`` is the HTTP status, None when there was no answer."""

    unix_nano: int
    status: int | None
    error: str | None
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook on its way to one receiver."""

    webhook_id: str
    decision_id: str
    endpoint_id: str
    url: str
    state: str
    attempts: tuple[Attempt, ...]
    due_unix_nano: int | None
    expires_unix_nano: int


@dataclass(frozen=True, slots=True)
class BurnRate:
    """One pair of windows: 1 = spending the budget exactly as fast as the objective allows."""

    severity: str
    factor: float
    long_window_s: float
    short_window_s: float
    long_burn: float | None
    short_burn: float | None
    firing: bool


@dataclass(frozen=True, slots=True)
class CalendarPeriod:
    """The period of a calendar that a budget is of."""

    from_unix_nano: int
    to_unix_nano: int
    time_zone: str


@dataclass(frozen=True, slots=True)
class Slo:
    """One objective as of its last evaluation."""

    name: str
    service: str
    display_name: str
    objective_ratio: float
    window_s: float
    state: str
    good: float
    total: float
    error_ratio: float | None
    budget_remaining_ratio: float | None
    burn_rates: tuple[BurnRate, ...]
    evaluated_unix_nano: int
    summary: str
    projected_remaining_ratio: float | None = None
    calendar: CalendarPeriod | None = None
    slice_s: float | None = None  # with time slices, which good and total count then


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One watched share and how unusual it is."""

    name: str
    service: str
    attributes: Mapping[str, str]
    state: str
    since_unix_nano: int | None
    expected_ratio: float | None
    observed_ratio: float | None
    summary: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as a line of the rail."""

    unix_nano: int
    kind: str
    service: str
    deployment_id: str | None
    title: str
    detail: str


def canaries(body: Any) -> tuple[Canary, ...]:
    """/api/v1/canaries."""
    return Fields(body).objects("canaries", _canary)


def canary(body: Any) -> Canary:
    """/api/v1/canaries/{deployment_id}."""
    return _canary(Fields(body))


def _canary(item: Fields) -> Canary:
    return Canary(
        deployment_id=item.text("deployment_id"),
        environment=item.text("environment"),
        service=item.text("service"),
        baseline=_arm(item.inner("baseline")),
        canary=_arm(item.inner("canary")),
        started_unix_nano=item.integer("started_unix_nano"),
        expires_unix_nano=item.integer("expires_unix_nano"),
        declared_unix_nano=item.integer("declared_unix_nano"),
        state=item.text("state"),
        reason=item.text_or_none("reason") or "",
        summary=item.text_or_none("summary") or "",
        looks=item.integer("looks"),
        verdict=_verdict(item.inner("verdict")) if item.has("verdict") else None,
        decision=_decision(item.inner("decision")) if item.has("decision") else None,
        last_look=read_look(item.inner("last_look")) if item.has("last_look") else None,
    )


def _arm(item: Fields) -> Arm:
    return Arm(item.text("version"), item.text_or_none("digest") or "", item.texts("instances"))


def _verdict(item: Fields) -> Verdict:
    return Verdict(
        kind=item.text("kind"),
        reason=item.text("reason"),
        summary=item.text("summary"),
        unix_nano=item.integer("unix_nano"),
        final=item.boolean("final"),
        culprit_metric=item.text_or_none("culprit_metric"),
        culprit_split=item.text_or_none("culprit_split"),
    )


def _decision(item: Fields) -> Decision:
    return Decision(
        decision_id=item.text("decision_id"),
        deployment_id=item.text("deployment_id"),
        environment=item.text("environment"),
        service=item.text("service"),
        action=item.text("action"),
        sequence=item.integer("sequence"),
        state=item.text("state"),
        summary=item.inner("reason").text_or_none("summary") or "",
        created_unix_nano=item.integer("created_unix_nano"),
        expires_unix_nano=item.integer("expires_unix_nano"),
        delivered_unix_nano=item.integer_or_none("delivered_unix_nano"),
        acknowledged_unix_nano=item.integer_or_none("acknowledged_unix_nano"),
        completed_unix_nano=item.integer_or_none("completed_unix_nano"),
        confirmed_unix_nano=item.integer_or_none("confirmed_unix_nano"),
        history=item.objects(
            "history", lambda line: Happening(line.integer("unix_nano"), line.text("what"))
        ),
    )


def deliveries(body: Any) -> tuple[Delivery, ...]:
    """/api/v1/deliveries."""
    return Fields(body).objects("deliveries", _delivery)


def _delivery(item: Fields) -> Delivery:
    return Delivery(
        webhook_id=item.text("webhook_id"),
        decision_id=item.text("decision_id"),
        endpoint_id=item.text("endpoint_id"),
        url=item.text("url"),
        state=item.text("state"),
        attempts=item.objects("attempts", _attempt),
        due_unix_nano=item.integer_or_none("due_unix_nano"),
        expires_unix_nano=item.integer("expires_unix_nano"),
    )


def _attempt(item: Fields) -> Attempt:
    return Attempt(
        unix_nano=item.integer("unix_nano"),
        status=item.integer_or_none("status"),
        error=item.text_or_none("error"),
        duration_s=item.number_or_none("duration_s"),
    )


def slos(body: Any) -> tuple[Slo, ...]:
    """/api/v1/slos."""
    return Fields(body).objects("slos", _slo)


def _slo(item: Fields) -> Slo:
    return Slo(
        name=item.text("name"),
        service=item.text("service"),
        display_name=item.text("display_name"),
        objective_ratio=item.number("objective_ratio"),
        window_s=item.number("window_s"),
        state=item.text("state"),
        good=item.number("good"),
        total=item.number("total"),
        error_ratio=item.number_or_none("error_ratio"),
        budget_remaining_ratio=item.number_or_none("budget_remaining_ratio"),
        burn_rates=item.objects("burn_rates", _burn_rate),
        evaluated_unix_nano=item.integer("evaluated_unix_nano"),
        summary=item.text("summary"),
        projected_remaining_ratio=item.number_or_none("budget_projected_remaining_ratio"),
        slice_s=item.inner("slices").number("slice_s") if item.has("slices") else None,
        calendar=_calendar(item.inner("period")) if item.has("period") else None,
    )


def _calendar(item: Fields) -> CalendarPeriod | None:
    zone = item.text_or_none("time_zone")
    if zone is None:
        return None
    return CalendarPeriod(item.integer("from_unix_nano"), item.integer("to_unix_nano"), zone)


def _burn_rate(item: Fields) -> BurnRate:
    return BurnRate(
        severity=item.text("severity"),
        factor=item.number("factor"),
        long_window_s=item.number("long_window_s"),
        short_window_s=item.number("short_window_s"),
        long_burn=item.number_or_none("long_burn"),
        short_burn=item.number_or_none("short_burn"),
        firing=item.boolean("firing"),
    )


def anomalies(body: Any) -> tuple[Anomaly, ...]:
    """/api/v1/anomalies."""
    return Fields(body).objects("anomalies", _anomaly)


def _anomaly(item: Fields) -> Anomaly:
    return Anomaly(
        name=item.text("name"),
        service=item.text("service"),
        attributes=item.text_map("attributes"),
        state=item.text("state"),
        since_unix_nano=item.integer_or_none("since_unix_nano"),
        expected_ratio=item.number_or_none("expected_ratio"),
        observed_ratio=item.number_or_none("observed_ratio"),
        summary=item.text("summary"),
    )


def events(body: Any) -> tuple[Event, ...]:
    """/api/v1/events, newest first."""
    return Fields(body).objects("events", _event)


def _event(item: Fields) -> Event:
    return Event(
        unix_nano=item.integer("unix_nano"),
        kind=item.text("kind"),
        service=item.text_or_none("service") or "",
        deployment_id=item.text_or_none("deployment_id"),
        title=item.text("title"),
        detail=item.text_or_none("detail") or "",
    )
