"""Seeded traffic of two arms, second by second: what happened, and the blocks it makes.

``events_of_seconds`` is the truth; ``Binner`` turns it into the judge's blocks directly. The way
through OTLP, store and read API is ``bench.canary.otlp``: it must give the same blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.blocks import Block, CountArm, HistogramArm
from telemetry import semconv

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND

FAILURES = "playback.start.failures"
STARTUP = "playback.startup.duration"
SERVER = "http.server.request.duration"
ERRORS = "http.server.errors"

# Device families: share of starts.
DEVICES = (("tv", 0.35), ("tv-legacy", 0.2), ("phone", 0.25), ("tablet", 0.1), ("computer", 0.1))
STARTUP_SCALE = semconv.STARTUP_HISTOGRAM_MAX_SCALE  # 2^(1/16) per bucket
SERVER_BOUNDS_S = np.array(semconv.HTTP_DURATION_BUCKETS_S)
# What the reading side widens exponential layouts to: a millisecond to a thousand seconds.
STARTUP_INDEX = (-10 * 2**STARTUP_SCALE, 10 * 2**STARTUP_SCALE)
STARTUP_BOUNDS_S = np.exp2(np.arange(STARTUP_INDEX[0], STARTUP_INDEX[1] + 1) / 2**STARTUP_SCALE)


@dataclass(frozen=True, slots=True)
class Release:
    """What the canary does differently; the baseline always has the healthy values."""

    name: str
    start_factor: float = 1.0  # playback startup time
    server_factor: float = 1.0  # server response time
    legacy_failure_ratio: float = 0.0  # additional, on tv-legacy
    device_failure_ratio: float = 0.0  # additional, on every device, seen by devices only
    error_ratio: float = 0.0  # additional 5xx
    tail_ratio: float = 0.0  # share of starts that take tail_factor longer
    tail_factor: float = 1.0


HEALTHY = Release("N5-good")
#: F01, F03, F04 and N5 as the sample stack breaks (or does not break) its releases.
RELEASES = {
    r.name: r
    for r in (
        HEALTHY,
        Release("F01-legacy-tv-30%-fail", legacy_failure_ratio=0.3),
        Release("F03-slow-50%", start_factor=1.5, server_factor=1.5),
        Release("F04-10%-fail-on-device", device_failure_ratio=0.1),
        Release("errors-3%", error_ratio=0.03),
        Release("slow-20%", start_factor=1.2, server_factor=1.2),
        Release("slow-10%", start_factor=1.1, server_factor=1.1),
        Release("tail-3%x5", tail_ratio=0.03, tail_factor=5.0),
    )
}


@dataclass(frozen=True, slots=True)
class Traffic:
    """Rates per second and healthy values (medians in s, sigma of the log)."""

    baseline_per_s: float
    canary_per_s: float
    failure_ratio: float = 0.006
    startup_median_s: float = 0.8
    startup_sigma: float = 0.5
    server_median_s: float = 0.06
    server_sigma: float = 0.6
    error_ratio: float = 0.002
    drift_per_minute: float = 0.0  # relative growth of durations, both arms
    failure_drift_per_minute: float = 0.0  # relative growth of the failure ratio, both arms
    share_ramp: bool = False  # canary share 5 -> 10 -> 25 -> 50 % in quarters of the run
    instance_sigma: float = 0.0  # harmless difference of speed between the arms, log sd


@dataclass(frozen=True, slots=True)
class ArmEvents:
    """Starts of one arm in one second; ``startup_s`` belongs to the starts that did not fail."""

    device: npt.NDArray[np.int64]  # index into DEVICES
    is_bad: npt.NDArray[np.bool_]
    startup_s: npt.NDArray[np.float64]
    server_s: npt.NDArray[np.float64]
    is_error: npt.NDArray[np.bool_]


def events_of_seconds(
    traffic: Traffic, release: Release, seconds: int, rng: np.random.Generator
) -> Iterator[tuple[ArmEvents, ArmEvents]]:
    """Per second what happened on (baseline, canary)."""
    speed = np.exp(rng.normal(0.0, traffic.instance_sigma, 2))
    total = traffic.baseline_per_s + traffic.canary_per_s
    for t in range(seconds):
        rates = (traffic.baseline_per_s, traffic.canary_per_s)
        if traffic.share_ramp:
            share = (0.05, 0.1, 0.25, 0.5)[4 * t // seconds]
            rates = (total * (1 - share), total * share)
        grow = (1 + traffic.drift_per_minute) ** (t / 60)
        fail = traffic.failure_ratio * (1 + traffic.failure_drift_per_minute) ** (t / 60)
        yield (
            _arm(traffic, HEALTHY, rates[0], grow * speed[0], fail, rng),
            _arm(traffic, release, rates[1], grow * speed[1], fail, rng),
        )


def _arm(traffic, release, rate, speed, failure_ratio, rng) -> ArmEvents:
    n = int(rng.poisson(rate))
    device = rng.choice(len(DEVICES), size=n, p=[share for _, share in DEVICES])
    p_bad = np.full(n, failure_ratio + release.device_failure_ratio)
    p_bad[device == 1] += release.legacy_failure_ratio
    is_bad = rng.random(n) < p_bad
    good = int((~is_bad).sum())
    median = traffic.startup_median_s * release.start_factor * speed
    startup = rng.lognormal(np.log(median), traffic.startup_sigma, good)
    startup[rng.random(good) < release.tail_ratio] *= release.tail_factor
    median = traffic.server_median_s * release.server_factor * speed
    server = rng.lognormal(np.log(median), traffic.server_sigma, n)
    is_error = rng.random(n) < traffic.error_ratio + release.error_ratio
    return ArmEvents(device, is_bad, startup, server, is_error)


def startup_index(startup_s: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Exponential bucket index ``i`` of (base**i, base**(i+1)]."""
    return np.ceil(np.log2(startup_s) * 2**STARTUP_SCALE).astype(np.int64) - 1


class Binner:
    """Blocks of seconds as a reader of cumulative exports sees them.

    What an arm never sent has no number; what it has sent once is known ever after, a second
    without events is then a zero. Splits have blocks only where something happened.
    """

    def __init__(self) -> None:
        self._heard: set[tuple[str, int]] = set()

    def blocks(self, arms: tuple[ArmEvents, ArmEvents], start: int) -> dict[str, list[Block]]:
        """Blocks of the second that starts at ``start``."""
        made = [self._arm(i, events) for i, events in enumerate(arms)]
        result = {}
        for key in dict.fromkeys([*made[0], *made[1]]):
            pair = [arm.get(key) for arm in made]
            if "{" in key:
                if not any(arm is not None and arm.total for arm in pair):
                    continue
                known = [(FAILURES, i) in self._heard for i in (0, 1)]
                pair = [
                    CountArm(0, 0) if arm is None and here else arm
                    for arm, here in zip(pair, known, strict=True)
                ]
            result[key] = [Block(start, start + SECOND, pair[0], pair[1])]
        return result

    def _arm(self, number: int, events: ArmEvents) -> dict[str, CountArm | HistogramArm]:
        n, good = len(events.device), len(events.startup_s)
        self._heard |= {(name, number) for name in (FAILURES, SERVER) if n}
        self._heard |= {(STARTUP, number)} if good else set()
        arm: dict[str, CountArm | HistogramArm] = {}
        if (FAILURES, number) in self._heard:
            arm[FAILURES] = CountArm(good, n)
        for i in np.unique(events.device):
            of = events.device == i
            split = f"{FAILURES}{{{semconv.PLAYBACK_DEVICE_CLASS}={DEVICES[i][0]}}}"
            arm[split] = CountArm(int((of & ~events.is_bad).sum()), int(of.sum()))
        if (STARTUP, number) in self._heard:
            at = np.clip(startup_index(events.startup_s), *STARTUP_INDEX) - STARTUP_INDEX[0] + 1
            counts = np.bincount(at, minlength=len(STARTUP_BOUNDS_S) + 1)
            arm[STARTUP] = HistogramArm(STARTUP_BOUNDS_S, counts)
        if (SERVER, number) in self._heard:
            at = np.searchsorted(SERVER_BOUNDS_S, events.server_s, side="left")
            counts = np.bincount(at, minlength=len(SERVER_BOUNDS_S) + 1)
            arm[SERVER] = HistogramArm(SERVER_BOUNDS_S, counts)
            arm[ERRORS] = CountArm(n - int(events.is_error.sum()), n)
        return arm


def blocks_of_seconds(
    traffic: Traffic, release: Release, seconds: int, rng: np.random.Generator
) -> Iterator[tuple[int, dict[str, list[Block]]]]:
    """Per second: (now_unix_nano, new blocks per key)."""
    binner = Binner()
    for t, arms in enumerate(events_of_seconds(traffic, release, seconds, rng)):
        start = START + t * SECOND
        yield start + SECOND, binner.blocks(arms, start)
