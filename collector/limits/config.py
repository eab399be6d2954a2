"""Settings of the overload limits. No defaults here: values live in ``davylamp/defaults.toml``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OverloadConfig:
    """How many series there may be, how much may arrive, and what gives way first."""

    #: Series known at once; the last ``reserved_series`` of them only for reserved metrics.
    max_series: int
    reserved_series: int
    max_series_per_service: int
    max_series_per_metric: int
    #: A series that was not heard for so long makes room for another.
    series_idle_s: float
    #: Names, ``*`` for any text, of metrics that canaries and objectives are judged by.
    reserved_metrics: tuple[str, ...]
    #: Spans and points per second, and at once after a pause.
    max_items_per_s: float
    burst_items: int
    #: Resident memory of the process, and the shares of it above which things give way.
    max_rss_bytes: int
    shed_traces_ratio: float
    shed_new_series_ratio: float
    #: So many deaths for want of memory within the window start the process in safe mode.
    crash_window_s: float
    crash_count: int
    #: How long safe mode lasts.
    safe_mode_s: float
