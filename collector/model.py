"""Words shared by the receiving and the storing half of the collector."""

from __future__ import annotations

from enum import StrEnum


class Signal(StrEnum):
    """What a body, a WAL segment or a landing table carries."""

    TRACES = "traces"
    METRICS = "metrics"
    SAMPLES = "samples"
    LOGS = "logs"
