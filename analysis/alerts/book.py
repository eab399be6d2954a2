"""Alerts as they stand, and what is new about them: begun, ended, heard again after a silence.

Missing data neither begins nor ends an alert (the tracker sees to that). One that is silenced is
kept here and told to nobody; if it still fires when its silence is over, it is told then. Ended
ones are kept for ``RESOLVED_FOR_S``, so that whoever was not reached hears of the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from analysis.alerts.labels import fingerprint
from analysis.alerts.silences import Silence, silenced_by
from analysis.slo.budget_policy import PolicyAction, StepState
from analysis.slo.tracker import SloStatus

RESOLVED_FOR_S: Final = 300
BURN_RATE: Final = "SloBurnRate"
BUDGET_POLICY: Final = "ErrorBudgetPolicy"
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Alert:
    """An objective that burns, or a step of a policy that holds, or did until lately."""

    labels: Mapping[str, str]
    #: Of the objective.
    display_name: str
    summary: str
    started_unix_nano: int
    updated_unix_nano: int
    ended_unix_nano: int | None
    silenced_by: tuple[str, ...]
    #: Whether people were told that it began, so that they must be told that it ended.
    is_told: bool

    @property
    def fingerprint(self) -> str:
        """Its identity."""
        return fingerprint(self.labels)

    @property
    def is_firing(self) -> bool:
        """Whether it has not ended."""
        return self.ended_unix_nano is None

    def to_json(self) -> dict[str, Any]:
        """As it is kept; ``read_alert`` reads it back."""
        return {
            "labels": dict(self.labels),
            "display_name": self.display_name,
            "summary": self.summary,
            "started_unix_nano": self.started_unix_nano,
            "updated_unix_nano": self.updated_unix_nano,
            "ended_unix_nano": self.ended_unix_nano,
            "silenced_by": list(self.silenced_by),
            "is_told": self.is_told,
        }


def read_alert(found: Mapping[str, Any]) -> Alert:
    """The inverse of ``Alert.to_json``."""
    return Alert(**{**found, "silenced_by": tuple(found["silenced_by"])})


@dataclass(frozen=True, slots=True)
class Firing:
    """What fires at one look."""

    labels: Mapping[str, str]
    display_name: str
    summary: str


def burning(slos: Iterable[SloStatus]) -> list[Firing]:
    """One for each objective and severity that burns."""
    return [
        Firing(_labels(BURN_RATE, one, severity), one.objective.display_name, one.summary)
        for one in slos
        for severity in sorted(one.firing)
    ]


def held_by_policies(slos: Sequence[SloStatus], states: Iterable[StepState]) -> list[Firing]:
    """One for each step of a policy that holds and tells people."""
    by_name = {one.objective.name: one for one in slos}
    return [
        Firing(
            {
                **_labels(BUDGET_POLICY, by_name[one.objective], one.step.severity),
                "policy": one.step.full_name,
            },
            by_name[one.objective].objective.display_name,
            one.text,
        )
        for one in states
        if PolicyAction.NOTIFY in one.in_force
    ]


def _labels(alert_name: str, status: SloStatus, severity: str) -> dict[str, str]:
    objective = status.objective
    return {
        "alertname": alert_name,
        "slo": objective.name,
        "service": objective.service,
        "severity": severity,
    }


class NewsKind(StrEnum):
    """What happened to an alert."""

    BEGAN = "began"
    HEARD = "heard"  # still fires, and its silence is over
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class News:
    """``alert.is_told``: whether people hear of it."""

    kind: NewsKind
    alert: Alert

    @property
    def title(self) -> str:
        """One line for the timeline."""
        labels = self.alert.labels
        if "policy" in labels:
            subject, verb = (
                f"the policy {labels['policy']} for {self.alert.display_name!r}",
                "holds",
            )
        else:
            subject, verb = f"the budget of {self.alert.display_name!r}", "burns"
        words = {
            NewsKind.BEGAN: verb if self.alert.is_told else f"{verb}, and is silenced",
            NewsKind.HEARD: f"still {verb}, and is silenced no more",
            NewsKind.ENDED: f"no longer {verb}",
        }
        return f"{labels['severity']}: {subject} {words[self.kind]}"


class AlertBook:
    """Not thread-safe. ``known``: what an earlier process left."""

    def __init__(self, known: Iterable[Alert] = ()) -> None:
        self._alerts = {one.fingerprint: one for one in known}

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """All that fire or ended lately, the oldest first."""
        return tuple(sorted(self._alerts.values(), key=lambda one: one.started_unix_nano))

    def take(
        self,
        firing: Iterable[Firing],
        silences: Sequence[Silence],
        now_unix_nano: int,
        calm: Mapping[str, str],
    ) -> list[News]:
        """Note what fires; all else has ended. ``calm``: objective -> what there is to say then."""
        old = now_unix_nano - RESOLVED_FOR_S * _SECOND_NS
        self._alerts = {
            key: one
            for key, one in self._alerts.items()
            if one.ended_unix_nano is None or one.ended_unix_nano >= old
        }
        news: list[News] = []
        on = set()
        for found in firing:
            key = fingerprint(found.labels)
            on.add(key)
            held_by = silenced_by(silences, found.labels, now_unix_nano)
            news += self._burns(key, found, held_by, now_unix_nano)
        for key, one in list(self._alerts.items()):
            if one.is_firing and key not in on:
                ended = replace(
                    one,
                    summary=calm.get(one.labels["slo"], "The objective is watched no more."),
                    updated_unix_nano=now_unix_nano,
                    ended_unix_nano=now_unix_nano,
                )
                self._alerts[key] = ended
                news.append(News(NewsKind.ENDED, ended))
        return news

    def _burns(self, key: str, found: Firing, held_by: tuple[str, ...], now: int) -> list[News]:
        known = self._alerts.get(key)
        if known is None or not known.is_firing:
            began = Alert(
                found.labels,
                found.display_name,
                found.summary,
                started_unix_nano=now,
                updated_unix_nano=now,
                ended_unix_nano=None,
                silenced_by=held_by,
                is_told=not held_by,
            )
            self._alerts[key] = began
            return [News(NewsKind.BEGAN, began)]
        is_heard = not known.is_told and not held_by
        self._alerts[key] = replace(
            known,
            summary=found.summary,
            updated_unix_nano=now,
            silenced_by=held_by,
            is_told=known.is_told or is_heard,
        )
        return [News(NewsKind.HEARD, self._alerts[key])] if is_heard else []
