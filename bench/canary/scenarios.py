"""An hour of a canary in blocks of ten seconds: requests of both arms under named conditions.

Names: ``null`` and friends have no difference, ``+20%`` and ``tail-...`` are what a release does,
``shape-...`` were not looked at when bets were chosen. ``failures-0.5-1%`` are shares of failed
requests. Latencies are lognormal, median 100 ms, sigma 0.6 (p99 about 404 ms).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

MEDIAN_S, SIGMA = 0.1, 0.6
BLOCK_S, BLOCKS = 10, 360


@dataclass(frozen=True, slots=True)
class Effect:
    """What the canary's release does to a request, as one sum:

    ``times * value + delay_s``, for a share of requests ``tail_times`` on top or an exponential
    wait of mean ``wait_s``, and the whole ``healing_ratio`` slower at first, back to usual after
    ``healing_min`` minutes.
    """

    times: float = 1.0
    delay_s: float = 0.0
    share: float = 0.0
    tail_times: float = 1.0
    wait_s: float = 0.0
    healing_ratio: float = 0.0
    healing_min: float = 1.0

    def on(self, rng: np.random.Generator, values: np.ndarray, minute: float) -> np.ndarray:
        cold = 1 + self.healing_ratio * max(0.0, 1 - minute / self.healing_min)
        is_hit = rng.random(len(values)) < self.share
        tail = np.where(is_hit, self.tail_times, 1.0)
        waits = np.where(is_hit, rng.exponential(1.0, len(values)) * self.wait_s, 0.0)
        return values * (self.times * cold * tail) + self.delay_s + waits


def tail(share: float, times: float) -> Effect:
    return Effect(share=share, tail_times=times)


@dataclass(frozen=True, slots=True)
class Scenario:
    """``expected``: "quiet" or "alarm", what a judge without a margin should end with."""

    name: str
    expected: str
    baseline_per_min: float = 200.0
    canary_per_min: float = 200.0
    effect: Effect = Effect()
    drift: float = 0.0  # growth of latency over the hour, both arms
    daily: float = 0.0  # amplitude of a cycle over the hour, both arms
    is_ramp: bool = False  # canary share 5, 10, 25, 50 % of the total
    load_sd: float = 0.0  # shared AR(1) noise of the log, 0.95 per block
    instance_sd: float = 0.0  # log sd of each of three instances' speed
    failures: tuple[float, float] | None = None  # shares; then blocks are counts


@dataclass(frozen=True, slots=True)
class Block:
    """Latencies in seconds of both arms, or (failures, requests) of both."""

    minute: float
    baseline: np.ndarray
    canary: np.ndarray


SCENARIOS = {
    s.name: s
    for s in (
        Scenario("null", "quiet"),
        Scenario("null-drift+40%", "quiet", 500, 500, drift=0.4),
        Scenario("null-drift-30%", "quiet", 500, 500, drift=-0.3),
        Scenario("null-daily", "quiet", 500, 500, daily=0.2),
        Scenario("null-ramp-drift+40%", "quiet", 500, 500, is_ramp=True, drift=0.4),
        Scenario("null-ramp-drift-30%", "quiet", 500, 500, is_ramp=True, drift=-0.3),
        Scenario("null-ramp-daily", "quiet", 500, 500, is_ramp=True, daily=0.2),
        Scenario("null-shared-load", "quiet", 500, 500, load_sd=0.2),
        Scenario("null-ramp-shared-load", "quiet", 500, 500, is_ramp=True, load_sd=0.2),
        Scenario("null-instances-5%", "quiet", instance_sd=0.05),
        Scenario("null-instances-5%-1000", "quiet", 1000, 1000, instance_sd=0.05),
        Scenario("+5%", "alarm", effect=Effect(1.05)),
        Scenario("+10%", "alarm", effect=Effect(1.1)),
        Scenario("+20%", "alarm", effect=Effect(1.2)),
        Scenario("+50%", "alarm", effect=Effect(1.5)),
        Scenario("tail-2%x5", "alarm", effect=tail(0.02, 5)),
        Scenario("tail-5%x3", "alarm", effect=tail(0.05, 3)),
        Scenario("tail-0.5%x10", "alarm", effect=tail(0.005, 10)),
        Scenario("+20%-ramp-drift+40%", "alarm", 500, 500, Effect(1.2), 0.4, is_ramp=True),
        Scenario("+20%-shared-load", "alarm", 500, 500, Effect(1.2), load_sd=0.2),
        Scenario("shape-delay-20ms", "alarm", effect=Effect(delay_s=0.02)),
        Scenario("shape-lock", "alarm", effect=Effect(share=0.1, wait_s=0.15)),
        Scenario("shape-one-endpoint-x2", "alarm", effect=tail(0.1, 2)),
        Scenario("shape-one-instance-x1.5", "alarm", effect=tail(1 / 3, 1.5)),
        Scenario(
            "shape-cold-start-3min", "alarm", effect=Effect(healing_ratio=1.0, healing_min=3.0)
        ),
        Scenario("null-failures-0.2%", "quiet", failures=(0.002, 0.002)),
        Scenario("null-failures-0.5%", "quiet", failures=(0.005, 0.005)),
        Scenario("null-failures-2%", "quiet", failures=(0.02, 0.02)),
        Scenario("failures-0.2-0.4%", "alarm", failures=(0.002, 0.004)),
        Scenario("failures-0.5-0.75%", "alarm", failures=(0.005, 0.0075)),
        Scenario("failures-0.5-1%", "alarm", failures=(0.005, 0.01)),
        Scenario("failures-0.5-2%", "alarm", failures=(0.005, 0.02)),
        Scenario("failures-2-3%", "alarm", failures=(0.02, 0.03)),
    )
}


def at_rate(scenario: Scenario, per_min: float | None) -> Scenario:
    """The same at another rate of requests per arm."""
    if per_min is None:
        return scenario
    return replace(scenario, baseline_per_min=per_min, canary_per_min=per_min)


def blocks(scenario: Scenario, rng: np.random.Generator) -> Iterator[Block]:
    """The hour, block by block."""
    speeds = np.exp(rng.normal(0, scenario.instance_sd, (2, 3)))
    total = scenario.baseline_per_min + scenario.canary_per_min
    load = rng.normal()
    for i in range(BLOCKS):
        u, minute = i / BLOCKS, i * BLOCK_S / 60
        rates = (scenario.baseline_per_min, scenario.canary_per_min)
        if scenario.is_ramp:
            share = (0.05, 0.1, 0.25, 0.5)[int(4 * u)]
            rates = (total * (1 - share), total * share)
        sizes = [int(n) for n in rng.poisson(np.array(rates) * BLOCK_S / 60)]
        if scenario.failures is not None:
            pair = [
                np.array([rng.binomial(n, p), n])
                for n, p in zip(sizes, scenario.failures, strict=True)
            ]
            yield Block(minute, pair[0], pair[1])
            continue
        load = 0.95 * load + math.sqrt(1 - 0.95**2) * rng.normal()
        level = 1 + scenario.drift * u + scenario.daily * math.sin(2 * math.pi * u)
        level *= math.exp(scenario.load_sd * load)
        arms = []
        for arm, n in enumerate(sizes):
            values = rng.lognormal(math.log(MEDIAN_S * level), SIGMA, n)
            arms.append(values * speeds[arm][rng.integers(0, 3, n)])
        yield Block(minute, arms[0], scenario.effect.on(rng, arms[1], minute))
