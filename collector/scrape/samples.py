"""From a page to samples: the target's labels, relabelling, limits, and who is not there any more.

A series that was on the last page and is not on this one ends with a stale marker, so that nothing
goes on showing its last value. Samples that bring their own time are left alone in this, as in
Prometheus: their page may be older than they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from collector.promql.labels import NAME, Labels, make_labels
from collector.promql.series import STALE_NAN
from collector.scrape.errors import LimitPassed, ScrapeFailed
from collector.scrape.exposition import Exemplar, Metadata, Page
from collector.scrape.jobs import Job, Limits
from collector.scrape.relabel import relabelled
from collector.scrape.targets import Target

EXPORTED: Final = "exported_"


@dataclass(slots=True)
class Batch:
    """Samples that belong together: element i of the three lists is one of them."""

    labels: list[Labels] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    #: By index into the lists.
    exemplars: dict[int, Exemplar] = field(default_factory=dict)
    metadata: Mapping[str, Metadata] = field(default_factory=dict)

    def add(self, labels: Labels, time_ms: int, value: float) -> None:
        """Append one sample."""
        self.labels.append(labels)
        self.times_ms.append(time_ms)
        self.values.append(value)

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the samples of one page."""

    scraped: int
    kept: int
    #: The same series at the same time once more: the first one stays.
    duplicates: int
    #: Series that were not on the page before.
    added: int


class TargetSeries:
    """What is remembered of a target between two pages."""

    def __init__(self, target: Target) -> None:
        self._target = target
        #: Final labels by the text of the series, None where relabelling dropped it.
        self._known: dict[str, Labels | None] = {}
        #: Series of the last page that end if they are not on the next.
        self._alive: set[Labels] = set()

    @property
    def known(self) -> Mapping[str, Labels | None]:
        """Series whose labels need not be read again."""
        return self._known

    def adopt(self, other: TargetSeries) -> None:
        """Go on where ``other`` ended: the same target with other settings.

        What was known is read anew, because the rules may be others.
        """
        self._alive = other._alive

    def take(self, page: Page, now_ms: int) -> tuple[Batch, Counts]:
        """The page's samples and the ends of series that left. Raises LimitPassed, ScrapeFailed."""
        job = self._target.job
        fresh = self._final(page.new, job)
        known = {**self._known, **fresh} if fresh else self._known
        batch = Batch(metadata=page.metadata)
        seen: dict[tuple[Labels, int | None], None] = {}
        alive: set[Labels] = set()
        kept = 0
        for index, key in enumerate(page.keys):
            labels = known[key]
            if labels is None:
                continue
            kept += 1
            if kept > job.limits.samples:
                raise LimitPassed("sample_limit", f"more than {job.limits.samples} samples")
            own_ms = page.times_ms[index] if job.honor_timestamps else None
            if (labels, own_ms) in seen:
                continue
            seen[labels, own_ms] = None
            if own_ms is None:
                alive.add(labels)
            if index in page.exemplars:
                batch.exemplars[len(batch)] = page.exemplars[index]
            batch.add(labels, now_ms if own_ms is None else own_ms, page.values[index])
        added = len(alive - self._alive)
        _end(batch, self._alive - alive, now_ms)
        self._alive = alive
        self._known = {key: known[key] for key in page.keys}
        return batch, Counts(len(page.keys), kept, kept - len(seen), added)

    def end(self, now_ms: int) -> Batch:
        """Ends of everything: the target did not answer, or is a target no more."""
        batch = Batch()
        _end(batch, self._alive, now_ms)
        self._alive = set()
        return batch

    def _final(self, new: Mapping[str, Labels], job: Job) -> dict[str, Labels | None]:
        if not new:
            return {}
        merge = _honoured if job.honor_labels else _exported
        sets = [merge(dict(labels), self._target.labels) for labels in new.values()]
        final: dict[str, Labels | None] = {}
        for key, labels in zip(new, relabelled(job.sample_rules, sets), strict=True):
            if labels is None:
                final[key] = None
                continue
            if not labels.get(NAME):
                raise ScrapeFailed(f"relabelling left {key[:80]!r} without a name")
            _check(labels, job.limits)
            final[key] = make_labels(labels)
        return final


def _honoured(labels: dict[str, str], of_target: Labels) -> dict[str, str]:
    """The page's own labels win."""
    return {**dict(of_target), **labels}


def _exported(labels: dict[str, str], of_target: Labels) -> dict[str, str]:
    """The target's labels win; the page's are kept under another name."""
    clashing = {name: labels.pop(name) for name, _ in of_target if name in labels}
    taken = {*labels, *dict(of_target)}
    for name, value in clashing.items():
        new = EXPORTED + name
        while new in taken:
            new = EXPORTED + new
        taken.add(new)
        labels[new] = value
    return {**labels, **dict(of_target)}


def _check(labels: Mapping[str, str], limits: Limits) -> None:
    """Raises LimitPassed."""
    if len(labels) > limits.labels:
        raise LimitPassed("label_limit", f"a series has more than {limits.labels} labels")
    for name, value in labels.items():
        if len(name.encode()) > limits.label_name_bytes:
            raise LimitPassed(
                "label_name_length_limit",
                f"label name {name[:40]!r} has more than {limits.label_name_bytes} bytes",
            )
        if len(value.encode()) > limits.label_value_bytes:
            raise LimitPassed(
                "label_value_length_limit",
                f"the value of label {name[:40]!r} has more than {limits.label_value_bytes} bytes",
            )


def _end(batch: Batch, gone: Iterable[Labels], now_ms: int) -> None:
    for labels in sorted(gone):
        batch.add(labels, now_ms, STALE_NAN)
