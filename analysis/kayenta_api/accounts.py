"""The one account there is: metrics from the collector, objects in the ledger's database."""

from __future__ import annotations

from typing import Any, Final

NAME: Final = "davylamp"


def credentials() -> list[dict[str, Any]]:
    """GET /credentials. Requests may name any account; all mean this one."""
    return [
        {
            "name": NAME,
            "type": "prometheus",
            "supportedTypes": ["METRICS_STORE", "OBJECT_STORE", "CONFIGURATION_STORE"],
            "locations": [],
            "recommendedLocations": [],
        }
    ]


def metrics_services() -> list[dict[str, Any]]:
    """GET /metricsServices."""
    return [{"name": NAME, "type": "prometheus", "locations": [], "recommendedLocations": []}]


def judges() -> list[dict[str, Any]]:
    """GET /judges."""
    return [{"name": "NetflixACAJudge-v1.0", "visible": True}]
