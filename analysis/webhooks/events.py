"""The command's body: a CloudEvents 1.0 structured event whose bytes are fixed once.

Structured mode, because Standard Webhooks signs only the body: headers of CloudEvents' binary
mode would be outside the signature, and a receiver that routes on them would trust a stranger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Final

import orjson

from analysis.decisions.records import Decision, Declaration
from analysis.decisions.states import Action

CONTENT_TYPE: Final = "application/cloudevents+json"
#: No body is larger: every other text in it is a label or a setting of a few hundred bytes.
MAX_BODY_BYTES: Final = 65_536
MAX_SUMMARY_CHARS: Final = 4_000

#: Types of our events by what they ask for.
EVENT_TYPES: Final = {
    Action.ROLLBACK: "davylamp.rollback.requested",
    Action.PROMOTION: "davylamp.promotion.requested",
}


@dataclass(frozen=True, slots=True)
class Route:
    """Lanes whose commands go to an endpoint of their own."""

    #: Shell patterns of ``<environment>/<service>``, such as ``prod/*``; the case counts.
    lanes: tuple[str, ...]
    endpoint_id: str
    url: str


@dataclass(frozen=True, slots=True)
class Addressing:
    """To whom commands go and where the answers are to come back to."""

    endpoint_id: str
    url: str
    #: Base address of our own API; confirmations go to ``<analysis_url>/api/v1/decisions/...``.
    analysis_url: str
    #: Seconds after its decision that a command may still be delivered.
    decision_lifetime_s: float
    #: The first that matches a lane takes its commands; without one they go to ``endpoint_id``.
    routes: tuple[Route, ...] = ()

    def of(self, lane: str) -> Addressing:
        """To whom the commands of one lane go."""
        for route in self.routes:
            if any(fnmatchcase(lane, pattern) for pattern in route.lanes):
                return replace(self, endpoint_id=route.endpoint_id, url=route.url)
        return self


def render(decision: Decision, declaration: Declaration, addressing: Addressing) -> bytes:
    """The bytes that are stored, signed and sent at every attempt."""
    target = declaration.baseline if decision.action is Action.ROLLBACK else declaration.canary
    issued_at = rfc3339(decision.created_unix_nano)
    data: dict[str, Any] = {
        "decision_id": decision.decision_id,
        "sequence": decision.sequence,
        "audience": {
            "endpoint_id": addressing.endpoint_id,
            "environment": decision.environment,
        },
        "mode": decision.mode,
        "issued_at": issued_at,
        "expires_at": rfc3339(decision.expires_unix_nano),
        "release": {
            "deployment_id": decision.deployment_id,
            "service": decision.service,
            "digest": declaration.canary.digest,
            "version": declaration.canary.version,
        },
        "target": {"digest": target.digest, "version": target.version},
        "reason": {
            "verdict": decision.verdict,
            "summary": decision.summary[:MAX_SUMMARY_CHARS],
            "culprit_metric": decision.culprit_metric,
            "culprit_split": decision.culprit_split,
        },
        "evidence_sha256": decision.evidence_sha256,
        "rule_sha256": decision.rule_sha256,
        "confirm_url": f"{addressing.analysis_url}/api/v1/decisions/{decision.decision_id}/status",
        "supersedes": decision.supersedes,
    }
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": decision.decision_id,
            "source": f"/davylamp/analysis/{decision.environment}",
            "type": EVENT_TYPES[decision.action],
            "subject": decision.lane,
            "time": issued_at,
            "datacontenttype": "application/json",
            "data": data,
        }
    )


def rfc3339(unix_nano: int) -> str:
    """A time in UTC with microseconds."""
    seconds, rest_ns = divmod(unix_nano, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
