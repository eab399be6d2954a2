"""What every scrape says about itself, whether it worked or not: ``up`` and its companions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from collector.promql.labels import NAME, Labels, with_labels
from collector.promql.series import STALE_NAN
from collector.scrape.samples import Batch, Counts

UP: Final = "up"
_NAMES: Final = (
    UP,
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)
_NOTHING: Final = Counts(scraped=0, kept=0, duplicates=0, added=0)


class Report:
    """The five series of one target."""

    def __init__(self, of_target: Labels) -> None:
        self._series: Mapping[str, Labels] = {
            name: with_labels(of_target, {NAME: name}) for name in _NAMES
        }

    def add(self, batch: Batch, now_ms: int, duration_s: float, counts: Counts | None) -> None:
        """Append the report; no counts means that the scrape failed."""
        found = counts or _NOTHING
        values = (
            float(counts is not None),
            duration_s,
            float(found.scraped),
            float(found.kept),
            float(found.added),
        )
        for labels, value in zip(self._series.values(), values, strict=True):
            batch.add(labels, now_ms, value)

    def end(self, batch: Batch, now_ms: int) -> None:
        """The target is one no more."""
        for labels in self._series.values():
            batch.add(labels, now_ms, STALE_NAN)
