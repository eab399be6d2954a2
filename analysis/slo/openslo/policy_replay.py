"""What a burn-rate policy would have sent over counts of the past, decided in integers.

The same rule as the running one (``analysis.slo.burn_rate``), over arrays: bad events, unseen time
as time without failures, both windows strictly above the factor, and the guard against noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.stats import binom

from analysis.slo.objectives import BurnWindow, Guard
from analysis.slo.openslo.exact import exact
from analysis.slo.openslo.sliced_past import Counts, CountsError, Flags, SlicedPast


@dataclass(frozen=True, slots=True)
class Episode:
    """Slices ``[first, last]`` at whose ends an alert was firing."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _WindowSums:
    """Sums over the window that ends with each slice, with the slices in it somebody reported."""

    bad: Counts
    total: Counts
    seen: Counts
    slices: int


def firing(
    past: SlicedPast,
    window: BurnWindow,
    budget_ratio: Fraction,
    guard: Guard,
    wait_s: int = 0,
    evidence: SlicedPast | None = None,
) -> Flags:
    """Whether one window pair fires at the end of each slice.

    ``wait_s``: how long it must hold before it counts (Prometheus' ``for``). ``evidence``: events
    of the same slices, where the guard counts these instead. Raises CountsError.
    """
    limit = exact(window.factor) * budget_ratio
    long = _sums(past, window.long_window_s)
    above = _is_above(long, limit) & _is_above(_sums(past, window.short_window_s), limit)
    candidates = np.flatnonzero(above)
    failures = long if evidence is None else _sums(evidence, window.long_window_s)
    bad, total = failures.bad[candidates], failures.total[candidates]
    is_noise = binom.sf(bad - 1, total, float(budget_ratio)) > guard.p_value
    above[candidates[is_noise | (bad < guard.min_failures)]] = False
    return _held(above, -(-wait_s // past.slice_s)) if wait_s else above


def episodes(flags: Flags) -> tuple[Episode, ...]:
    """Runs of firing, in order."""
    edges = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return tuple(Episode(int(first), int(end) - 1) for first, end in zip(starts, ends, strict=True))


def _sums(past: SlicedPast, window_s: int) -> _WindowSums:
    slices, rest = divmod(window_s, past.slice_s)
    if rest or slices < 1:
        raise CountsError(f"a window of {window_s} s in slices of {past.slice_s} s")

    def summed(counts: Counts) -> Counts:
        running = np.cumsum(counts)
        before = np.concatenate((np.zeros(slices, dtype=np.int64), running))[: len(running)]
        return running - before

    bad = summed(past.bad)
    return _WindowSums(bad, bad + summed(past.good), summed(past.reported.astype(np.int64)), slices)


def _is_above(sums: _WindowSums, limit: Fraction) -> Flags:
    """``bad / total * covered share of the window > limit`` without dividing: exact, or refused."""
    largest = int(sums.total.max(initial=0))
    if largest * max(limit.numerator, limit.denominator) * sums.slices >= 2**63:
        raise CountsError(f"{largest} events in {sums.slices} slices are too many for {limit}")
    measured = sums.bad * np.int64(limit.denominator) * sums.seen
    return measured > sums.total * np.int64(limit.numerator * sums.slices)


def _held(flags: Flags, slices: int) -> Flags:
    """Firing only where it held for so many slices before as well."""
    running = np.cumsum(flags)
    before = np.concatenate((np.zeros(slices + 1, dtype=running.dtype), running))[: len(running)]
    return np.asarray(running - before == slices + 1)
