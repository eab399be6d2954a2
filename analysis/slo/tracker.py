"""One objective over time: slices in, status out.

Missing data neither fires nor ends an alert: while nothing is heard the state is ``no_data`` and
what was firing stays so, as last seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from analysis.slo.budget import ErrorBudget, error_budget
from analysis.slo.burn_rate import BurnState, evaluate
from analysis.slo.objectives import Objective
from analysis.slo.openslo.budgets import DataState
from analysis.slo.openslo.forecast import ExhaustionForecast, forecast
from analysis.slo.openslo.time_windows import Period
from analysis.slo.sliced_counts import SlicedCounts

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
class SloStatus:
    """One evaluation."""

    objective: Objective
    state: SloState
    data: DataState
    budget: ErrorBudget
    burns: tuple[BurnState, ...]
    evaluated_unix_nano: int
    summary: str

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
    """How the budget was spent lately; says nothing while nobody reports or nothing happened."""

    objective: Objective
    counts: SlicedCounts
    status: SloStatus | None
    excluded: tuple[Period, ...]

    @property
    def remaining_ratio(self) -> float | None:
        """Share of the budget that is left; negative when it is overspent."""
        if self.status is None or self.status.is_frozen:
            return None
        return self.status.budget.remaining_ratio

    def spent_ratio(self, within_s: int) -> float | None:
        """Share of the budget that the last seconds used."""
        end = self.counts.end_unix_s
        if self.remaining_ratio is None or end is None:
            return None
        return self._used(within_s, end)

    def forecast(self, confidence: float) -> ExhaustionForecast | None:
        """From the last thirtieth of the window, in ``FORECAST_PARTS`` parts."""
        end, left = self.counts.end_unix_s, self.remaining_ratio
        slices = self.objective.window_s // FORECAST_SHARE // self.counts.slice_s
        if left is None or end is None or slices < 1:
            return None
        part_s = -(-slices // FORECAST_PARTS) * self.counts.slice_s
        parts = slices * self.counts.slice_s // part_s
        used = [self._used(part_s, end - number * part_s) for number in reversed(range(parts))]
        return forecast(used, part_s, left, confidence)

    def _used(self, within_s: int, end_unix_s: int) -> float:
        assert self.status is not None, "asked before"
        total = self.status.budget.total
        bad = self.counts.window(within_s, end_unix_s, self.excluded).bad
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
        longest = max([objective.window_s, *(w.long_window_s for w in objective.policy.windows)])
        self._counts = SlicedCounts(slice_s, -(-longest // slice_s) * slice_s)
        self._status: SloStatus | None = None
        self._firing = firing

    @property
    def end_unix_s(self) -> int | None:
        """End of the newest slice taken."""
        return self._counts.end_unix_s

    def take(self, start_unix_s: int, good: int, bad: int) -> None:
        """Add one slice that was reported for. Raises SloInputError."""
        self._counts.add(start_unix_s, good, bad)

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
            evaluate(
                window,
                self._counts.window(window.long_window_s, end, excluded),
                self._counts.window(window.short_window_s, end, excluded),
                objective.budget_ratio,
                objective.policy.guard,
                # Known from an earlier run only: the windows, not what was held, decide.
                was_firing=held.firing and held.long_burn is not None,
            )
            for window, held in zip(objective.policy.windows, self._held(before), strict=True)
        )
        counted = self._counts.window(objective.window_s, end, excluded)
        budget = error_budget(counted, objective.budget_ratio)
        firing = [burn for burn in burns if burn.firing]
        state = SloState.BURNING if firing else SloState.OK
        if budget.total == 0:
            state = SloState.NO_DATA
        status = SloStatus(
            objective,
            state,
            _data_state(budget),
            budget,
            burns,
            now_unix_nano,
            _summary(objective, budget, burns),
        )
        self._status = status
        self._firing = status.firing
        return status

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


def _data_state(budget: ErrorBudget) -> DataState:
    if budget.covered_ratio < COVERED_MIN_RATIO:
        return DataState.GAP
    return DataState.COVERED if budget.total else DataState.NO_TRAFFIC


def _summary(objective: Objective, budget: ErrorBudget, burns: tuple[BurnState, ...]) -> str:
    if budget.error_ratio is None or budget.remaining_ratio is None:
        return "No events in the window: nothing to judge."
    text = (
        f"{budget.good} of {budget.total} good ({1.0 - budget.error_ratio:.2%}, objective "
        f"{objective.target_ratio:.2%}); {budget.remaining_ratio:.0%} of the budget left"
    )
    if budget.covered_ratio < 0.995:
        text += f", {budget.covered_ratio:.1%} of the window seen"
    if budget.excluded_ratio > 0:
        share = max(budget.excluded_ratio, 0.001)
        few = "less than " if share > budget.excluded_ratio else ""
        text += f", {few}{share:.1%} of it excluded by corrections"
    for burn in burns:
        if burn.firing and burn.long_burn is not None:
            window = burn.window
            text += (
                f"; {window.severity}: burning {burn.long_burn:.1f}x over {window.long_window_s} s"
                f" and over {window.short_window_s} s, limit {window.factor:g}x; {_evidence(burn)}"
            )
            break
    held = next((burn for burn in burns if burn.guarded), None)
    if held is not None and not any(burn.firing for burn in burns):
        guard = objective.policy.guard
        text += (
            f"; {held.window.severity} held back as possible noise: {_evidence(held)}; needed are "
            f"{guard.min_failures} failures and a chance of at most {guard.p_value:g}"
        )
    return text + "."


def _evidence(burn: BurnState) -> str:
    text = f"{burn.long_bad} of {burn.long_total} failed in {burn.window.long_window_s} s"
    if burn.noise_chance is None:  # held on since an earlier look
        return text
    return (
        f"{text}, which a service just meeting its objective shows with a chance of "
        f"{burn.noise_chance:.2g}"
    )
