"""Which processes a profile consists of. Pure."""

from __future__ import annotations

from typing import Final

from sample_services.config import SamplesConfig
from sample_services.instances import ARM_STABLE, InstanceSpec
from sample_services.playback.builds import BUILDS, STABLE

ZONES: Final = ("a", "b")
CONTROLLER: Final = "controller"
VIEWERS: Final = "viewers"
#: Version each service reports; playback's comes from its release.
VERSIONS: Final = {
    "edge": "5.1.0",
    "playback": BUILDS[STABLE].version,
    "recommendations": "3.7.2",
    "profiles": "1.9.4",
    "steering": "4.0.1",
    CONTROLLER: "1.0.0",
    VIEWERS: "1.0.0",
}
SERVICES: Final = ("profiles", "steering", "recommendations", "playback", "edge")
#: In ``tiny`` only these run in both zones.
TINY_IN_ALL_ZONES: Final = frozenset({"playback"})


def slot_name(service: str, zone: str, label: str = ARM_STABLE) -> str:
    """``playback/a/stable``."""
    return f"{service}/{zone}/{label}"


def slot_label(slot: str) -> str:
    """The label ``slot_name`` was given."""
    return slot.split("/", 2)[2]


def controller_spec(config: SamplesConfig) -> InstanceSpec:
    """The deployer; everyone else finds the others through it, so it starts first."""
    return _spec(config, CONTROLLER, ZONES[0], port=config.controller_port)


def viewers_spec(config: SamplesConfig) -> InstanceSpec:
    """The audience; it starts last."""
    return _spec(config, VIEWERS, ZONES[0], port=0)


def service_specs(config: SamplesConfig) -> list[InstanceSpec]:
    """The instances of ``config.profile``."""
    specs = []
    for service in SERVICES:
        everywhere = config.profile == "demo" or service in TINY_IN_ALL_ZONES
        for zone in ZONES if everywhere else ZONES[:1]:
            fixed = service == "edge" and zone == ZONES[0]
            specs.append(_spec(config, service, zone, port=config.edge_port if fixed else 0))
    return specs


def arm_zones(config: SamplesConfig) -> tuple[str, ...]:
    """Zones that get one instance of each arm."""
    return ZONES if config.profile == "demo" else ZONES[:1]


def _spec(config: SamplesConfig, service: str, zone: str, *, port: int) -> InstanceSpec:
    return InstanceSpec(
        slot=slot_name(service, zone),
        service=service,
        zone=zone,
        version=VERSIONS[service],
        build=STABLE,
        arm=ARM_STABLE,
        port=port,
        otlp_endpoint=config.otlp_endpoint,
    )
