"""The whole fleet's events per step, from one answer, for objectives and for anomaly detection."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from analysis.reading.answers import SeriesAnswer

#: What an attribute value counts as: "bad", "good", or None = not counted.
Outcome = Callable[[str], str | None]


def steps_of(answer: SeriesAnswer, until_unix_nano: int) -> Iterator[int]:
    """Starts of the steps that end at or before ``until_unix_nano``."""
    start = answer.from_unix_nano
    while start + answer.step_ns <= until_unix_nano:
        yield start
        start += answer.step_ns


def failures(
    answer: SeriesAnswer, start_unix_nano: int, outcome_attribute: str, outcome: Outcome
) -> tuple[int, int] | None:
    """``(failures, requests)`` of one step; None when nobody reported."""
    found = failures_by_split(
        answer,
        start_unix_nano,
        outcome_attribute=outcome_attribute,
        split_by="",
        outcome=outcome,
    )
    return found.get("")


def failures_by_split(
    answer: SeriesAnswer,
    start_unix_nano: int,
    *,
    outcome_attribute: str,
    split_by: str,
    outcome: Outcome,
) -> dict[str, tuple[int, int]]:
    """Value of ``split_by`` ("" = everything) -> (failures, requests) of one step.

    A value is absent when nobody reported anything of it in this step; a value of which nothing
    happened is (0, 0).
    """
    found: dict[str, tuple[int, int]] = {}
    for attributes, points in answer.groups:
        count = points.get(start_unix_nano)
        if count is None:
            continue
        split = attributes.get(split_by, "") if split_by else ""
        failures, requests = found.get(split, (0, 0))
        kind = outcome(attributes.get(outcome_attribute, ""))
        if kind is not None:
            requests += count
            failures += count if kind == "bad" else 0
        found[split] = (failures, requests)
    return found
