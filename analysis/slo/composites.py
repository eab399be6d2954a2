"""Composites: one budget of several objectives that each run, spent by all of them by weight.

By events, the share a member used of its own budget, times its weight, is used of the composite's.
By the mean of time slices, the weighted shortfalls of the members' means are; the target is the
strictest of the members' (``openslo.composite``). A member without data leaves no number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from analysis.slo.budget import ErrorBudget
from analysis.slo.objectives import AlertPolicy, Objective
from analysis.slo.openslo.budgets import DataState
from analysis.slo.openslo.exact import exact
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.tracker import MemberShare, SloState, SloStatus

#: The first of these that a member has is what is known of the composite.
_WORST: Final = (
    DataState.EMPTY,
    DataState.STALE,
    DataState.GAP,
    DataState.NO_TRAFFIC,
    DataState.COVERED,
)


@dataclass(frozen=True, slots=True)
class Composite:
    """Objectives that share a budget, and what they are together: no alerts of its own."""

    objective: Objective
    members: tuple[Objective, ...]

    @property
    def scales(self) -> tuple[Fraction, ...]:
        """What using up a member's own budget uses of the composite's."""
        weights = [one.part.weight if one.part is not None else Fraction(1) for one in self.members]
        if self.objective.method is BudgetingMethod.OCCURRENCES:
            return tuple(weights)
        budgets = [1 - exact(one.target_ratio) for one in self.members]
        strictest = min(budgets)
        pairs = zip(weights, budgets, strict=True)
        return tuple(weight * budget / strictest for weight, budget in pairs)


def composites_of(objectives: Iterable[Objective]) -> tuple[Composite, ...]:
    """Every composite that some of the objectives are part of."""
    found: dict[str, list[Objective]] = {}
    for one in objectives:
        if one.part is not None:
            found.setdefault(one.part.composite, []).append(one)
    return tuple(_composite(name, tuple(members)) for name, members in found.items())


def _composite(name: str, members: tuple[Objective, ...]) -> Composite:
    first = members[0]
    assert first.part is not None, "a member is part of it"
    slices_s = {one.slice_s for one in members}
    together = replace(
        first,
        name=name,
        display_name=first.part.display_name,
        target_ratio=max(one.target_ratio for one in members),
        policy=AlertPolicy(first.policy.guard, ()),
        slice_s=first.slice_s if len(slices_s) == 1 else None,
        part=None,
    )
    return Composite(together, members)


def remaining_together(
    scales: Sequence[Fraction], remaining: Sequence[Fraction | float | None]
) -> Fraction | float | None:
    """What is left of the composite's budget; ``None`` where a member has no number."""
    left: Fraction | float = Fraction(1)
    for scale, one in zip(scales, remaining, strict=True):
        if one is None:
            return None
        used = 1 - one
        left -= scale * used if isinstance(used, Fraction) else float(scale) * used
    return left


def worst(states: Iterable[DataState]) -> DataState:
    """What is known where as little is known as of the least known member."""
    return min(states, key=_WORST.index)


def composite_statuses(
    composites: Sequence[Composite], statuses: Sequence[SloStatus]
) -> list[SloStatus]:
    """Where composites stand, from where their members do."""
    by_name = {one.objective.name: one for one in statuses}
    return [_status(one, by_name) for one in composites]


def _status(composite: Composite, by_name: Mapping[str, SloStatus]) -> SloStatus:
    members = [by_name[one.name] for one in composite.members]
    budgets = [one.budget for one in members]
    scales = composite.scales
    left = remaining_together(scales, [one.remaining_ratio for one in budgets])
    projected = remaining_together(scales, [one.projected_remaining_ratio for one in budgets])
    without = [
        one.slices_without_events for one in budgets if one.slices_without_events is not None
    ]
    objective = composite.objective
    error_ratio = None
    if left is not None and objective.method is not BudgetingMethod.OCCURRENCES:
        # 1 less the composite's mean. Events of several indicators have no share in common.
        error_ratio = float(1 - left) * objective.budget_ratio
    budget = ErrorBudget(
        good=sum(one.good for one in budgets),
        total=sum(one.total for one in budgets),
        error_ratio=error_ratio,
        remaining_ratio=None if left is None else float(left),
        covered_ratio=min(one.covered_ratio for one in budgets),
        excluded_ratio=max(one.excluded_ratio for one in budgets),
        period=budgets[0].period,
        projected_remaining_ratio=None if projected is None else float(projected),
        slices_without_events=sum(without) if without else None,
    )
    shares = tuple(
        MemberShare(
            one.objective.name,
            float(scale),
            None if one.budget.remaining_ratio is None else 1 - one.budget.remaining_ratio,
        )
        for one, scale in zip(members, scales, strict=True)
    )
    return SloStatus(
        objective=objective,
        state=SloState.NO_DATA if left is None else SloState.OK,
        data=worst(one.data for one in members),
        budget=budget,
        burns=(),
        evaluated_unix_nano=members[0].evaluated_unix_nano,
        summary=_summary(composite, budget, shares),
        members=shares,
    )


def _summary(composite: Composite, budget: ErrorBudget, shares: Sequence[MemberShare]) -> str:
    silent = [one.name for one in shares if one.budget_used_ratio is None]
    if budget.remaining_ratio is None:
        return f"No numbers of {', '.join(silent)}: nothing to judge."
    text = f"{budget.remaining_ratio:.0%} of the budget of {len(shares)} objectives left"
    if composite.objective.calendar is not None:
        text += " so far"
    if budget.projected_remaining_ratio is not None:
        text += f", {budget.projected_remaining_ratio:.0%} of that of the whole period"
    used = ", ".join(
        f"{one.name} {one.scale * one.budget_used_ratio:.0%}"
        for one in shares
        if one.budget_used_ratio is not None
    )
    return f"{text}; used by {used}."
