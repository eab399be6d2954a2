"""Sequential proof that the canary is *not* slower than the baseline by a margin.

For a quantile level p, each block asks at a threshold x near the baseline's past p-quantile.
Null: ``P_canary(X > (1 + margin) x) >= P_baseline(X > x)`` in every block, that is, the canary is
slower by at least the margin there. Exceedances are shares, so the e-values of
:mod:`analysis.stats.projection` apply (side -1); x may follow the past.

Counts that straddle a threshold are read against the claim: a baseline event counts as above x
only if it surely is, a canary event as above (1 + margin) x whenever it may be.

Where buckets are too coarse for the ratio (no edge between x and (1 + margin) x), the claim is
about shares at the edge: null ``P_canary(X > x) >= P_baseline(X > x) + d``. There d is what the
ratio means at x, read from the baseline's past by interpolation between edges and kept between
0.02 and ``share_margin_max``. The evidence is exact for the d used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.stats.layouts import Floats, count_possibly_above, count_surely_above
from analysis.stats.past import PastCounts
from analysis.stats.projection import log_e_two_shares, log_mean_exp
from analysis.stats.rank_eprocess import Arm

# Capital per alternative: "no difference", "as the canary did so far", "as both did so far".
_WEIGHTS = np.array([0.4, 0.3, 0.3])
_SHARE_MARGIN_MIN = 0.02


class QuantileCertificate:
    """E-process for one quantile level; a large value certifies "slower by less than the margin".

    ``margin`` is a ratio (0.25 = 25 %), ``share_margin_max`` an absolute share for coarse
    buckets. ``learn_min_count``: baseline events before the first bet.
    """

    def __init__(
        self, p: float, margin: float, share_margin_max: float, learn_min_count: float
    ) -> None:
        self.p = p
        self._margin = margin
        self._share_margin_max = share_margin_max
        self._learn_min_count = learn_min_count
        self._logs: Floats = np.zeros(len(_WEIGHTS))
        self.log_e = 0.0  # natural log of the evidence so far
        self.max_log_e = 0.0
        self.blocks = 0

    def step(self, parts: Sequence[tuple[Arm, Arm]], past: PastCounts) -> None:
        """Take one block, its (baseline, canary) parts as :meth:`RankProcess.step` takes them,
        with the past that does not contain it.
        """
        n_a = float(sum(baseline[1].sum() for baseline, _ in parts))
        n_b = float(sum(canary[1].sum() for _, canary in parts))
        x = past.edge_near(0, self.p)
        if n_a <= 0 or n_b <= 0 or x is None or past.total(0) < self._learn_min_count:
            return
        fine = past.step_ratio_at(self.p) <= 1.0 + self._margin * (1 + 1e-9)
        y = x * (1.0 + self._margin) if fine and x > 0 else x
        margin = 0.0 if fine and x > 0 else self._share_margin(past, x)
        above_a = sum(count_surely_above(*baseline, x) for baseline, _ in parts)
        above_b = sum(count_possibly_above(*canary, y) for _, canary in parts)
        p_a, p_b = self._alternatives(past, x, y)
        self._logs = self._logs + log_e_two_shares(
            above_a,
            n_a,
            above_b,
            n_b,
            p_a,
            p_b,
            margin,
            -1.0,
        )
        self.log_e = float(log_mean_exp(self._logs, _WEIGHTS))
        self.max_log_e = max(self.max_log_e, self.log_e)
        self.blocks += 1

    def _share_margin(self, past: PastCounts, x: float) -> float:
        shifted = past.share_above_interpolated(0, x / (1.0 + self._margin))
        meant = shifted - past.share_above_interpolated(0, x)
        return min(max(meant, _SHARE_MARGIN_MIN), self._share_margin_max)

    @staticmethod
    def _alternatives(past: PastCounts, x: float, y: float) -> tuple[Floats, Floats]:
        base_x, base_y = past.share_above(0, x), past.share_above(0, y)
        own_x, own_y = past.share_above(1, x), past.share_above(1, y)
        if past.total(1) <= 0:
            own_x, own_y = base_x, base_y
        p_a = np.array([base_x, base_x, 0.5 * (base_x + own_x)])
        p_b = np.array([base_y, own_y, 0.5 * (base_y + own_y)])
        return p_a, p_b

    def to_state(self) -> dict[str, Any]:
        """JSON-able; floats survive exactly."""
        return {
            "logs": self._logs.tolist(),
            "log_e": self.log_e,
            "max_log_e": self.max_log_e,
            "blocks": self.blocks,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` of an equally configured certificate returned."""
        self._logs = np.array(state["logs"], dtype=float)
        self.log_e = float(state["log_e"])
        self.max_log_e = float(state["max_log_e"])
        self.blocks = int(state["blocks"])
