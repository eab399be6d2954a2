"""Which account belongs to which arm, and which instance should answer. Pure.

The split is a hash of the account salted with the deployment, so that an account stays in its arm
for the whole deployment and lands elsewhere in the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sample_services.instances import ARM_BASELINE, ARM_CANARY, ARM_STABLE, Instance


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One routable instance."""

    service: str
    arm: str
    zone: str
    instance_id: str
    url: str


@dataclass(frozen=True, slots=True)
class Split:
    """The active deployment: ``share_ratio`` of the accounts in each arm (0..0.5)."""

    deployment_id: str
    service: str
    share_ratio: float


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """One version of who answers what. Versions only grow, also over restarts of the deployer."""

    version: int
    split: Split | None
    endpoints: tuple[Endpoint, ...]

    def arm_of(self, account: str) -> str | None:
        """``baseline``, ``canary`` or None (in no arm)."""
        if self.split is None:
            return None
        position = unit_interval(self.split.deployment_id, account)
        if position < self.split.share_ratio:
            return ARM_BASELINE
        return ARM_CANARY if position < 2.0 * self.split.share_ratio else None

    def candidates(
        self, service: str, *, arm: str | None, zone: str, avoid: Collection[str] = ()
    ) -> list[Endpoint]:
        """Endpoints of ``service`` for ``arm`` (None = stable), own zone first, without the
        instance ids in ``avoid``.
        """
        wanted = arm or ARM_STABLE
        found = [
            endpoint
            for endpoint in self.endpoints
            if endpoint.service == service
            and endpoint.arm == wanted
            and endpoint.instance_id not in avoid
        ]
        return sorted(found, key=lambda endpoint: (endpoint.zone != zone, endpoint.instance_id))

    def to_json(self) -> dict[str, Any]:
        """The published form."""
        return {
            "version": self.version,
            "deployment": None
            if self.split is None
            else {
                "deployment_id": self.split.deployment_id,
                "service": self.split.service,
                "share_ratio": self.split.share_ratio,
            },
            "endpoints": [
                {
                    "service": endpoint.service,
                    "arm": endpoint.arm,
                    "zone": endpoint.zone,
                    "instance_id": endpoint.instance_id,
                    "url": endpoint.url,
                }
                for endpoint in self.endpoints
            ],
        }


EMPTY_TABLE = RoutingTable(version=0, split=None, endpoints=())


def table_from_json(data: Mapping[str, Any]) -> RoutingTable:
    """Inverse of ``RoutingTable.to_json``."""
    deployment = data["deployment"]
    return RoutingTable(
        version=data["version"],
        split=None if deployment is None else Split(**deployment),
        endpoints=tuple(Endpoint(**endpoint) for endpoint in data["endpoints"]),
    )


def build_table(
    version: int,
    instances: Sequence[Instance],
    *,
    split: Split | None,
    hidden_slots: Collection[str],
    host: str,
) -> RoutingTable:
    """The table over ``instances``; arms are listed only while ``split`` is on, and slots in
    ``hidden_slots`` (starting or draining) never.
    """
    endpoints = [
        Endpoint(
            service=instance.spec.service,
            arm=instance.spec.arm,
            zone=instance.spec.zone,
            instance_id=instance.instance_id,
            url=f"http://{host}:{instance.port}",
        )
        for instance in instances
        if instance.spec.slot not in hidden_slots
        and (instance.spec.arm == ARM_STABLE or split is not None)
    ]
    endpoints.sort(key=lambda endpoint: (endpoint.service, endpoint.arm, endpoint.instance_id))
    return RoutingTable(version=version, split=split, endpoints=tuple(endpoints))


def unit_interval(*parts: str) -> float:
    """A stable, evenly spread number in [0, 1) from BLAKE2b-64 over the parts."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64
