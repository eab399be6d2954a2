"""What a route of the analysis needs; a route that nobody named here needs the most."""

from __future__ import annotations

from typing import Final

from collector.access.gate import PROBES
from collector.access.tokens import Scope

#: Public keys are public.
OPEN: Final = PROBES | {"/api/v1/webhooks/keys"}
#: What holds commands, what sends them again, what signs them, what budgets do not count, who is
#: told and who is not.
_ADMINISTERED: Final = (
    "/api/v1/guards",
    "/api/v1/proposals",
    "/api/v1/outbox",
    "/api/v1/endpoints",
    "/api/v1/notices",
    "/api/v1/slo-corrections",
    "/api/v1/slo-policies",
    "/api/v2/silence",
)
#: Questions that come as a body.
_ASKED_BY_POST: Final = frozenset({"/judge", "/judges/judge"})


def scope_of(method: str, path: str) -> Scope | None:
    """The scope of a token that may; None: anybody may."""
    if path in OPEN:
        return None
    if method in ("GET", "HEAD") or path in _ASKED_BY_POST:
        return Scope.READ
    return Scope.ADMIN if path.startswith(_ADMINISTERED) else Scope.DEPLOY
