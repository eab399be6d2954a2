"""The numbers of a budget with the formula of each and what stands in it, for people to check."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from analysis.slo.objectives import Objective
from analysis.slo.openslo.budgets import Budget
from analysis.slo.openslo.exact import exact


def numbers_of(objective: Objective, found: Budget) -> list[dict[str, Any]]:
    """In order of the sum: counted, share of bad, allowed, left; with a calendar, projected."""
    if objective.slice_s is not None:
        return _slice_numbers(objective, found)
    total, bad = found.counted, int(found.bad)
    allowed = exact(objective.target_ratio)
    numbers = [_number("total", total, "good + bad", f"{total - bad} + {bad}")]
    numbers.append(
        _number("error_ratio", bad / total, "bad / total", f"{bad} / {total}")
        if total
        else _number("error_ratio", None, "bad / total", "no events: nothing to divide by")
    )
    numbers.append(
        _number(
            "bad_allowed",
            float((1 - allowed) * total),
            "(1 - objective) * total",
            f"(1 - {float(allowed):g}) * {total}",
        )
    )
    numbers.append(
        _number(
            "budget_remaining_ratio",
            optional_float(found.remaining_ratio),
            "1 - bad / ((1 - objective) * total)",
            f"1 - {bad} / {float((1 - allowed) * total):g}" if total else "no events",
        )
    )
    if objective.calendar is not None:
        numbers += _projected(objective, found, bad)
    return numbers


def _projected(objective: Objective, found: Budget, bad: int) -> list[dict[str, Any]]:
    """Of the budget of the whole calendar period, if events go on as they came."""
    expected = found.expected
    inserted = "nothing seen"
    if expected is not None:
        inserted = f"{found.counted} * {float(expected / found.counted):g}" if expected else "0"
    allowed = None if not expected else (1 - exact(objective.target_ratio)) * expected
    return [
        _number(
            "expected_total",
            optional_float(expected),
            "total * slices of the period / slices seen",
            inserted,
        ),
        _number(
            "budget_projected_remaining_ratio",
            optional_float(found.projected_remaining_ratio),
            "1 - bad / ((1 - objective) * expected_total)",
            "no events" if allowed is None else f"1 - {bad} / {float(allowed):g}",
        ),
    ]


def _slice_numbers(objective: Objective, found: Budget) -> list[dict[str, Any]]:
    """The same of time slices; those without events are in no number."""
    counted, bad, expected = found.counted, number_of(found.bad), found.expected or Fraction(0)
    budget = 1 - exact(objective.target_ratio)
    share = "sum over slices with events of (bad / total)"
    if objective.slice_target_ratio is not None:
        share = f"slices with events and good / total < {float(objective.slice_target_ratio):g}"
    none = "no slice with events"
    ratio = float(found.bad / counted) if counted else None
    return [
        _number("slices", counted, f"slices of {objective.slice_s} s with events", str(counted)),
        _number("bad_slices", bad, share, f"{bad:.8g}"),
        _number(
            "error_ratio",
            ratio,
            "bad_slices / slices",
            f"{bad:.8g} / {counted}" if counted else none,
        ),
        _number(
            "budget_remaining_ratio",
            optional_float(found.remaining_ratio),
            "1 - bad_slices / ((1 - objective) * slices)",
            f"1 - {bad:.8g} / {float(budget * counted):g}" if counted else none,
        ),
        _number(
            "expected_slices",
            float(expected),
            f"slices of {objective.slice_s} s in the period, less excluded ones",
            str(expected),
        ),
        _number(
            "budget_projected_remaining_ratio",
            optional_float(found.projected_remaining_ratio),
            "1 - bad_slices / ((1 - objective) * expected_slices)",
            f"1 - {bad:.8g} / {float(budget * expected):g}" if expected else none,
        ),
    ]


def has_projection(objective: Objective) -> bool:
    """A rolling window of events has no other events to come."""
    return objective.calendar is not None or objective.slice_s is not None


def number_of(value: Fraction) -> float:
    """For JSON; whole numbers stay whole."""
    return int(value) if value.denominator == 1 else float(value)


def optional_float(value: Fraction | None) -> float | None:
    """For JSON; ``None`` stays unknown."""
    return None if value is None else float(value)


def _number(name: str, value: float | None, formula: str, inserted: str) -> dict[str, Any]:
    return {"name": name, "value": value, "formula": formula, "inserted": inserted}
