"""The overload limits as one thing that a request passes: pressure, rate, series, clocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from collector.limits.config import OverloadConfig
from collector.limits.pressure import Pressure, Shed
from collector.limits.rate import ItemRate
from collector.limits.series_book import Admission, SeriesBook
from collector.limits.skew import SkewWatch
from collector.model import Signal
from collector.pipeline.errors import MemoryShort, RateLimited
from telemetry.clock import Clock


class Overload:
    """Lives on the event loop of the receivers."""

    def __init__(
        self,
        config: OverloadConfig,
        clock: Clock,
        *,
        is_safe_mode: bool = False,
        rss_bytes: Callable[[], int] | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self.series = SeriesBook(config, clock)
        self.skew = SkewWatch(clock)
        self._pressure = Pressure(config, clock, rss_bytes)
        self._rate = ItemRate(config.max_items_per_s, config.burst_items, clock)
        self._safe_until_s = clock.monotonic_s() + config.safe_mode_s if is_safe_mode else 0.0

    @property
    def is_safe_mode(self) -> bool:
        """Whether an earlier life's death for want of memory still asks for care."""
        return self.safe_mode_left_s > 0.0

    @property
    def safe_mode_left_s(self) -> float:
        """Seconds until safe mode ends by itself; 0 outside of it."""
        return max(self._safe_until_s - self._clock.monotonic_s(), 0.0)

    @property
    def shed(self) -> Shed:
        """What gives way now."""
        return self._pressure.level()

    def before(self, signal: Signal) -> Admission | None:
        """A request arrives, nothing of it is read. Raises MemoryShort or RateLimited.

        Returns what its points have to pass; None for other signals.
        """
        level = self._pressure.level()
        if signal not in {Signal.METRICS, Signal.SAMPLES} and level >= Shed.TRACES:
            raise MemoryShort("memory is short; spans are taken again when there is more")
        if not self._rate.take(0):
            raise RateLimited(f"more than {self._config.max_items_per_s:g} items per second")
        if signal is not Signal.METRICS:
            return None
        self.series.is_closed_to_new = self.is_closed_to_new_series()
        return self.series.admission()

    def is_closed_to_new_series(self) -> bool:
        """Whether only series that are known already are taken."""
        return self._pressure.level() >= Shed.NEW_SERIES or self.is_safe_mode

    def after(self, item_count: int, newest_unix_nano: Mapping[str, int]) -> None:
        """What was in the request."""
        self._rate.take(item_count)
        for service, unix_nano in newest_unix_nano.items():
            self.skew.heard(service, unix_nano)
