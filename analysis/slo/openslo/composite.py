"""Composite objectives: several members, one budget.

- *Occurrences*: what a member uses of its own budget is used of the composite's, times its weight.
- *Timeslices*: a slice that is bad in any member is bad (weights are not used).
- *RatioTimeslices*: the composite's mean is 1 less the weighted shortfalls of the members' means.

The last two need one target; as the specification names none, it is the strictest of the members'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from analysis.slo.openslo.budgets import (
    Budget,
    BudgetTerms,
    DataRules,
    budget,
    remaining,
    slice_marks,
)
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.sliced_past import CountsError, Flags, SlicedPast
from analysis.slo.openslo.time_windows import Period


@dataclass(frozen=True, slots=True)
class Member:
    """One objective of a composite with its counts."""

    past: SlicedPast
    terms: BudgetTerms
    weight: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class CompositeBudget:
    """``None`` where a member that is needed has no data; ``members`` in the order given."""

    remaining_ratio: Fraction | None
    projected_remaining_ratio: Fraction | None
    members: tuple[Budget, ...]


def mean_of_weighted(means: Sequence[Fraction], weights: Sequence[Fraction]) -> Fraction:
    """The composite's mean of ratio time slices."""
    pairs = zip(means, weights, strict=True)
    return 1 - sum((weight * (1 - mean) for mean, weight in pairs), Fraction(0))


def composite_budget(
    members: Sequence[Member],
    rules: DataRules,
    period: Period,
    now_unix_s: int,
    excluded: Flags | None = None,
) -> CompositeBudget:
    """The budget of all members together; they share the method. Raises CountsError."""
    methods = {member.terms.method for member in members}
    if len(methods) != 1:
        raise CountsError(f"members need one method, not {sorted(methods)}")
    budgets = tuple(
        budget(one.past, one.terms, rules, period, now_unix_s, excluded) for one in members
    )
    if methods == {BudgetingMethod.TIMESLICES}:
        joint = _any_bad(members, rules, period, now_unix_s, excluded)
        return CompositeBudget(*joint, budgets)
    scales = [one.weight for one in members]
    if methods == {BudgetingMethod.RATIO_TIMESLICES}:
        # The shortfall of each mean, measured in the composite's budget instead of the member's.
        strictest = min(one.terms.budget_ratio for one in members)
        scales = [one.weight * one.terms.budget_ratio / strictest for one in members]
    return CompositeBudget(
        _used_together([one.remaining_ratio for one in budgets], scales),
        _used_together([one.projected_remaining_ratio for one in budgets], scales),
        budgets,
    )


def _used_together(
    remaining: Sequence[Fraction | None], scales: Sequence[Fraction]
) -> Fraction | None:
    used = [None if one is None else 1 - one for one in remaining]
    known = [one * scale for one, scale in zip(used, scales, strict=True) if one is not None]
    return 1 - sum(known, Fraction(0)) if len(known) == len(used) else None


def _any_bad(
    members: Sequence[Member],
    rules: DataRules,
    period: Period,
    now_unix_s: int,
    excluded: Flags | None,
) -> tuple[Fraction | None, Fraction | None]:
    """What is left so far and of the whole period if any member's bad slice is everyone's."""
    marks = [
        slice_marks(one.past, one.terms, rules, period, now_unix_s, excluded) for one in members
    ]
    if len({len(one.counted) for one in marks}) != 1:
        raise CountsError("members of a composite by time slices need the same slices")
    counted = int(np.logical_or.reduce([one.counted for one in marks]).sum())
    bad = int(np.logical_or.reduce([one.bad for one in marks]).sum())
    strictest = min(one.terms.budget_ratio for one in members)
    return (
        remaining(bad, counted, strictest),
        remaining(bad, marks[0].expected, strictest),
    )
