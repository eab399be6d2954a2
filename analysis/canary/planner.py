"""How many requests and minutes it takes to find, or to rule out, a difference.

A plan is a small simulation with the judge's own processes (:mod:`analysis.canary.studies`): the
traffic, the share of alpha, margins and the size of the harm are given, and out come the time and
the requests per arm by which half and nine tenths of such canaries are decided. Formulas for
fixed samples do not hold for tests that may stop at any look; running the test does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import ndtr, ndtri

from analysis.canary.errors import CanaryInputError
from analysis.canary.studies import DurationStudy, ShareStudy
from analysis.canary.tuning import CERTIFY_LEARN_MIN_COUNT, share_bets
from analysis.stats.dispersion import Dispersion, tempered
from analysis.stats.layouts import Floats, Ints
from analysis.stats.noninferiority import QuantileCertificate
from analysis.stats.past import PastCounts
from analysis.stats.ratio_eprocess import ShareProcess

#: More would not be asked of a terminal.
RUNS_MAX: Final = 2000
_BLOCKS_MAX: Final = 400
_BLOCK_S_MIN: Final = 1.0
# History before the canary: what half an hour of the baseline leaves.
_HISTORY_S: Final = 1800.0
_HISTORY_MIN, _HISTORY_MAX = 100, 5000
_BUCKETS_PER_OCTAVE: Final = 8  # exponential scale 3


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests a minute per arm, the time allowed, and the error budget of this one metric.

    ``alpha``: of FAIL (the rule's alpha times the metric's weight), ``pass_alpha``: of a
    certificate.
    """

    baseline_per_min: float
    canary_per_min: float
    horizon_min: float
    alpha: float
    pass_alpha: float

    def __post_init__(self) -> None:
        for name in ("baseline_per_min", "canary_per_min", "horizon_min"):
            _within(name, getattr(self, name), 0.0, 1e9)
        for name in ("alpha", "pass_alpha"):
            _within(name, getattr(self, name), 0.0, 1.0)

    @property
    def block_s(self) -> float:
        """Length of the blocks that are simulated."""
        return max(_BLOCK_S_MIN, 60.0 * self.horizon_min / _BLOCKS_MAX)


@dataclass(frozen=True, slots=True)
class Durations:
    """A lognormal latency and what may happen to it: ``slower_ratio`` to all requests, or
    ``tail_times`` to ``tail_share`` of them.
    """

    median_s: float
    p99_s: float
    margin: float
    slower_ratio: float = 0.0
    tail_share: float = 0.0
    tail_times: float = 1.0

    def __post_init__(self) -> None:
        _within("median_s", self.median_s, 0.0, 1e9)
        _within("median_s", self.median_s, 0.0, 1e9)
        _within("p99_s over median_s", self.p99_s / self.median_s, 1.0, 1e6)
        _within("margin", self.margin, -1e-12, 1.0)
        _within("slower_ratio", self.slower_ratio, -0.99, 100.0)
        _within("tail_share", self.tail_share, -1e-12, 1.0)
        _within("tail_times", self.tail_times, 0.0, 1e6)

    def shares(self) -> tuple[Floats, Floats, Floats]:
        """``edges``, and the shares of baseline and canary per bucket."""
        sigma = math.log(self.p99_s / self.median_s) / float(ndtri(0.99))
        center = math.log2(self.median_s) * _BUCKETS_PER_OCTAVE
        reach = (6.0 * sigma + math.log(max(self.tail_times, 1.0))) / math.log(2)
        low = math.floor(center - 6.0 * sigma / math.log(2) * _BUCKETS_PER_OCTAVE)
        high = math.ceil(center + (reach + 1.0) * _BUCKETS_PER_OCTAVE)
        edges = np.exp2(np.arange(low, high + 1) / _BUCKETS_PER_OCTAVE)

        def shares_of(times: float) -> Floats:
            below = ndtr(np.log(edges / (self.median_s * times)) / sigma)
            return np.diff(below, prepend=0.0, append=1.0)

        usual = shares_of(1.0 + self.slower_ratio)
        slow = shares_of((1.0 + self.slower_ratio) * self.tail_times)
        return edges, shares_of(1.0), (1.0 - self.tail_share) * usual + self.tail_share * slow


@dataclass(frozen=True, slots=True)
class Failures:
    """Shares of bad requests, and the margin between them that is accepted."""

    baseline_ratio: float
    canary_ratio: float
    margin: float

    def __post_init__(self) -> None:
        _within("baseline_ratio", self.baseline_ratio, -1e-12, 1.0)
        _within("canary_ratio", self.canary_ratio, -1e-12, 1.0)
        _within("margin", self.margin, -1e-12, 1.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """When canaries are decided. ``None``: not within the horizon.

    ``minutes`` and ``requests`` (of the canary; the baseline's beside) map the share of canaries
    decided to what that takes.
    """

    decided_ratio: float  # within the horizon
    minutes: dict[float, float | None]
    canary_requests: dict[float, int | None]
    baseline_requests: dict[float, int | None]
    runs: int

    def to_json(self) -> dict[str, Any]:
        return {
            "decided_ratio": self.decided_ratio,
            "minutes": {f"{p:g}": v for p, v in self.minutes.items()},
            "canary_requests": {f"{p:g}": v for p, v in self.canary_requests.items()},
            "baseline_requests": {f"{p:g}": v for p, v in self.baseline_requests.items()},
            "runs": self.runs,
        }


def plan_detection(
    what: Durations | Failures, traffic: Traffic, rng: np.random.Generator, runs: int
) -> Plan:
    """Time until FAIL of a canary that is as bad as said. Raises :class:`CanaryInputError`."""
    _within("runs", runs, 0, RUNS_MAX)
    need = -math.log(traffic.alpha)
    is_decided = np.zeros(runs, dtype=bool)
    minutes = np.full(runs, np.inf)
    if isinstance(what, Failures):
        steps = _failures(what, traffic, rng, runs, need)
    else:
        steps = _durations(what, traffic, rng, runs)
    for minute, log_es in steps:
        minutes[~is_decided & (log_es >= need)] = minute
        is_decided |= log_es >= need
        if is_decided.all():
            break
    return _plan(minutes, traffic)


def plan_certificate(
    what: Durations | Failures,
    pass_margin: float,
    traffic: Traffic,
    rng: np.random.Generator,
    runs: int,
    *,
    quantile: float = 0.5,
) -> Plan:
    """Time until "worse by less than ``pass_margin``" is shown of a canary that is as said.

    For durations at one ``quantile``. Raises :class:`CanaryInputError`.
    """
    _within("runs", runs, 0, RUNS_MAX)
    _within("pass_margin", pass_margin, 0.0, 10.0)
    _within("quantile", quantile, 0.0, 1.0)
    need = -math.log(traffic.pass_alpha)
    if isinstance(what, Failures):
        minutes = _certified_shares(what, pass_margin, traffic, rng, runs, need)
    else:
        children = rng.spawn(runs)
        found = [_certified(what, pass_margin, quantile, traffic, r, need) for r in children]
        minutes = np.array(found)
    return _plan(minutes, traffic)


def _times(traffic: Traffic) -> Iterator[tuple[float, float]]:
    """(start in s, end in min) of each block."""
    for i in range(int(60.0 * traffic.horizon_min / traffic.block_s)):
        yield i * traffic.block_s, (i + 1) * traffic.block_s / 60.0


def _sizes(traffic: Traffic, rng: np.random.Generator, runs: int) -> tuple[Ints, Ints]:
    rate = traffic.block_s / 60.0
    return (
        rng.poisson(traffic.baseline_per_min * rate, runs),
        rng.poisson(traffic.canary_per_min * rate, runs),
    )


def _outcomes(
    what: Failures, traffic: Traffic, rng: np.random.Generator, runs: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Bad and all requests of the baseline, then of the canary, of one block."""
    n_a, n_b = _sizes(traffic, rng, runs)
    bad_a, bad_b = rng.binomial(n_a, what.baseline_ratio), rng.binomial(n_b, what.canary_ratio)
    return bad_a.astype(float), n_a.astype(float), bad_b.astype(float), n_b.astype(float)


def _history(traffic: Traffic, p: Floats, rng: np.random.Generator, runs: int) -> Floats:
    count = traffic.baseline_per_min * _HISTORY_S / 60.0
    size = int(min(max(count, _HISTORY_MIN), _HISTORY_MAX))
    return rng.multinomial(size, p, runs).astype(float)


def _durations(
    what: Durations, traffic: Traffic, rng: np.random.Generator, runs: int
) -> Iterator[tuple[float, Floats]]:
    edges, p_a, p_b = what.shares()
    keep = 0.5 ** (traffic.block_s / _HISTORY_S)
    study = DurationStudy(edges, what.margin, _history(traffic, p_a, rng, runs), keep)
    for _, minute in _times(traffic):
        n_a, n_b = _sizes(traffic, rng, runs)
        study.step(rng.multinomial(n_a, p_a).astype(float), rng.multinomial(n_b, p_b).astype(float))
        yield minute, study.log_es


def _failures(
    what: Failures, traffic: Traffic, rng: np.random.Generator, runs: int, need: float
) -> Iterator[tuple[float, Floats]]:
    study = ShareStudy(
        runs,
        what.margin,
        what.baseline_ratio,
        goal_log_e=need,
        horizon_s=60.0 * traffic.horizon_min,
    )
    for start_s, minute in _times(traffic):
        study.step(*_outcomes(what, traffic, rng, runs), elapsed_s=start_s)
        yield minute, study.log_es


def _certified_shares(
    what: Failures,
    pass_margin: float,
    traffic: Traffic,
    rng: np.random.Generator,
    runs: int,
    need: float,
) -> Floats:
    bets = share_bets(what.baseline_ratio, margin=what.margin, is_split=False, goal_log_e=need)
    safe = ShareProcess(pass_margin, -1, bets, (runs,))
    minutes = np.full(runs, np.inf)
    bursts = Dispersion((runs,))
    for _, minute in _times(traffic):
        block = _outcomes(what, traffic, rng, runs)
        safe.step(*block, 1.0)
        bursts.step(*block)
        is_shown = tempered(safe.log_es, bursts.ratio) >= need
        minutes[np.isinf(minutes) & is_shown] = minute
        if np.isfinite(minutes).all():
            break
    return minutes


def _certified(
    what: Durations,
    pass_margin: float,
    quantile: float,
    traffic: Traffic,
    rng: np.random.Generator,
    need: float,
) -> float:
    edges, p_a, p_b = what.shares()
    past = PastCounts()
    past.add(0, edges, _history(traffic, p_a, rng, 1)[0])
    certificate = QuantileCertificate(quantile, pass_margin, 1.0, CERTIFY_LEARN_MIN_COUNT)
    keep = 0.5 ** (traffic.block_s / _HISTORY_S)
    for _, minute in _times(traffic):
        n_a, n_b = _sizes(traffic, rng, 1)
        a, b = rng.multinomial(n_a[0], p_a), rng.multinomial(n_b[0], p_b)
        certificate.step([((edges, a), (edges, b))], past)
        if certificate.log_e >= need:
            return minute
        past.forget(keep)
        past.add(0, edges, a)
        past.add(1, edges, b)
    return math.inf


def _plan(minutes: Floats, traffic: Traffic) -> Plan:
    def needed(p: float) -> float | None:
        value = float(np.quantile(minutes, p, method="higher"))
        return value if math.isfinite(value) else None

    at = {p: needed(p) for p in (0.5, 0.9)}

    def requests(per_min: float) -> dict[float, int | None]:
        return {p: None if v is None else math.ceil(v * per_min) for p, v in at.items()}

    return Plan(
        float(np.isfinite(minutes).mean()),
        at,
        requests(traffic.canary_per_min),
        requests(traffic.baseline_per_min),
        len(minutes),
    )


def _within(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low < value <= high):
        low_text = max(low, 0.0) if abs(low) < 1e-9 else low
        raise CanaryInputError(f"{name}: {value!r}; needs to be above {low_text:g}, up to {high:g}")
