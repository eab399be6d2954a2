"""Instrumentation for services: one ``setup()``, HTTP both ways, playback, canary arms.

Importing this package imports next to nothing; each public name loads its module on first use, so
that a pure module may take ``telemetry.clock`` without paying for the OpenTelemetry SDK.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from telemetry.context import cohort as cohort
    from telemetry.context import set_cohort as set_cohort
    from telemetry.errors import TelemetryError as TelemetryError
    from telemetry.provider import Telemetry as Telemetry
    from telemetry.provider import current as current
    from telemetry.provider import force_flush as force_flush
    from telemetry.provider import setup as setup
    from telemetry.provider import shutdown as shutdown
    from telemetry.provider import stats as stats
    from telemetry.tally import TelemetryStats as TelemetryStats

_HOMES = {
    "Telemetry": "telemetry.provider",
    "TelemetryError": "telemetry.errors",
    "TelemetryStats": "telemetry.tally",
    "cohort": "telemetry.context",
    "current": "telemetry.provider",
    "force_flush": "telemetry.provider",
    "set_cohort": "telemetry.context",
    "setup": "telemetry.provider",
    "shutdown": "telemetry.provider",
    "stats": "telemetry.provider",
}

__all__ = [
    "Telemetry",
    "TelemetryError",
    "TelemetryStats",
    "cohort",
    "current",
    "force_flush",
    "set_cohort",
    "setup",
    "shutdown",
    "stats",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'telemetry' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
