"""What an instance is: the order for one, and one that runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

ARM_STABLE: Final = "stable"
ARM_BASELINE: Final = "baseline"
ARM_CANARY: Final = "canary"


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """A position to be kept filled. ``build`` and ``arm`` are the deployer's own knowledge:
    they never enter telemetry.
    """

    #: Unique name of the position; survives restarts of the process that fills it.
    slot: str
    service: str
    zone: str
    version: str
    build: str
    arm: str
    #: 0 = any free port.
    port: int
    otlp_endpoint: str


@dataclass(frozen=True, slots=True)
class Instance:
    """A running process that reported itself ready."""

    spec: InstanceSpec
    instance_id: str
    pid: int
    port: int

    def to_json(self) -> dict[str, Any]:
        """Plain data for the pipe between parent and deployer."""
        return asdict(self)


def spec_from_json(data: Mapping[str, Any]) -> InstanceSpec:
    """Inverse of ``asdict``; KeyError or TypeError on foreign data."""
    return InstanceSpec(**data)


def instance_from_json(data: Mapping[str, Any]) -> Instance:
    """Inverse of ``Instance.to_json``."""
    return Instance(
        spec=spec_from_json(data["spec"]),
        instance_id=data["instance_id"],
        pid=data["pid"],
        port=data["port"],
    )
