"""One objective over time: slices in, status out.

Missing data neither fires nor ends an alert: while nothing is heard the state is ``no_data`` and
what was firing stays so, as last seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from analysis.slo.budget import ErrorBudget
from analysis.slo.burn_rate import BurnState, evaluate
from analysis.slo.objectives import BurnWindow, Objective
from analysis.slo.openslo.budgets import DataState
from analysis.slo.openslo.forecast import ExhaustionForecast, forecast
from analysis.slo.openslo.model import BudgetingMethod
from analysis.slo.openslo.time_windows import Period
from analysis.slo.running_counts import RunningCounts

#: Less of the window seen than this is a gap, and said so beside every number.
COVERED_MIN_RATIO: Final = 0.9
#: A forecast goes by the last thirtieth of the window (a day of a month), in so many parts at most.
FORECAST_SHARE: Final = 30
FORECAST_PARTS: Final = 48


class SloState(StrEnum):
    """What to show."""

    OK = "ok"
    BURNING = "burning"  # at least one alert fires
    NO_DATA = "no_data"  # nothing was heard lately, or nothing ever happened


@dataclass(frozen=True, slots=True)
class MemberShare:
    """Of a composite: what a member used of its own budget; ``scale``: of the composite's then."""

    name: str
    scale: float
    budget_used_ratio: float | None


@dataclass(frozen=True, slots=True)
class SloStatus:
    """One evaluation."""

    objective: Objective
    state: SloState
    data: DataState
    budget: ErrorBudget
    burns: tuple[BurnState, ...]
    evaluated_unix_nano: int
    summary: str
    members: tuple[MemberShare, ...] = ()

    @property
    def firing(self) -> frozenset[str]:
        """Severities with a firing pair."""
        return frozenset(burn.window.severity for burn in self.burns if burn.firing)

    @property
    def is_frozen(self) -> bool:
        """Whether alerts stay as last seen, because nobody reports any more."""
        return self.data is DataState.STALE

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.objective.name,
            "service": self.objective.service,
            "display_name": self.objective.display_name,
            "objective_ratio": self.objective.target_ratio,
            "window_s": self.objective.window_s,
            "state": str(self.state),
            "data_state": str(self.data),
            "alerts_frozen": self.is_frozen,
            "good": self.budget.good,
            "total": self.budget.total,
            "error_ratio": self.budget.error_ratio,
            "budget_remaining_ratio": self.budget.remaining_ratio,
            "covered_ratio": self.budget.covered_ratio,
            "excluded_ratio": self.budget.excluded_ratio,
            "burn_rates": [_burn_json(burn) for burn in self.burns],
            "evaluated_unix_nano": self.evaluated_unix_nano,
            "summary": self.summary,
            "budget_projected_remaining_ratio": self.budget.projected_remaining_ratio,
            "period": self._period_json(),
            "budgeting_method": str(self.objective.method),
            "slices": self._slices_json(),
            "members": [
                {"name": one.name, "scale": one.scale, "budget_used_ratio": one.budget_used_ratio}
                for one in self.members
            ],
        }

    def _slices_json(self) -> dict[str, Any] | None:
        """``good`` and ``total`` are slices then."""
        objective = self.objective
        if objective.slice_s is None:
            return None
        target = objective.slice_target_ratio
        return {
            "slice_s": objective.slice_s,
            "slice_objective_ratio": None if target is None else float(target),
            "without_events": self.budget.slices_without_events,
        }

    def _period_json(self) -> dict[str, Any] | None:
        """``None`` before anything was counted."""
        period, calendar = self.budget.period, self.objective.calendar
        if period is None:
            return None
        return {
            "kind": "rolling" if calendar is None else "calendar",
            "time_zone": None if calendar is None else calendar.time_zone,
            "from_unix_nano": period.start_unix_s * 1_000_000_000,
            "to_unix_nano": period.end_unix_s * 1_000_000_000,
        }


def _burn_json(burn: BurnState) -> dict[str, Any]:
    return {
        "severity": burn.window.severity,
        "factor": burn.window.factor,
        "long_window_s": burn.window.long_window_s,
        "short_window_s": burn.window.short_window_s,
        "long_burn": burn.long_burn,
        "short_burn": burn.short_burn,
        "long_covered_ratio": burn.long_covered_ratio,
        "short_covered_ratio": burn.short_covered_ratio,
        "firing": burn.firing,
        "guarded": burn.guarded,
        "long_bad": burn.long_bad,
        "long_total": burn.long_total,
        "noise_chance": burn.noise_chance,
    }


@dataclass(frozen=True, slots=True)
class SpendView:
    """How the budget was spent lately; says nothing while nobody reports or nothing happened.

    With a calendar, of the budget the whole period is projected to have: of the events so far, the
    first failure of a month would have spent all.
    """

    objective: Objective
    counts: RunningCounts
    status: SloStatus | None
    excluded: tuple[Period, ...]

    @property
    def remaining_ratio(self) -> float | None:
        """Share of the budget that is left; negative when it is overspent."""
        if self.status is None or self.status.is_frozen:
            return None
        budget = self.status.budget
        if self.objective.calendar is not None:
            return budget.projected_remaining_ratio
        return budget.remaining_ratio

    def spent_ratio(self, within_s: int) -> float | None:
        """Share of the budget that the last seconds used, as far as they are of its period."""
        end = self.counts.end_unix_s
        if self.status is None or self.remaining_ratio is None or end is None:
            return None
        period = self.status.budget.period
        if self.objective.calendar is not None and period is not None:
            within_s = min(within_s, end - period.start_unix_s)
        return self._used(within_s, end)

    def forecast(self, confidence: float) -> ExhaustionForecast | None:
        """From the last thirtieth of the window, in ``FORECAST_PARTS`` parts.

        A calendar's budget that outlasts its period is never used up.
        """
        end, left, unit_s = self.counts.end_unix_s, self.remaining_ratio, self.counts.unit_s
        slices = self.objective.window_s // FORECAST_SHARE // unit_s
        if self.status is None or left is None or end is None or slices < 1:
            return None
        part_s = -(-slices // FORECAST_PARTS) * unit_s
        parts = slices * unit_s // part_s
        used = [self._used(part_s, end - number * part_s) for number in reversed(range(parts))]
        found = forecast(used, part_s, left, confidence)
        period = self.status.budget.period
        if found is None or self.objective.calendar is None or period is None:
            return found
        rest_s = period.end_unix_s - end
        ends = (found.exhausts_s, found.earliest_s, found.latest_s)
        return ExhaustionForecast(
            *(one if one is not None and one < rest_s else None for one in ends)
        )

    def _used(self, within_s: int, end_unix_s: int) -> float:
        assert self.status is not None, "asked before"
        budget = self.status.budget
        total: float = budget.total
        if self.objective.calendar is not None and budget.expected_total is not None:
            total = budget.expected_total
        bad = self.counts.bad_within(within_s, end_unix_s, self.excluded)
        return bad / (total * self.objective.budget_ratio)


class SloTracker:
    """``stale_after_s``: older data than this is no data. ``firing``: alerts known to be on."""

    def __init__(
        self,
        objective: Objective,
        slice_s: int,
        stale_after_s: float,
        firing: frozenset[str] = frozenset(),
    ) -> None:
        self.objective = objective
        self._stale_after_s = stale_after_s
        self._counts = RunningCounts(objective, slice_s)
        self._status: SloStatus | None = None
        self._firing = firing

    @property
    def end_unix_s(self) -> int | None:
        """End of the newest slice taken."""
        return self._counts.end_unix_s

    def take(self, start_unix_s: int, good: int, bad: int) -> None:
        """Add one slice that was reported for. Raises SloInputError."""
        self._counts.take(start_unix_s, good, bad)

    def take_span(self, start_unix_s: int, length_s: int, good: int, bad: int) -> None:
        """Add several slices of which only the sum is known. Raises SloInputError."""
        self._counts.take_span(start_unix_s, length_s, good, bad)

    def evaluate(self, now_unix_nano: int, excluded: Sequence[Period] = ()) -> SloStatus:
        """Where it stands now.

        ``excluded``: spans that do not count (``correction_book``). To an alert they are time
        without failures.
        """
        end = self._counts.end_unix_s
        before = self._status
        if end is None or now_unix_nano * 1e-9 - end > self._stale_after_s:
            self._status = self._frozen(before, now_unix_nano)
            return self._status
        objective = self.objective
        burns = tuple(
            self._burn(window, held, end, excluded)
            for window, held in zip(objective.policy.windows, self._held(before), strict=True)
        )
        budget = self._counts.budget(end, excluded)
        firing = [burn for burn in burns if burn.firing]
        state = SloState.BURNING if firing else SloState.OK
        # Alerts look back into the period before: a young one without events may burn.
        if budget.total == 0 and not firing:
            state = SloState.NO_DATA
        status = SloStatus(
            objective,
            state,
            _data_state(objective, budget),
            budget,
            burns,
            now_unix_nano,
            _summary(objective, budget, burns),
        )
        self._status = status
        self._firing = status.firing
        return status

    def _burn(
        self, window: BurnWindow, held: BurnState, end: int, excluded: Sequence[Period]
    ) -> BurnState:
        found = self._counts.lookback(window, end, excluded)
        return evaluate(
            window,
            found.long,
            found.short,
            self.objective.budget_ratio,
            self.objective.policy.guard,
            # Known from an earlier run only: the windows, not what was held, decide.
            was_firing=held.firing and held.long_burn is not None,
            evidence=found.evidence,
        )

    def view(self, excluded: Sequence[Period] = ()) -> SpendView:
        """What budget policies ask, of the newest evaluation."""
        return SpendView(self.objective, self._counts, self._status, tuple(excluded))

    def _frozen(self, before: SloStatus | None, now_unix_nano: int) -> SloStatus:
        end = self._counts.end_unix_s
        seen = "ever" if end is None else f"for {now_unix_nano * 1e-9 - end:.0f} s"
        budget = ErrorBudget(0, 0, None, None, 0.0) if before is None else before.budget
        burns = self._held(before)
        held = sorted({burn.window.severity for burn in burns if burn.firing})
        still = f" The alert ({', '.join(held)}) stays as last seen." if held else ""
        text = f"No counts {seen}: nothing is concluded.{still}"
        data = DataState.EMPTY if end is None else DataState.STALE
        return SloStatus(self.objective, SloState.NO_DATA, data, budget, burns, now_unix_nano, text)

    def _held(self, before: SloStatus | None) -> tuple[BurnState, ...]:
        """What was last seen; at first what an earlier run left on, so that it is not forgotten."""
        if before is not None:
            return before.burns
        return tuple(
            BurnState(
                window=window,
                long_burn=None,
                short_burn=None,
                long_covered_ratio=0.0,
                short_covered_ratio=0.0,
                firing=window.severity in self._firing,
                guarded=False,
                long_bad=0,
                long_total=0,
                noise_chance=None,
            )
            for window in self.objective.policy.windows
        )


def _data_state(objective: Objective, budget: ErrorBudget) -> DataState:
    if objective.calendar is not None and budget.covered_ratio == budget.excluded_ratio == 0:
        return DataState.EMPTY  # nobody reported in this period yet
    if budget.covered_ratio < COVERED_MIN_RATIO:
        return DataState.GAP
    return DataState.COVERED if budget.total else DataState.NO_TRAFFIC


def _summary(objective: Objective, budget: ErrorBudget, burns: tuple[BurnState, ...]) -> str:
    text = _standing(objective, budget)
    if budget.total == 0:
        return text + _alerts_text(objective, burns) + "."
    if budget.covered_ratio < 0.995:
        span = "window" if objective.calendar is None else "time so far"
        text += f", {budget.covered_ratio:.1%} of the {span} seen"
    if budget.excluded_ratio > 0:
        share = max(budget.excluded_ratio, 0.001)
        few = "less than " if share > budget.excluded_ratio else ""
        text += f", {few}{share:.1%} of it excluded by corrections"
    return text + _alerts_text(objective, burns) + "."


def _standing(objective: Objective, budget: ErrorBudget) -> str:
    where = "the window" if objective.calendar is None else "this period"
    if budget.error_ratio is None or budget.remaining_ratio is None:
        if objective.calendar is not None and budget.period is None:
            begins = objective.calendar.start_time.isoformat(" ")
            return f"The first period begins at {begins} {objective.calendar.time_zone}"
        return f"No events in {where}: nothing to judge"
    what = f"{budget.good} of {budget.total} good"
    if objective.slice_s is not None:
        what = f"{budget.good:.8g} of {budget.total} slices of {objective.slice_s} s good"
    text = (
        f"{what} ({1.0 - budget.error_ratio:.2%}, objective "
        f"{objective.target_ratio:.2%}); {budget.remaining_ratio:.0%} of the budget left"
    )
    return text + _rest_text(objective, budget)


def _rest_text(objective: Objective, budget: ErrorBudget) -> str:
    """The second number with its label, and the slices that are not counted."""
    text = "" if objective.calendar is None else " so far"
    if budget.projected_remaining_ratio is not None:
        of = "the budget projected to the period's end"
        if objective.slice_s is not None:
            span = "window" if objective.calendar is None else "period"
            of = f"that of all slices of the {span}"
        text += f", {budget.projected_remaining_ratio:.0%} of {of}"
    if budget.slices_without_events:
        text += f"; {budget.slices_without_events} slices without events are not counted"
    return text


def _alerts_text(objective: Objective, burns: tuple[BurnState, ...]) -> str:
    text = ""
    for burn in burns:
        if burn.firing and burn.long_burn is not None:
            window = burn.window
            text += (
                f"; {window.severity}: burning {burn.long_burn:.1f}x over {window.long_window_s} s"
                f" and over {window.short_window_s} s, limit {window.factor:g}x; "
                f"{_evidence(objective, burn)}"
            )
            break
    held = next((burn for burn in burns if burn.guarded), None)
    if held is not None and not any(burn.firing for burn in burns):
        guard = objective.policy.guard
        text += (
            f"; {held.window.severity} held back as possible noise: {_evidence(objective, held)}; "
            f"needed are {guard.min_failures} failures and a chance of at most {guard.p_value:g}"
        )
    return text


def _evidence(objective: Objective, burn: BurnState) -> str:
    slices = " slices" if objective.method is BudgetingMethod.TIMESLICES else ""
    text = f"{burn.long_bad} of {burn.long_total}{slices} failed in {burn.window.long_window_s} s"
    if burn.noise_chance is None:  # held on since an earlier look
        return text
    return (
        f"{text}, which a service just meeting its objective shows with a chance of "
        f"{burn.noise_chance:.2g}"
    )
