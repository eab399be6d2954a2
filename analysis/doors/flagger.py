"""Flagger's webhooks: a status it acts on, and a sentence for its event and log.

Up to 202 is yes, everything above is no, and the body is shown. What a yes means differs by hook,
and a transport failure is always a no; so the only yes that moves something is one with evidence.
(docs/gitbook/usage/webhooks.md, pkg/controller/webhook.go)

==========================  =====================================================================
confirm-rollout             yes, unless this canary has already failed
rollout                     yes while it is watched and not worse; no counts as a failed check
confirm-traffic-increase    yes if nothing looks worse and both arms report
confirm-promotion           yes only when it is shown safe
rollback                    yes **means roll back now**: only when it is shown worse
event                       always yes; nothing is kept
==========================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from analysis.doors.standing import Known, Standing
from analysis.errors import BadRequestError

HOOKS: Final = (
    "confirm-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "rollback",
    "event",
)  # fmt: skip
YES: Final = 200
#: A conflict with what is known; Flagger only compares it with 202.
NO: Final = 409
UNKNOWN: Final = 404
_ACCEPTED: Final = 'a JSON object with "name", "namespace" and "metadata", as Flagger sends it'


@dataclass(frozen=True, slots=True)
class Hook:
    """Whom a hook is about. ``metadata`` names what Kubernetes calls otherwise."""

    deployment_id: str | None
    service: str
    environment: str | None
    version: str | None


def read_hook(raw: bytes) -> Hook:
    """A hook's body. Raises BadRequestError.

    ``metadata`` may have ``deployment_id``, ``service`` (else Flagger's canary name),
    ``environment`` and ``version``.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON: {error}", accepted=_ACCEPTED) from None
    if not isinstance(body, dict) or not isinstance(body.get("name"), str):
        raise BadRequestError("the body has no name", accepted=_ACCEPTED)
    found = body.get("metadata") or {}
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise BadRequestError("metadata is not an object of texts", accepted=_ACCEPTED)
    metadata: Mapping[str, str] = found
    return Hook(
        metadata.get("deployment_id"),
        metadata.get("service", body["name"]),
        metadata.get("environment"),
        metadata.get("version"),
    )


def answer(hook: str, known: Known) -> tuple[int, str]:
    """Status and sentence; ``hook`` is one of HOOKS."""
    standing, told = known.standing, f"{known.reason}: {known.summary}"
    if hook == "event":
        return YES, "seen"
    if hook == "confirm-rollout":
        return (NO if standing is Standing.FAIL else YES), told
    if known.record is None:
        return UNKNOWN, told
    if hook == "rollback":
        return (YES if standing is Standing.FAIL else NO), told
    if hook == "confirm-promotion":
        return (YES if standing is Standing.PASS else NO), told
    if hook == "confirm-traffic-increase":
        return (YES if known.is_calm else NO), told
    is_fine = standing in (Standing.PASS, Standing.CONTINUE)
    return (YES if is_fine else NO), told
