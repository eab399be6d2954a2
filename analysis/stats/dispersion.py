"""Are the requests of a block independent events, or do they come in bursts of the same fate?

Retries, one session that fails five times, a dependency that stalls a batch: then a count of k
holds fewer independent events, and evidence that takes them for k is too sure of itself. The
variance tells. Per group the canary's surplus of marked events ``D = k_b - k n_b / n`` has, given
the total k, the hypergeometric variance ``V = k (n - k) n_a n_b / (n^2 (n - 1))`` when events are
independent, whatever the shared rate does from group to group. A lasting difference between the
arms moves the mean of ``z = D / sqrt(V)``, so its *successive differences* are looked at: half
their mean square estimates the events per independent event. It is believed when it is 2.5
standard errors above 1. Before enough groups are in to tell, evidence has to stand without the one
group that gave most of it.

Evidence is then raised to the power 1 over it: bursts of c alike events multiply the log of an
e-value by c, and the division takes that back. With independent events the power can only lower
evidence above one, so the guarantee stays exact there, whatever the estimate does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from analysis.stats.projection import Floats, Numbers

_STANDARD_ERRORS: Final = 2.5
_PAIRS_MIN: Final = 2
# Until so many pairs of groups told how events come, no single group may decide. Groups of slow and
# fast requests tell more than groups with a failure or two.
ENOUGH_FOR_DURATIONS: Final = 6
ENOUGH_FOR_COUNTS: Final = 16


class Dispersion:
    """Events counted per independent event of one mark ("failed", "slower than the median")."""

    def __init__(self, studies: tuple[int, ...] = ()) -> None:
        """``studies``: leading shape when many are computed side by side (simulation)."""
        self._last: Floats = np.full(studies, np.nan)
        # Half the squared differences of z, the variance they should have, and how many.
        self._squares, self._variance, self._pairs = np.zeros((3, *studies))

    def step(self, k_a: Numbers, n_a: Numbers, k_b: Numbers, n_b: Numbers) -> None:
        """Take one group: marked and all events of the baseline, then of the canary."""
        k_a, n_a, k_b, n_b = (np.asarray(x, dtype=float) for x in (k_a, n_a, k_b, n_b))
        k, n = k_a + k_b, n_a + n_b
        with np.errstate(divide="ignore", invalid="ignore"):
            share = n_b / n
            variance = k * (n - k) * share * (1.0 - share) / (n - 1.0)
            z = (k_b - k * share) / np.sqrt(variance)
            marked = np.minimum(k, n - k)
            kurtosis = np.maximum((1.0 / (share * (1.0 - share)) - 6.0) / marked, 0.0)
            half = 0.5 * (z - self._last) ** 2
        is_told = np.isfinite(z)
        is_pair = is_told & np.isfinite(half)
        self._squares = self._squares + np.where(is_pair, half, 0.0)
        # Neighbouring differences share a z: their mean square varies 3/2 times as much.
        self._variance = self._variance + np.where(is_pair, 1.5 * (2.0 + kurtosis), 0.0)
        self._pairs = self._pairs + is_pair
        self._last = np.where(is_told, z, self._last)

    @property
    def pairs(self) -> Floats:
        """Pairs of groups that told something, per study."""
        result: Floats = self._pairs
        return result

    @property
    def ratio(self) -> Floats:
        """Events per independent event, at least 1; 1 while more is not shown."""
        pairs = np.maximum(self._pairs, 1.0)
        estimate = self._squares / pairs
        is_shown = estimate > 1.0 + _STANDARD_ERRORS * np.sqrt(self._variance) / pairs
        is_shown = is_shown & (self._pairs >= _PAIRS_MIN)
        result: Floats = np.where(is_shown, np.maximum(estimate, 1.0), 1.0)
        return result

    def to_state(self) -> dict[str, Any]:
        """JSON-able, of a single study."""
        return {
            "last": float(self._last) if np.isfinite(self._last) else None,
            "sums": [float(self._squares), float(self._variance), float(self._pairs)],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` returned."""
        last = state["last"]
        self._last = np.array(np.nan if last is None else float(last))
        self._squares, self._variance, self._pairs = (np.array(float(v)) for v in state["sums"])


def tempered(log_e: Numbers, ratio: Numbers) -> Floats:
    """Evidence when ``ratio`` counted events are one: never more than ``log_e``."""
    log_e = np.asarray(log_e, dtype=float)
    result: Floats = np.where(log_e > 0, log_e / ratio, log_e)
    return result


class IndependentEvidence:
    """What of a process's evidence stands when events may come in bursts."""

    def __init__(self, marks: int, pairs_enough: int, studies: tuple[int, ...] = ()) -> None:
        """``marks``: in how many ways events are looked at ("slow", "very slow")."""
        self._pairs_enough = pairs_enough
        self._marks = [Dispersion(studies) for _ in range(marks)]
        self._raw: Floats = np.zeros(studies)
        self._largest: Floats = np.zeros(studies)  # gain of log evidence from one group
        self.log_es: Floats = np.zeros(studies)
        self.max_log_e = 0.0  # over studies and groups

    def step(self, counts: Sequence[tuple[Numbers, Numbers, Numbers, Numbers]], raw: Any) -> None:
        """Take a group: per mark the counts of :meth:`Dispersion.step`, and the process's log e."""
        for mark, group in zip(self._marks, counts, strict=True):
            mark.step(*group)
        raw = np.asarray(raw, dtype=float)
        self._largest = np.maximum(self._largest, raw - self._raw)
        self._raw = raw
        told = np.min([mark.pairs for mark in self._marks], axis=0)
        stands = np.where(
            (told >= self._pairs_enough) | (raw <= 0), raw, np.maximum(raw - self._largest, 0.0)
        )
        self.log_es = tempered(stands, self.ratio)
        self.max_log_e = max(self.max_log_e, float(self.log_es.max()))

    @property
    def ratio(self) -> Floats:
        """Events per independent event: the worst of the marks."""
        result: Floats = np.max([mark.ratio for mark in self._marks], axis=0)
        return result

    @property
    def log_e(self) -> float:
        """Log evidence of the single study."""
        return float(self.log_es)

    def to_state(self) -> dict[str, Any]:
        """JSON-able, of a single study."""
        return {
            "marks": [mark.to_state() for mark in self._marks],
            "values": [float(self._raw), float(self._largest), self.log_e, self.max_log_e],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` returned."""
        for mark, saved in zip(self._marks, state["marks"], strict=True):
            mark.restore(saved)
        raw, largest, log_e, self.max_log_e = (float(v) for v in state["values"])
        self._raw, self._largest, self.log_es = (np.array(v) for v in (raw, largest, log_e))
