"""What the ledger keeps, as frozen values, with their JSON forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.decisions.states import (
    TERMINAL_CANARY_STATES,
    Action,
    CanaryState,
    DecisionState,
    DeliveryState,
)


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of the comparison: a release and the instances that run it."""

    version: str
    digest: str
    instances: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "digest": self.digest,
            "instances": list(self.instances),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Arm:
        return cls(str(raw["version"]), str(raw["digest"]), tuple(map(str, raw["instances"])))


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a deployer says about a canary before it gets traffic."""

    deployment_id: str
    environment: str
    service: str
    baseline: Arm
    canary: Arm
    started_unix_nano: int
    expires_unix_nano: int

    @property
    def lane(self) -> str:
        """Decisions of one lane are ordered: ``<environment>/<service>``."""
        return f"{self.environment}/{self.service}"

    def to_json(self) -> dict[str, Any]:
        return {
            "deployment_id": self.deployment_id,
            "environment": self.environment,
            "service": self.service,
            "baseline": self.baseline.to_json(),
            "canary": self.canary.to_json(),
            "started_unix_nano": self.started_unix_nano,
            "expires_unix_nano": self.expires_unix_nano,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Declaration:
        return cls(
            deployment_id=str(raw["deployment_id"]),
            environment=str(raw["environment"]),
            service=str(raw["service"]),
            baseline=Arm.from_json(raw["baseline"]),
            canary=Arm.from_json(raw["canary"]),
            started_unix_nano=int(raw["started_unix_nano"]),
            expires_unix_nano=int(raw["expires_unix_nano"]),
        )


@dataclass(frozen=True, slots=True)
class DecisionDraft:
    """What policy chose; the ledger adds id, sequence, times and digests."""

    action: Action
    #: ``act``: a command goes to the receiver. ``advise``: people are told, nobody is commanded.
    mode: str
    verdict: str
    summary: str
    culprit_metric: str | None
    culprit_split: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """A committed decision and what became of it. Times are ``None`` until they happen."""

    decision_id: str
    deployment_id: str
    environment: str
    service: str
    action: Action
    mode: str
    sequence: int
    state: DecisionState
    verdict: str
    summary: str
    culprit_metric: str | None
    culprit_split: str | None
    evidence_sha256: str
    rule_sha256: str
    supersedes: str | None
    created_unix_nano: int
    expires_unix_nano: int
    delivered_unix_nano: int | None
    acknowledged_unix_nano: int | None
    completed_unix_nano: int | None
    confirmed_unix_nano: int | None
    #: (unix_nano, what), oldest first.
    history: tuple[tuple[int, str], ...]

    @property
    def lane(self) -> str:
        """Decisions of one lane are ordered: ``<environment>/<service>``."""
        return f"{self.environment}/{self.service}"

    def to_json(self) -> dict[str, Any]:
        return {
            "decision_id": self.decision_id,
            "deployment_id": self.deployment_id,
            "environment": self.environment,
            "service": self.service,
            "action": str(self.action),
            "mode": self.mode,
            "sequence": self.sequence,
            "state": str(self.state),
            "reason": {
                "verdict": self.verdict,
                "summary": self.summary,
                "culprit_metric": self.culprit_metric,
                "culprit_split": self.culprit_split,
            },
            "evidence_sha256": self.evidence_sha256,
            "rule_sha256": self.rule_sha256,
            "supersedes": self.supersedes,
            "created_unix_nano": self.created_unix_nano,
            "expires_unix_nano": self.expires_unix_nano,
            "delivered_unix_nano": self.delivered_unix_nano,
            "acknowledged_unix_nano": self.acknowledged_unix_nano,
            "completed_unix_nano": self.completed_unix_nano,
            "confirmed_unix_nano": self.confirmed_unix_nano,
            "history": [{"unix_nano": at, "what": what} for at, what in self.history],
        }


@dataclass(frozen=True, slots=True)
class CanaryRecord:
    """A declared canary and where it stands."""

    declaration: Declaration
    declared_unix_nano: int
    state: CanaryState
    reason: str
    summary: str
    looks: int
    #: ``Verdict.to_json()`` of the newest look that had one; holds have ``final: false``.
    verdict: Mapping[str, Any] | None
    #: The rule it is judged by, fixed when judging starts; "" before.
    config_text: str
    rule_digest: str
    decision: Decision | None

    @property
    def deployment_id(self) -> str:
        """Its name."""
        return self.declaration.deployment_id

    @property
    def is_over(self) -> bool:
        """Whether its state is final."""
        return self.state in TERMINAL_CANARY_STATES

    def to_json(self) -> dict[str, Any]:
        return {
            **self.declaration.to_json(),
            "declared_unix_nano": self.declared_unix_nano,
            "state": str(self.state),
            "reason": self.reason,
            "summary": self.summary,
            "looks": self.looks,
            "verdict": None if self.verdict is None else dict(self.verdict),
            "rule_digest": self.rule_digest,
            "decision": None if self.decision is None else self.decision.to_json(),
            "last_look": None,
        }


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to the receiver. ``status`` is ``None`` when there was no answer."""

    unix_nano: int
    status: int | None
    error: str | None
    duration_s: float

    def to_json(self) -> dict[str, Any]:
        return {
            "unix_nano": self.unix_nano,
            "status": self.status,
            "error": self.error,
            "duration_s": self.duration_s,
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """One outbox row with everything that was tried."""

    webhook_id: str
    decision_id: str
    endpoint_id: str
    lane: str
    url: str
    state: DeliveryState
    dead_reason: str | None
    created_unix_nano: int
    due_unix_nano: int
    expires_unix_nano: int
    attempts: tuple[Attempt, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "webhook_id": self.webhook_id,
            "decision_id": self.decision_id,
            "endpoint_id": self.endpoint_id,
            "lane": self.lane,
            "url": self.url,
            "state": str(self.state),
            "dead_reason": self.dead_reason,
            "created_unix_nano": self.created_unix_nano,
            "attempts": [attempt.to_json() for attempt in self.attempts],
            "due_unix_nano": self.due_unix_nano,
            "expires_unix_nano": self.expires_unix_nano,
        }


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to attempt one delivery, until ``until_unix_nano`` and only with this token."""

    webhook_id: str
    decision_id: str
    endpoint_id: str
    url: str
    lane: str
    body: bytes
    #: Attempts made before this one.
    attempts_before: int
    created_unix_nano: int
    expires_unix_nano: int
    token: str
    until_unix_nano: int


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the timeline."""

    unix_nano: int
    kind: str
    service: str
    deployment_id: str | None
    title: str
    detail: str
    #: What programs need of it: an alert's labels and whether people are told, a decision's action.
    about: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "unix_nano": self.unix_nano,
            "kind": self.kind,
            "service": self.service,
            "deployment_id": self.deployment_id,
            "title": self.title,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Signed:
    """Who answers for what a person changes."""

    #: For people: one name, or those of two.
    who: str
    reason: str
    #: Of the row of the audit log: the one whose act made it take effect.
    actor: str

    @classmethod
    def by(cls, who: str, reason: str) -> Signed:
        """One person alone."""
        return cls(who, reason, who)


@dataclass(frozen=True, slots=True)
class SloPoint:
    """One evaluation of one SLO; ``None`` where there was no data."""

    unix_nano: int
    error_ratio: float | None
    budget_remaining_ratio: float | None
    burn_rate_short: float | None
    burn_rate_long: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            "unix_nano": self.unix_nano,
            "error_ratio": self.error_ratio,
            "budget_remaining_ratio": self.budget_remaining_ratio,
            "burn_rate_short": self.burn_rate_short,
            "burn_rate_long": self.burn_rate_long,
        }
