"""A composite looked back upon: its number from its members' exact ones, and each member's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from analysis.slo.composites import Composite, remaining_together, worst
from analysis.slo.looking_back import Past, explained, outcome_of
from analysis.slo.openslo.budgets import DataState
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.time_windows import Period

_LEFT = ("budget_remaining_ratio", "budget_projected_remaining_ratio")


def explained_together(
    composite: Composite, pasts: Sequence[Past], now_unix_s: int
) -> dict[str, Any]:
    """The sum that leaves the composite's budget, and every number of its members."""
    pairs = zip(composite.members, pasts, strict=True)
    members = [explained(one, past, now_unix_s) for one, past in pairs]
    values = [{one["name"]: one["value"] for one in member["numbers"]} for member in members]
    numbers = []
    for name in _LEFT:
        found = [one.get(name) for one in values]
        if name in values[0]:
            numbers.append(_number(name, composite, found))
    objective = composite.objective
    return {
        "name": objective.name,
        "display_name": objective.display_name,
        "service": objective.service,
        "objective_ratio": objective.target_ratio,
        "budgeting_method": str(objective.method),
        "from_unix_nano": members[0]["from_unix_nano"],
        "to_unix_nano": members[0]["to_unix_nano"],
        "data_state": str(worst(DataState(one["data_state"]) for one in members)),
        "numbers": numbers,
        "alerts": [],
        "members": members,
    }


def _number(name: str, composite: Composite, left: Sequence[float | None]) -> dict[str, Any]:
    value = remaining_together(composite.scales, left)
    inserted = "a member has none"
    if value is not None:
        pairs = zip(composite.scales, left, strict=True)
        inserted = "1 - " + " - ".join(
            f"{float(scale):g} * (1 - {one:.6g})" for scale, one in pairs if one is not None
        )
    formula = f"1 - sum over members of scale * (1 - {name})"
    return {
        "name": name,
        "value": None if value is None else float(value),
        "formula": formula,
        "inserted": inserted,
    }


def report_row_together(
    composite: Composite, pasts: Sequence[Past], period: Period, now_unix_s: int
) -> dict[str, Any]:
    """One composite in one period, for a report; its alerts are its members'."""
    pairs = zip(composite.members, pasts, strict=True)
    rows = [outcome_of(one, past, period, now_unix_s) for one, past in pairs]
    left, projected = (
        remaining_together(composite.scales, [one[name] for one in rows]) for name in _LEFT
    )
    objective = composite.objective
    sli_ratio = None
    if left is not None and objective.method is not BudgetingMethod.OCCURRENCES:
        sli_ratio = 1 - float(1 - left) * objective.budget_ratio
    return {
        "name": objective.name,
        "display_name": objective.display_name,
        "service": objective.service,
        "objective_ratio": objective.target_ratio,
        "budgeting_method": str(objective.method),
        "total": sum(one["total"] for one in rows),
        "bad": sum(one["bad"] for one in rows),
        "sli_ratio": sli_ratio,
        "budget_remaining_ratio": _float(left),
        "budget_projected_remaining_ratio": _float(projected),
        "covered_ratio": min(one["covered_ratio"] for one in rows),
        "excluded_s": max(one["excluded_s"] for one in rows),
        "data_state": str(worst(DataState(one["data_state"]) for one in rows)),
        "alert_counts": _added([one["alert_counts"] for one in rows]),
        "alerts": [],
    }


def _added(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    names = sorted({name for one in counts for name in one})
    return {name: sum(one.get(name, 0) for one in counts) for name in names}


def _float(value: Fraction | float | None) -> float | None:
    return None if value is None else float(value)
