"""A notice's body in the words of whoever is told. Pure.

Formats: ``standard`` (a CloudEvent of our own, signed), ``cdevents`` (CDEvents 0.5.0 inside a
CloudEvent, signed), ``alertmanager`` (its webhook body, version 4, as receivers of its webhooks
read it), ``pagerduty`` (Events API v2; the routing key is added when it is sent, never stored).
Everything about one decision has one key, so that what was opened is closed.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

import orjson

from analysis.alerts.labels import fingerprint
from analysis.webhooks.events import rfc3339

MAX_SUMMARY_CHARS: Final = 1_000
#: What Alertmanager says of an alert that has not ended.
NO_END: Final = "0001-01-01T00:00:00Z"
CDEVENTS_VERSION: Final = "0.5.0"


class Format(StrEnum):
    """Whose words."""

    STANDARD = "standard"
    CDEVENTS = "cdevents"
    ALERTMANAGER = "alertmanager"
    PAGERDUTY = "pagerduty"


class Severity(StrEnum):
    """PagerDuty's words for how much it matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


#: Kinds of the timeline's events that may be told, and how much they matter.
SEVERITIES: Final = {
    "decision": Severity.WARNING,
    "guard_held": Severity.WARNING,
    "delivery_failing": Severity.CRITICAL,
    "dead_letter": Severity.CRITICAL,
    "unconfirmed": Severity.CRITICAL,
    "confirmed": Severity.INFO,
    "not_recovered": Severity.CRITICAL,
    "slo_page": Severity.CRITICAL,
    "slo_ticket": Severity.WARNING,
    "proposal": Severity.INFO,
    "proposal_approved": Severity.INFO,
    "proposal_withdrawn": Severity.INFO,
}
#: Those about an objective.
ALERTS: Final = frozenset({"slo_page", "slo_ticket"})
#: Those about a change that waits for a second person. Pagers are not told: a question is no
#: incident, and one that nobody answers would never be closed.
PROPOSALS: Final = frozenset({"proposal", "proposal_approved", "proposal_withdrawn"})
PAGERS: Final = frozenset({Format.ALERTMANAGER, Format.PAGERDUTY})
#: Kinds that say it is over.
RESOLVING: Final = frozenset({"confirmed"})
CONTENT_TYPES: Final = {
    Format.STANDARD: "application/cloudevents+json",
    Format.CDEVENTS: "application/cloudevents+json",
    Format.ALERTMANAGER: "application/json",
    Format.PAGERDUTY: "application/json",
}


@dataclass(frozen=True, slots=True)
class Notice(abc.ABC):
    """One event of the timeline, with what it is about; ``*`` is every environment."""

    event_id: int
    unix_nano: int
    kind: str
    title: str
    detail: str
    environment: str
    service: str

    @property
    @abc.abstractmethod
    def subject(self) -> str:
        """What it is about; notices of one subject go in order."""

    @property
    @abc.abstractmethod
    def key(self) -> str:
        """The same for everything about one decision or alert."""

    @property
    @abc.abstractmethod
    def is_resolving(self) -> bool:
        """Whether it says that it is over."""

    @property
    @abc.abstractmethod
    def labels(self) -> dict[str, str]:
        """Of an alert, in Alertmanager's sense."""

    @property
    @abc.abstractmethod
    def group(self) -> tuple[str, ...]:
        """Names of the labels that tell it from others, and never change from opening to end."""

    @property
    @abc.abstractmethod
    def path(self) -> str:
        """Of our API, where there is more."""

    @property
    @abc.abstractmethod
    def own_facts(self) -> dict[str, Any]:
        """What programs read beside kind, severity and words."""

    @property
    def artifact(self) -> str | None:
        """Package URL of the release it is about."""
        return None

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return SEVERITIES[self.kind]


@dataclass(frozen=True, slots=True)
class CanaryNotice(Notice):
    """About a canary's decision."""

    deployment_id: str
    #: Of the canary's release.
    version: str
    digest: str

    @property
    def subject(self) -> str:
        """The canary."""
        return self.deployment_id

    @property
    def key(self) -> str:
        """Of the canary."""
        return f"davylamp/{self.environment}/{self.service}/{self.deployment_id}"

    @property
    def is_resolving(self) -> bool:
        """Whether it says that it is over."""
        return self.kind in RESOLVING

    @property
    def labels(self) -> dict[str, str]:
        """The severity grows with the trouble."""
        return {
            "alertname": "DavylampDecision",
            "deployment_id": self.deployment_id,
            "environment": self.environment,
            "service": self.service,
            "severity": str(Severity.WARNING if self.is_resolving else self.severity),
            "version": self.version,
        }

    @property
    def group(self) -> tuple[str, ...]:
        """Without the severity."""
        return ("alertname", "deployment_id")

    @property
    def path(self) -> str:
        """The canary."""
        return f"/api/v1/canaries/{self.deployment_id}"

    @property
    def own_facts(self) -> dict[str, Any]:
        """The release."""
        return {
            "deployment_id": self.deployment_id,
            "environment": self.environment,
            "version": self.version,
            "digest": self.digest,
        }

    @property
    def artifact(self) -> str | None:
        """Such as ``pkg:oci/playback@sha256%3A0b31``."""
        return f"pkg:oci/{quote(self.service.lower(), safe='')}@{quote(self.digest, safe='')}"


@dataclass(frozen=True, slots=True)
class AlertNotice(Notice):
    """About an objective whose budget burns, or does so no longer."""

    alert_labels: Mapping[str, str]
    is_firing: bool

    @property
    def subject(self) -> str:
        """The objective and the severity."""
        parts = (self.alert_labels.get(name) for name in ("slo", "severity", "policy"))
        return "/".join(["slo", *(one for one in parts if one is not None)])

    @property
    def key(self) -> str:
        """Of the alert."""
        return f"davylamp/{self.subject}"

    @property
    def is_resolving(self) -> bool:
        """Whether it says that it is over."""
        return not self.is_firing

    @property
    def labels(self) -> dict[str, str]:
        """As Alertmanager's API shows them."""
        return dict(self.alert_labels)

    @property
    def group(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(sorted(self.alert_labels))

    @property
    def path(self) -> str:
        """Every number of it explained."""
        return f"/api/v1/slos/{quote(self.alert_labels['slo'], safe='')}/explain"

    @property
    def own_facts(self) -> dict[str, Any]:
        """Its labels and what it does."""
        return {
            "labels": self.labels,
            "status": "firing" if self.is_firing else "resolved",
        }


@dataclass(frozen=True, slots=True)
class ProposalNotice(Notice):
    """About a change that waits for a second person, or does so no longer."""

    proposal_id: str

    @property
    def subject(self) -> str:
        """The proposal."""
        return self.proposal_id

    @property
    def key(self) -> str:
        """Of the proposal."""
        return f"davylamp/proposal/{self.proposal_id}"

    @property
    def is_resolving(self) -> bool:
        """Whether it says that it is over."""
        return self.kind != "proposal"

    @property
    def labels(self) -> dict[str, str]:
        """What it is about."""
        return {
            "alertname": "DavylampProposal",
            "environment": self.environment,
            "proposal_id": self.proposal_id,
            "severity": str(self.severity),
        }

    @property
    def group(self) -> tuple[str, ...]:
        """Its name."""
        return ("alertname", "proposal_id")

    @property
    def path(self) -> str:
        """The proposal, whole."""
        return f"/api/v1/proposals/{self.proposal_id}"

    @property
    def own_facts(self) -> dict[str, Any]:
        """Which one, and where."""
        return {"proposal_id": self.proposal_id, "environment": self.environment}


@dataclass(frozen=True, slots=True)
class Sender:
    """Who tells: the endpoint's name and the address of our own API."""

    endpoint_id: str
    analysis_url: str


def render(notice: Notice, form: Format, sender: Sender) -> bytes:
    """The bytes that are stored and sent at every attempt."""
    match form:
        case Format.STANDARD:
            body = _cloud_event(notice, f"davylamp.{notice.kind}", _facts(notice))
        case Format.CDEVENTS:
            body = _cd_event(notice)
        case Format.ALERTMANAGER:
            body = _alertmanager(notice, sender)
        case Format.PAGERDUTY:
            body = _pagerduty(notice, sender)
    return orjson.dumps(body)


def _facts(notice: Notice) -> dict[str, Any]:
    return {
        "kind": notice.kind,
        "severity": str(notice.severity),
        "title": notice.title,
        "detail": notice.detail,
        "service": notice.service,
        **notice.own_facts,
    }


def _cloud_event(notice: Notice, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"event-{notice.event_id}",
        "source": f"/davylamp/analysis/{notice.environment}",
        "type": kind,
        "subject": notice.key,
        "time": rfc3339(notice.unix_nano),
        "datacontenttype": "application/json",
        "data": data,
    }


def _cd_event(notice: Notice) -> dict[str, Any]:
    """A decision is our own kind, for CDEvents knows no request; trouble is an incident."""
    source = f"/davylamp/analysis/{notice.environment}"
    kind = "dev.cdevents.incident.detected.0.3.0"
    if notice.kind in ("decision", "guard_held"):
        kind = "dev.cdeventsx.davylamp-decision.made.0.1.0"
    elif notice.kind in PROPOSALS:
        what = notice.kind.removeprefix("proposal").removeprefix("_") or "made"
        kind = f"dev.cdeventsx.davylamp-proposal.{what}.0.1.0"
    elif notice.is_resolving:
        kind = "dev.cdevents.incident.resolved.0.3.0"
    event = {
        "context": {
            "specversion": CDEVENTS_VERSION,
            "id": f"event-{notice.event_id}",
            "source": source,
            "type": kind,
            "timestamp": rfc3339(notice.unix_nano),
        },
        "subject": {
            "id": notice.key,
            "source": source,
            "content": {
                "description": f"{notice.title}. {notice.detail}".strip(),
                "environment": {"id": notice.environment},
                "service": {"id": notice.service},
                **({} if notice.artifact is None else {"artifactId": notice.artifact}),
            },
        },
        "customData": _facts(notice),
        "customDataContentType": "application/json",
    }
    return _cloud_event(notice, kind, event)


def _alertmanager(notice: Notice, sender: Sender) -> dict[str, Any]:
    labels = notice.labels
    group = {name: labels[name] for name in notice.group}
    annotations = {"summary": notice.title, "description": notice.detail, "kind": notice.kind}
    status = "resolved" if notice.is_resolving else "firing"
    alert = {
        "status": status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": rfc3339(notice.unix_nano),
        "endsAt": rfc3339(notice.unix_nano) if notice.is_resolving else NO_END,
        "generatorURL": sender.analysis_url + notice.path,
        "fingerprint": fingerprint(group),
    }
    names = ", ".join(f'{name}="{value}"' for name, value in sorted(group.items()))
    return {
        "version": "4",
        "groupKey": "{}:{" + names + "}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": sender.endpoint_id,
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": sender.analysis_url,
        "alerts": [alert],
    }


def _pagerduty(notice: Notice, sender: Sender) -> dict[str, Any]:
    action = "resolve" if notice.is_resolving else "trigger"
    link = sender.analysis_url + notice.path
    return {
        "event_action": action,
        "dedup_key": notice.key[:255],
        "payload": {
            "summary": f"{notice.title}. {notice.detail}".strip()[:MAX_SUMMARY_CHARS],
            "source": f"davylamp/{notice.environment}",
            "severity": str(notice.severity),
            "timestamp": rfc3339(notice.unix_nano),
            "component": notice.service,
            "group": notice.environment,
            "class": notice.kind,
            "custom_details": _facts(notice),
        },
        "client": "Davylamp",
        "client_url": link,
    }
