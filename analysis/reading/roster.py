"""Who belongs to which arm, as declared before the canary got traffic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from telemetry import semconv

ArmName = Literal["baseline", "canary"]
ARM_NAMES: Final[tuple[ArmName, ArmName]] = ("baseline", "canary")
#: What a group of a service-scoped source must tell to be given to an arm.
IDENTITY: Final = (semconv.SERVICE_INSTANCE_ID, semconv.SERVICE_VERSION)


@dataclass(frozen=True, slots=True)
class DeclaredArm:
    """One arm; without declared instances its version alone identifies it."""

    version: str
    instances: frozenset[str]


@dataclass(frozen=True, slots=True)
class Roster:
    """Both arms of one deployment of one service."""

    deployment_id: str
    service: str
    baseline: DeclaredArm
    canary: DeclaredArm

    def arm_of(self, attributes: Mapping[str, str], *, scoped: bool) -> ArmName | None:
        """The arm a group of series counts for; ``None`` for a stray sender.

        The cohort label says which arm. In a source of the service itself the sender must also be
        an instance declared for that very arm and run its version, so nobody else can move an arm.
        """
        cohort = attributes.get(semconv.CANARY_COHORT, "")
        for name, arm in zip(ARM_NAMES, (self.baseline, self.canary), strict=True):
            if cohort != name:
                continue
            if not scoped:
                return name
            instance = attributes.get(semconv.SERVICE_INSTANCE_ID, "")
            known = not arm.instances or instance in arm.instances
            if known and attributes.get(semconv.SERVICE_VERSION, "") == arm.version:
                return name
        return None
