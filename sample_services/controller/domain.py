"""What a deployment is and which steps it may take. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sample_services.errors import DeploymentError
from sample_services.playback.builds import Build, digest_of

STARTING: Final = "starting"
OBSERVING: Final = "observing"
DRAINING: Final = "draining"
ROLLED_BACK: Final = "rolled_back"
PROMOTED: Final = "promoted"
REFUSED: Final = "refused"

#: State -> states that may follow.
STEPS: Final = {
    STARTING: frozenset({OBSERVING, REFUSED}),
    OBSERVING: frozenset({DRAINING}),
    DRAINING: frozenset({ROLLED_BACK, PROMOTED}),
    ROLLED_BACK: frozenset[str](),
    PROMOTED: frozenset[str](),
    REFUSED: frozenset[str](),
}
ACTIVE: Final = frozenset({STARTING, OBSERVING, DRAINING})


@dataclass(frozen=True, slots=True)
class Release:
    """What one arm runs. ``build`` is the deployer's name for it and is told to nobody."""

    build: str
    version: str
    digest: str

    def to_json(self, instance_ids: Sequence[str]) -> dict[str, Any]:
        """The form in which the analysis is told about an arm."""
        return {"version": self.version, "digest": self.digest, "instances": list(instance_ids)}


def release_of(service: str, key: str, build: Build) -> Release:
    """The release of ``service`` known here as ``key``."""
    return Release(key, build.version, digest_of(service, build.version))


@dataclass(slots=True)
class Deployment:
    """One canary from request to end. Times are unix nanoseconds, None = has not happened."""

    deployment_id: str
    service: str
    share_ratio: float
    baseline: Release
    canary: Release
    started_unix_nano: int
    expires_unix_nano: int
    state: str = STARTING
    history: list[dict[str, Any]] = field(default_factory=list)
    first_canary_request_unix_nano: int | None = None
    canary_gone_unix_nano: int | None = None
    promoted_unix_nano: int | None = None

    def step(self, state: str, unix_nano: int, what: str) -> None:
        """Move on. Raises DeploymentError when ``state`` cannot follow the present one."""
        if state not in STEPS[self.state]:
            raise DeploymentError(f"{self.deployment_id} is {self.state}, it cannot become {state}")
        self.state = state
        self.note(unix_nano, what)

    def note(self, unix_nano: int, what: str) -> None:
        """Add a line to the history."""
        self.history.append({"unix_nano": unix_nano, "what": what})

    def saw_canary_request(self, unix_nano: int) -> bool:
        """Keep the earliest report of the first request; true when this is the earliest."""
        known = self.first_canary_request_unix_nano
        if known is not None and known <= unix_nano:
            return False
        self.first_canary_request_unix_nano = unix_nano
        return True

    def to_json(self) -> dict[str, Any]:
        """The published form; builds stay private."""
        return {
            "deployment_id": self.deployment_id,
            "service": self.service,
            "share_ratio": self.share_ratio,
            "baseline": self.baseline.to_json(()),
            "canary": self.canary.to_json(()),
            "started_unix_nano": self.started_unix_nano,
            "expires_unix_nano": self.expires_unix_nano,
            "state": self.state,
            "history": list(self.history),
            "first_canary_request_unix_nano": self.first_canary_request_unix_nano,
            "canary_gone_unix_nano": self.canary_gone_unix_nano,
            "promoted_unix_nano": self.promoted_unix_nano,
        }
