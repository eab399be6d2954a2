"""Did pressing play lead to a picture: starts per second and their success, by zone.

The success ratio is success / (success + technical failure): abandoned starts and business
refusals are not the platform's failures and are counted in the rate only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from dashboards.answers.collector import SeriesAnswer
from telemetry import semconv

METRIC: Final = semconv.PLAYBACK_STARTS.name
GROUP_BY: Final = (
    f"{semconv.CLOUD_REGION},{semconv.CLOUD_AVAILABILITY_ZONE},{semconv.PLAYBACK_OUTCOME}"
)
#: Width of "now" in the headline, seconds.
RECENT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class ZoneStarts:
    """One zone over the window; None = nothing was heard in that step."""

    zone: str
    times_unix_s: tuple[float, ...]
    rates_per_s: tuple[float | None, ...]
    success_ratios: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Starts:
    """All zones, and the headline numbers over the last minute."""

    zones: tuple[ZoneStarts, ...]
    rate_per_s: float | None
    success_ratio: float | None
    recent_s: float


@dataclass(slots=True)
class _Sums:
    """Running sums of one step: all starts, successes, technical failures."""

    all: float = 0.0
    good: float = 0.0
    bad: float = 0.0
    heard: bool = False

    def add(self, outcome: str, increase: float) -> None:
        self.heard = True
        self.all += increase
        self.good += increase if outcome == semconv.OUTCOME_SUCCESS else 0.0
        self.bad += increase if outcome == semconv.OUTCOME_FAILURE_TECHNICAL else 0.0

    @property
    def success_ratio(self) -> float | None:
        counted = self.good + self.bad
        return self.good / counted if counted else None


def starts_of(answer: SeriesAnswer, *, settle_s: float) -> Starts:
    """Starts by zone from increases per step; steps still filling up are left out."""
    last_unix_s = answer.to_unix_nano / 1e9 - settle_s - answer.step_s
    zones: dict[str, dict[float, _Sums]] = {}
    for group in answer.groups:
        steps = zones.setdefault(zone_name(group.attributes), {})
        outcome = group.attributes.get(semconv.PLAYBACK_OUTCOME, "")
        for time, increase in zip(group.times_unix_s, group.values, strict=True):
            if time <= last_unix_s:
                sums = steps.setdefault(time, _Sums())
                if increase is not None:
                    sums.add(outcome, increase)
    return _summed(zones, answer.step_s)


def zone_name(attributes: Mapping[str, str]) -> str:
    """The place a group of series comes from."""
    return place_name(
        attributes.get(semconv.CLOUD_REGION, ""),
        attributes.get(semconv.CLOUD_AVAILABILITY_ZONE, ""),
    )


def place_name(region: str, zone: str) -> str:
    """``eu-west / b``, without the part that says nothing new."""
    if not zone:
        return region or "no zone"
    return zone if not region or zone.startswith(region) else f"{region} / {zone}"


def _summed(zones: dict[str, dict[float, _Sums]], step_s: float) -> Starts:
    lines = []
    for zone, steps in sorted(zones.items()):
        times = sorted(steps)
        lines.append(
            ZoneStarts(
                zone,
                tuple(times),
                tuple(steps[t].all / step_s if steps[t].heard else None for t in times),
                tuple(steps[t].success_ratio for t in times),
            )
        )
    recent = _recent(zones.values(), step_s)
    return Starts(tuple(lines), recent[0], recent[1], RECENT_S)


def _recent(
    zones: Iterable[dict[float, _Sums]], step_s: float
) -> tuple[float | None, float | None]:
    """Rate and success ratio of the last minute's steps, all zones together."""
    steps = [(time, sums) for zone in zones for time, sums in zone.items()]
    if not steps:
        return None, None
    newest = max(time for time, _ in steps)
    chosen = {time for time, _ in steps if time > newest - max(RECENT_S, step_s)}
    total = _Sums()
    for time, sums in steps:
        if time in chosen and sums.heard:
            total.all, total.good = total.all + sums.all, total.good + sums.good
            total.bad, total.heard = total.bad + sums.bad, True
    if not total.heard:
        return None, None
    return total.all / (len(chosen) * step_s), total.success_ratio
