"""Which delivery sites serve a viewer, best first. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

RANKED: Final = 3


@dataclass(frozen=True, slots=True)
class Site:
    """A delivery site: embedded in one provider's network, or at an exchange (``isp`` None)."""

    name: str
    zone: str
    isp: str | None
    round_trip_s: float


SITES: Final = (
    Site("aurora-1", "a", "aurora", 0.004),
    Site("boreal-1", "a", "boreal", 0.005),
    Site("cirrus-1", "b", "cirrus", 0.005),
    Site("exchange-a", "a", None, 0.012),
    Site("exchange-b", "b", None, 0.014),
)


def rank(isp: str, zone: str) -> list[dict[str, Any]]:
    """The three best sites for a viewer at ``isp`` asking from ``zone``.

    An embedded site first, then exchanges, the nearer one first; sites inside other providers'
    networks never.
    """
    usable = [site for site in SITES if site.isp in (None, isp)]
    usable.sort(key=lambda site: (site.isp is None, site.zone != zone, site.round_trip_s))
    return [
        {"site": site.name, "url": f"https://{site.name}.cdn.example/v1"}
        for site in usable[:RANKED]
    ]
