"""A notice's body in the words of whoever is told. Pure.

Formats: ``standard`` (a CloudEvent of our own, signed), ``cdevents`` (CDEvents 0.5.0 inside a
CloudEvent, signed), ``alertmanager`` (its webhook body, version 4, as receivers of its webhooks
read it), ``pagerduty`` (Events API v2; the routing key is added when it is sent, never stored).
Everything about one decision has one key, so that what was opened is closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

import orjson

from analysis.webhooks.events import rfc3339

MAX_SUMMARY_CHARS: Final = 1_000
#: What Alertmanager says of an alert that has not ended.
NO_END: Final = "0001-01-01T00:00:00Z"
CDEVENTS_VERSION: Final = "0.5.0"
_FNV_OFFSET: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3


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
}
#: Kinds that say it is over.
RESOLVING: Final = frozenset({"confirmed"})
CONTENT_TYPES: Final = {
    Format.STANDARD: "application/cloudevents+json",
    Format.CDEVENTS: "application/cloudevents+json",
    Format.ALERTMANAGER: "application/json",
    Format.PAGERDUTY: "application/json",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One event of the timeline about a canary's decision, with what it is about."""

    event_id: int
    unix_nano: int
    kind: str
    title: str
    detail: str
    deployment_id: str
    environment: str
    service: str
    #: Of the canary's release.
    version: str
    digest: str

    @property
    def key(self) -> str:
        """The same for everything about one decision."""
        return f"davylamp/{self.environment}/{self.service}/{self.deployment_id}"

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return SEVERITIES[self.kind]

    @property
    def is_resolving(self) -> bool:
        """Whether it says that it is over."""
        return self.kind in RESOLVING


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
        "deployment_id": notice.deployment_id,
        "environment": notice.environment,
        "service": notice.service,
        "version": notice.version,
        "digest": notice.digest,
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
                "artifactId": _purl(notice),
            },
        },
        "customData": _facts(notice),
        "customDataContentType": "application/json",
    }
    return _cloud_event(notice, kind, event)


def _purl(notice: Notice) -> str:
    """Package URL of the canary's artifact, such as ``pkg:oci/playback@sha256%3A0b31``."""
    return f"pkg:oci/{quote(notice.service.lower(), safe='')}@{quote(notice.digest, safe='')}"


def _alertmanager(notice: Notice, sender: Sender) -> dict[str, Any]:
    labels = {
        "alertname": "DavylampDecision",
        "deployment_id": notice.deployment_id,
        "environment": notice.environment,
        "service": notice.service,
        "severity": str(Severity.WARNING if notice.is_resolving else notice.severity),
        "version": notice.version,
    }
    # The severity grows with the trouble; what is grouped and closed by must not.
    group = {name: labels[name] for name in ("alertname", "deployment_id")}
    annotations = {"summary": notice.title, "description": notice.detail, "kind": notice.kind}
    status = "resolved" if notice.is_resolving else "firing"
    alert = {
        "status": status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": rfc3339(notice.unix_nano),
        "endsAt": rfc3339(notice.unix_nano) if notice.is_resolving else NO_END,
        "generatorURL": f"{sender.analysis_url}/api/v1/canaries/{notice.deployment_id}",
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


def fingerprint(labels: dict[str, str]) -> str:
    """Prometheus' identity of a label set: FNV-1a (64 bits) over sorted names and values."""
    number = _FNV_OFFSET
    for name, value in sorted(labels.items()):
        for byte in name.encode() + b"\xff" + value.encode() + b"\xff":
            number = (number ^ byte) * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return f"{number:016x}"


def _pagerduty(notice: Notice, sender: Sender) -> dict[str, Any]:
    action = "resolve" if notice.is_resolving else "trigger"
    link = f"{sender.analysis_url}/api/v1/canaries/{notice.deployment_id}"
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
