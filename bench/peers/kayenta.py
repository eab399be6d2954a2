"""Kayenta's judge on per-second points, asked again every second.

The rule of Spinnaker's NetflixACAJudge (Mann-Whitney with tolerance 0.25 at confidence 0.98,
direction increase, effect size off), in its closed form: High when the continuity-corrected,
tie-corrected standardised U of the pairs {canary - baseline > 0.25 |median pair|} exceeds the
normal quantile. ``analysis.canary.kayenta`` follows the original to the last bit, solver included;
this form is the same rule free of its artefacts, fast enough to be asked at every look.
"""

from __future__ import annotations

import math

import numpy as np

from bench.canary.streams import ArmEvents

TOLERANCE = 0.25
Z = 2.3263478740408408  # normal quantile of 0.99: confidence 0.98, two sides
#: The documentation asks for at least 50 points; it looks once, we look from there on.
POINTS_MIN = 50


def is_high(baseline: np.ndarray, canary: np.ndarray) -> bool:
    """Whether the canary's points are classified High."""
    if len(baseline) == 0 or len(canary) == 0:
        return False
    pairs = np.subtract.outer(canary, baseline).ravel()
    mu = TOLERANCE * abs(float(np.median(pairs)))
    n, m = len(canary), len(baseline)
    u = np.count_nonzero(pairs > mu) + 0.5 * np.count_nonzero(pairs == mu)
    shift = u - n * m / 2
    _, ties = np.unique(np.concatenate([canary - mu, baseline]), return_counts=True)
    total = n + m
    spread = n * m / 12 * (total + 1 - float((ties**3.0 - ties).sum()) / (total * (total - 1)))
    if spread <= 0:
        return False
    is_beyond = (shift - 0.5 * math.copysign(1, shift)) / math.sqrt(spread) > Z
    return bool(is_beyond and canary.mean() >= baseline.mean())


class KayentaWatch:
    """Four metrics per second and arm: failure share, error share, mean durations."""

    name = "Kayenta's rule, every second from 50 s"

    def __init__(self) -> None:
        self._values: list[tuple[list[float], list[float]]] = [([], []) for _ in range(4)]

    def look(self, arms: tuple[ArmEvents, ArmEvents]) -> bool:
        """Take one second; whether any metric is High now."""
        for i, events in enumerate(arms):
            for (baseline, canary), value in zip(self._values, _points(events), strict=True):
                if value is not None:
                    (canary if i else baseline).append(value)
        return any(
            min(len(baseline), len(canary)) >= POINTS_MIN
            and is_high(np.array(baseline), np.array(canary))
            for baseline, canary in self._values
        )


def _points(events: ArmEvents) -> tuple[float | None, ...]:
    if len(events.device) == 0:
        return (None,) * 4
    return (
        float(events.is_bad.mean()),
        float(events.is_error.mean()),
        float(events.startup_s.mean()) if len(events.startup_s) else None,
        float(events.server_s.mean()),
    )
