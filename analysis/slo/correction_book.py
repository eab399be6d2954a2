"""Which time does not count for which objective: corrections in force, joined and in order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analysis.slo.openslo.corrections import Correction, Once, Recurring
from analysis.slo.openslo.time_windows import Period

#: Recurring spans are laid out anew when so much time has passed.
LAID_OUT_S: Final = 60


@dataclass(frozen=True, slots=True)
class ScopedCorrection:
    """A correction of some objectives; of all when none is named."""

    correction: Correction
    objectives: frozenset[str]

    def is_about(self, objective: str) -> bool:
        """Whether it is one of its objectives."""
        return not self.objectives or objective in self.objectives

    def to_json(self) -> dict[str, Any]:
        """For the API."""
        one = self.correction
        gone = one.withdrawn
        return {
            "correction_id": one.correction_id,
            "author": one.author,
            "reason": one.reason,
            "category": one.category,
            "made_unix_nano": one.made_unix_s * 1_000_000_000,
            "objectives": sorted(self.objectives),
            **when_json(one.when),
            "withdrawn": None
            if gone is None
            else {
                "author": gone.author,
                "reason": gone.reason,
                "unix_nano": gone.unix_s * 1_000_000_000,
            },
        }


def when_json(when: Once | Recurring) -> dict[str, Any]:
    """``once`` or ``recurring``, as the API takes it."""
    if isinstance(when, Once):
        span = {"from_unix_s": when.start_unix_s, "to_unix_s": when.end_unix_s}
        return {"once": span, "recurring": None}
    return {"once": None, "recurring": recurring_json(when)}


def recurring_json(when: Recurring) -> dict[str, Any]:
    """As the API takes it; ``read_recurring`` reads it back."""
    return {
        "start_time": when.start_time.isoformat(),
        "time_zone": when.time_zone,
        "duration_s": when.duration_s,
        "rule": when.rule,
    }


def read_recurring(found: Mapping[str, Any]) -> Recurring:
    """Raises CorrectionError, KeyError, TypeError or ValueError."""
    return Recurring(
        dt.datetime.fromisoformat(found["start_time"]),
        str(found["time_zone"]),
        int(found["duration_s"]),
        str(found["rule"]),
    )


def excluded_spans(
    corrections: Iterable[ScopedCorrection], objective: str, period: Period
) -> tuple[Period, ...]:
    """Spans that meet the period, in order and apart. Raises CorrectionError."""
    found = sorted(
        (
            span
            for one in corrections
            if one.is_about(objective)
            for span in one.correction.when.spans(period)
        ),
        key=lambda span: (span.start_unix_s, span.end_unix_s),
    )
    joined: list[Period] = []
    for span in found:
        if joined and span.start_unix_s <= joined[-1].end_unix_s:
            end = max(joined[-1].end_unix_s, span.end_unix_s)
            joined[-1] = Period(joined[-1].start_unix_s, end)
        else:
            joined.append(span)
    return tuple(joined)


class KeptSpans:
    """The spans of each objective, laid out again when corrections change or a minute passed."""

    def __init__(self) -> None:
        self._corrections: tuple[ScopedCorrection, ...] = ()
        self._kept: dict[str, tuple[int, tuple[Period, ...]]] = {}

    def of(
        self, objective: str, period: Period, corrections: Sequence[ScopedCorrection]
    ) -> tuple[Period, ...]:
        """Spans that meet the period; those of the next minute are among them."""
        if tuple(corrections) != self._corrections:
            self._corrections = tuple(corrections)
            self._kept.clear()
        if not corrections:
            return ()
        known = self._kept.get(objective)
        if known is None or not 0 <= period.end_unix_s - known[0] <= LAID_OUT_S:
            ahead = Period(period.start_unix_s, period.end_unix_s + LAID_OUT_S)
            spans = excluded_spans(self._corrections, objective, ahead)
            known = self._kept[objective] = (period.end_unix_s, spans)
        return known[1]
