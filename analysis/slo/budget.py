"""The error budget of a window, weighted by events: a bad night hour is not a bad day hour."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.slo.sliced_counts import WindowSum


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """What is left of the bad events the objective allows, out of the events so far.

    ``remaining_ratio`` is 1 for an untouched budget and negative for an overspent one; both ratios
    are ``None`` when there were no events.
    """

    good: int
    total: int
    error_ratio: float | None
    remaining_ratio: float | None
    covered_ratio: float
    excluded_ratio: float = 0.0


def error_budget(window: WindowSum, budget_ratio: float) -> ErrorBudget:
    """``1 - (bad / total) / budget``; never clamped, so that overspending shows.

    Covered is a share of the time that counts: what is excluded is no gap.
    """
    counts = 1.0 - window.excluded_ratio
    covered = window.covered_ratio / counts if counts > 0 else 0.0
    if window.total == 0:
        return ErrorBudget(0, 0, None, None, covered, window.excluded_ratio)
    error_ratio = window.bad / window.total
    return ErrorBudget(
        window.good,
        window.total,
        error_ratio,
        1.0 - error_ratio / budget_ratio,
        covered,
        window.excluded_ratio,
    )
