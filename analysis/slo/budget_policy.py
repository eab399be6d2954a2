"""Error-budget policies: what follows when a budget is low, spent fast, or soon gone. Pure.

A step holds while its condition does; from then on its actions apply: people are told (an alert),
the service's releases are frozen, an open canary of it is taken back. Where nothing can be said,
because nobody reports or nothing happened, the step stays as it was: missing data begins and ends
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from analysis.slo.openslo.forecast import ExhaustionForecast

CONFIDENCE: Final = 0.9


class PolicyAction(StrEnum):
    """What a step asks for."""

    NOTIFY = "notify"
    FREEZE = "freeze"
    ROLL_BACK = "rollBack"


class BudgetView(Protocol):
    """What a condition may ask of one objective; ``None`` = cannot be said."""

    @property
    def remaining_ratio(self) -> float | None:
        """Share of the budget that is left; negative when it is overspent."""
        ...

    def spent_ratio(self, within_s: int) -> float | None:
        """Share of the budget that the last seconds used."""
        ...

    def forecast(self, confidence: float) -> ExhaustionForecast | None:
        """When it will be gone, if it goes on as lately."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a condition holds now, and why in words."""

    holds: bool
    text: str


@dataclass(frozen=True, slots=True)
class RemainingAtMost:
    """No more than this share of the budget is left."""

    ratio: float

    def ask(self, view: BudgetView) -> Finding | None:
        """None: cannot be said."""
        left = view.remaining_ratio
        if left is None:
            return None
        text = f"{left:.1%} of the budget is left, the limit is {self.ratio:.1%}"
        return Finding(left <= self.ratio, text)


@dataclass(frozen=True, slots=True)
class SpentAtLeast:
    """The last ``within_s`` used at least this share of the budget."""

    ratio: float
    within_s: int

    def ask(self, view: BudgetView) -> Finding | None:
        """None: cannot be said."""
        spent = view.spent_ratio(self.within_s)
        if spent is None:
            return None
        text = f"{spent:.1%} of the budget was used in {self.within_s} s, the limit is"
        return Finding(spent >= self.ratio, f"{text} {self.ratio:.1%}")


@dataclass(frozen=True, slots=True)
class ExhaustedWithin:
    """If it goes on as lately, the budget is gone within ``within_s``."""

    within_s: int

    def ask(self, view: BudgetView) -> Finding | None:
        """None: cannot be said. The interval is told, the middle decides."""
        found = view.forecast(CONFIDENCE)
        if found is None:
            return None
        words = [_duration(one) for one in (found.exhausts_s, found.earliest_s, found.latest_s)]
        text = f"at the rate of late the budget lasts {words[0]}"
        text += f" ({CONFIDENCE:.0%} sure: {words[1]} to {words[2]}), the limit is"
        holds = found.exhausts_s is not None and found.exhausts_s <= self.within_s
        return Finding(holds, f"{text} {_duration(self.within_s)}")


Condition = RemainingAtMost | SpentAtLeast | ExhaustedWithin


@dataclass(frozen=True, slots=True)
class PolicyStep:
    """One condition with its actions. ``objectives`` empty: every one."""

    policy: str
    name: str
    objectives: frozenset[str]
    condition: Condition
    severity: str
    actions: frozenset[PolicyAction]

    @property
    def full_name(self) -> str:
        """Unique among all steps."""
        return f"{self.policy}/{self.name}"

    def is_about(self, objective: str) -> bool:
        """Whether it is one of its objectives."""
        return not self.objectives or objective in self.objectives


@dataclass(frozen=True, slots=True)
class StepState:
    """A step for one objective, as it stands. ``overridden_by`` names who suspended it."""

    step: PolicyStep
    objective: str
    service: str
    holds: bool
    text: str
    since_unix_nano: int | None
    overridden_by: str | None

    @property
    def in_force(self) -> frozenset[PolicyAction]:
        """What applies now."""
        is_off = not self.holds or self.overridden_by is not None
        return frozenset() if is_off else self.step.actions

    def to_json(self) -> dict[str, Any]:
        """For the API, and for the process after this one."""
        return {
            "step": self.step.full_name,
            "objective": self.objective,
            "service": self.service,
            "severity": self.step.severity,
            "actions": sorted(self.step.actions),
            "holds": self.holds,
            "in_force": sorted(self.in_force),
            "since_unix_nano": self.since_unix_nano,
            "overridden_by": self.overridden_by,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class Watched:
    """An objective as a policy sees it."""

    name: str
    service: str
    view: BudgetView


class PolicyBook:
    """Steps and where they stand. ``known``: what an earlier process left (``to_json``)."""

    def __init__(
        self, steps: Iterable[PolicyStep], known: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        self._steps = tuple(steps)
        self._known = {(one["step"], one["objective"]): one for one in known}

    def take(
        self,
        objectives: Iterable[Watched],
        overridden_by: Callable[[PolicyStep, str], str | None],
        now_unix_nano: int,
    ) -> tuple[StepState, ...]:
        """Where every step stands now."""
        found = tuple(
            self._stand(step, one, overridden_by(step, one.name), now_unix_nano)
            for one in objectives
            for step in self._steps
            if step.is_about(one.name)
        )
        self._known = {(one.step.full_name, one.objective): one.to_json() for one in found}
        return found

    def _stand(
        self, step: PolicyStep, watched: Watched, overridden_by: str | None, now: int
    ) -> StepState:
        before = self._known.get((step.full_name, watched.name))
        finding = step.condition.ask(watched.view)
        if finding is None:
            holds = before is not None and before["holds"]
            text = "Nothing can be said now; it stays as it was."
        else:
            holds, text = finding.holds, finding.text
        since = None
        if holds:
            since = before["since_unix_nano"] if before is not None and before["holds"] else now
        return StepState(step, watched.name, watched.service, holds, text, since, overridden_by)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "for ever"
    for unit_s, word in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.1f} {word}"
    return f"{seconds:.0f} s"
