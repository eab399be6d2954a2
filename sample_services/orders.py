"""What the deployer may ask of the parent: one JSON object a line over their pipe."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sample_services.instances import InstanceSpec


def order_start(spec: InstanceSpec) -> dict[str, Any]:
    """The order to fill a position."""
    return {"op": "start", "spec": asdict(spec)}


def order_stop(slot: str, grace_s: float) -> dict[str, Any]:
    """The order to empty a position: SIGTERM, and SIGKILL ``grace_s`` later."""
    return {"op": "stop", "slot": slot, "grace_s": grace_s}


def order_suspend(service: str) -> dict[str, Any]:
    """The order to kill every instance of a service and to leave it dead."""
    return {"op": "suspend", "service": service}


def order_resume(service: str) -> dict[str, Any]:
    """The order to fill the service's positions again."""
    return {"op": "resume", "service": service}
