"""Seeded traffic of two arms as the blocks the judge eats; used by aa.py and simulate.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.blocks import Block, CountArm, HistogramArm

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND

# Device families: share of starts.
DEVICES = (("tv", 0.35), ("tv-legacy", 0.2), ("phone", 0.25), ("tablet", 0.1), ("computer", 0.1))
STARTUP_SCALE = 4  # exponential histogram, 2^(1/16) per bucket, as the telemetry library sends
SERVER_BOUNDS_S = np.array(
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0]
)


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


HEALTHY = Release("good")
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


def blocks_of_seconds(
    traffic: Traffic, release: Release, seconds: int, rng: np.random.Generator
) -> Iterator[tuple[int, dict[str, list[Block]]]]:
    """Per second: (now_unix_nano, new blocks per key)."""
    speed = np.exp(rng.normal(0.0, traffic.instance_sigma, 2))
    total = traffic.baseline_per_s + traffic.canary_per_s
    for t in range(seconds):
        rates = (traffic.baseline_per_s, traffic.canary_per_s)
        if traffic.share_ramp:
            share = (0.05, 0.1, 0.25, 0.5)[4 * t // seconds]
            rates = (total * (1 - share), total * share)
        grow = (1 + traffic.drift_per_minute) ** (t / 60)
        fail = traffic.failure_ratio * (1 + traffic.failure_drift_per_minute) ** (t / 60)
        arms = [
            _arm(traffic, HEALTHY, rates[0], grow * speed[0], fail, rng),
            _arm(traffic, release, rates[1], grow * speed[1], fail, rng),
        ]
        start = START + t * SECOND
        new = {}
        for key in {**arms[0], **arms[1]}:
            pair = (arms[0].get(key), arms[1].get(key))
            new[key] = [Block(start, start + SECOND, pair[0], pair[1])]
        yield start + SECOND, new


def _arm(traffic, release, rate, speed, failure_ratio, rng):
    n = int(rng.poisson(rate))
    device = rng.choice(len(DEVICES), size=n, p=[share for _, share in DEVICES])
    p_bad = np.full(n, failure_ratio + release.device_failure_ratio)
    p_bad[device == 1] += release.legacy_failure_ratio
    bad = rng.random(n) < p_bad
    key = "playback.start.failures"
    arm: dict[str, CountArm | HistogramArm] = {}
    if n:
        arm[key] = CountArm(int((~bad).sum()), n)
    for i, (name, _) in enumerate(DEVICES):
        of = device == i
        if of.any():
            split = f"{key}{{playback.device.class={name}}}"
            arm[split] = CountArm(int((of & ~bad).sum()), int(of.sum()))
    good = int((~bad).sum())
    median = traffic.startup_median_s * release.start_factor * speed
    took = rng.lognormal(np.log(median), traffic.startup_sigma, good)
    took[rng.random(good) < release.tail_ratio] *= release.tail_factor
    if good:
        arm["playback.startup.duration"] = exponential_arm(took, STARTUP_SCALE)
    median = traffic.server_median_s * release.server_factor * speed
    took = rng.lognormal(np.log(median), traffic.server_sigma, n)
    if n:
        at = np.searchsorted(SERVER_BOUNDS_S, took, side="left")
        counts = np.bincount(at, minlength=len(SERVER_BOUNDS_S) + 1)
        arm["http.server.request.duration"] = HistogramArm(SERVER_BOUNDS_S, counts)
        errors = int(rng.binomial(n, traffic.error_ratio + release.error_ratio))
        arm["http.server.errors"] = CountArm(n - errors, n)
    return arm


def exponential_arm(values: np.ndarray, scale: int) -> HistogramArm:
    """Bounds cover just the values' range, as an exponential histogram's do."""
    index = np.ceil(np.log2(values) * 2**scale).astype(int) - 1
    low, high = index.min(), index.max()
    bounds = 2.0 ** (np.arange(low, high + 2) / 2**scale)
    counts = np.bincount(index - low + 1, minlength=high - low + 3)
    return HistogramArm(bounds, counts)
