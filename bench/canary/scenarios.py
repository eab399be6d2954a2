"""An hour of many canaries at once, in blocks of ten seconds: both arms under named conditions.

Names are stable. ``null...`` has no difference, ``+20%`` and ``tail-...`` are what a release does,
``shape-...`` were not looked at when bets were chosen. ``failures-0.5-1%`` are shares of failed
requests. Latencies are lognormal, median 100 ms, sigma 0.6 (p99 about 404 ms). Every array has one
row or one entry a run; values of all runs lie in one flat array beside the run they belong to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

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
    """``expected``: "quiet" or "alarm", what a judge without a margin should end with.

    ``within_margin``: the same for a judge with a margin of 9 or 10 %; "" where that is a matter of
    luck (harm right at the margin). ``parts``: names of scenarios that are metrics of one canary.
    """

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
    burst: int = 1  # requests that come together and share one fate
    failures: tuple[float, float] | None = None  # shares; then blocks are counts
    within_margin: str | None = None  # None: as expected
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arm:
    """Requests of one arm in one block, all runs: ``n`` (runs,), and either ``bad`` (runs,) or
    ``values`` in seconds with ``run``, the run of each.
    """

    n: np.ndarray
    values: np.ndarray
    run: np.ndarray
    bad: np.ndarray


@dataclass(frozen=True, slots=True)
class Block:
    """One block of all runs."""

    index: int
    baseline: Arm
    canary: Arm

    @property
    def minute(self) -> float:
        """Minutes from the start to the end of the block."""
        return (self.index + 1) * BLOCK_S / 60


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
        # Real differences between machines: only a margin makes them harmless.
        Scenario("null-instances-5%", "alarm", instance_sd=0.05, within_margin="quiet"),
        Scenario("null-instances-5%-1000", "alarm", 1000, 1000, instance_sd=0.05, within_margin=""),
        Scenario("null-bursts-5", "quiet", burst=5),
        Scenario("+5%", "alarm", effect=Effect(1.05), within_margin="quiet"),
        Scenario("+10%", "alarm", effect=Effect(1.1), within_margin=""),
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
        Scenario("null-failures-bursts-5", "quiet", burst=5, failures=(0.02, 0.02)),
        Scenario(
            "null-canary-of-5-metrics",
            "quiet",
            parts=(
                "null",
                "null-daily",
                "null-ramp-drift+40%",
                "null-failures-0.5%",
                "null-failures-2%",
            ),
        ),
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


def blocks(scenario: Scenario, rng: np.random.Generator, runs: int) -> Iterator[Block]:
    """The hour of all runs, block by block."""
    speeds = np.exp(rng.normal(0, scenario.instance_sd, (2, runs, 3)))
    total = scenario.baseline_per_min + scenario.canary_per_min
    load = rng.normal(size=runs)
    for i in range(BLOCKS):
        u, minute = i / BLOCKS, i * BLOCK_S / 60
        rates = (scenario.baseline_per_min, scenario.canary_per_min)
        if scenario.is_ramp:
            share = (0.05, 0.1, 0.25, 0.5)[int(4 * u)]
            rates = (total * (1 - share), total * share)
        load = 0.95 * load + math.sqrt(1 - 0.95**2) * rng.normal(size=runs)
        level = 1 + scenario.drift * u + scenario.daily * math.sin(2 * math.pi * u)
        level = MEDIAN_S * level * np.exp(scenario.load_sd * load)
        arms = []
        for arm, rate in enumerate(rates):
            draws = rng.poisson(rate * BLOCK_S / 60 / scenario.burst, runs)
            if scenario.failures is not None:
                arms.append(_failures(scenario, arm, draws, rng))
                continue
            run = np.repeat(np.arange(runs), draws)
            values = level[run] * np.exp(SIGMA * rng.standard_normal(len(run)))
            if scenario.instance_sd:
                values *= speeds[arm][run, rng.integers(0, 3, len(run))]
            if arm:
                values = scenario.effect.on(rng, values, minute)
            if scenario.burst > 1:
                run, values = np.repeat(run, scenario.burst), np.repeat(values, scenario.burst)
            arms.append(Arm(draws * scenario.burst, values, run, _NONE))
        yield Block(i, arms[0], arms[1])


_NONE = np.zeros(0)


def _failures(scenario: Scenario, arm: int, draws: np.ndarray, rng: np.random.Generator) -> Arm:
    assert scenario.failures is not None
    bad = rng.binomial(draws, scenario.failures[arm]) * scenario.burst
    return Arm(draws * scenario.burst, _NONE, _NONE, bad)


def history(edges: np.ndarray, count: int, rng: np.random.Generator, runs: int) -> np.ndarray:
    """Bucket counts (runs, buckets) of ``count`` requests from before the canary."""
    below = ndtr(np.log(edges / MEDIAN_S) / SIGMA)
    return rng.multinomial(count, np.diff(below, prepend=0.0, append=1.0), runs).astype(float)
