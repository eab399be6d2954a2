"""Words shared by the receiving and the storing half of the collector."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Signal(StrEnum):
    """What a body, a WAL segment or a landing table carries."""

    TRACES = "traces"
    METRICS = "metrics"
    SAMPLES = "samples"
    LOGS = "logs"


#: What comes as OTLP requests; samples come by remote write.
OTLP_SIGNALS: Final = (Signal.TRACES, Signal.METRICS, Signal.LOGS)
