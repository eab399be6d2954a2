"""Several judgements of one canary: their windows, and what the last score means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.canary.kayenta.errors import KayentaInputError

#: Fewer control points than this earn a warning.
POINTS_MIN = 50


@dataclass(frozen=True, slots=True)
class Schedule:
    """Minutes. ``start_min``/``end_min`` relative to now; None = not given."""

    start_min: float | None
    end_min: float | None
    lifetime_min: float | None
    interval_min: float | None
    begin_after_min: float
    lookback_min: float

    def lifetime(self) -> float:
        """Length of the analysis. Raises KayentaInputError when neither end nor lifetime is."""
        if self.end_min is not None:
            return self.end_min - (self.start_min or 0)
        if self.lifetime_min is None:
            raise KayentaInputError("either an end time or a lifetime is needed")
        return self.lifetime_min

    def interval(self) -> float:
        """Length of one judgement's step: the lifetime unless shorter."""
        lifetime = self.lifetime()
        if not self.interval_min or self.interval_min > lifetime:
            return lifetime
        return self.interval_min

    def judgements(self) -> int:
        """How many there are."""
        return int(self.lifetime() // self.interval())

    def window(self, number: int, interval_min: float) -> tuple[float, float]:
        """(start, end) of judgement ``number``, from 1: growing, or sliding with a lookback."""
        start = self.start_min or 0
        end = start + number * interval_min
        if self.end_min is None:
            start, end = start + self.begin_after_min, end + self.begin_after_min
        if self.lookback_min > 0:
            start = end - self.lookback_min
        return start, end


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether the last score was good enough, in Kayenta's words."""

    did_pass: bool
    message: str


def outcome(score: float, marginal_at: float | None, pass_at: float | None) -> Outcome:
    """What the last score means. At the marginal threshold itself it fails, whatever its label."""
    if marginal_at is None and pass_at is None:
        return Outcome(did_pass=True, message="No score thresholds were specified.")
    told = f"Final canary score {score}"
    if marginal_at is not None and score <= marginal_at:
        message = f"{told} is not above the marginal score threshold."
        return Outcome(did_pass=False, message=message)
    if pass_at is None:
        return Outcome(did_pass=True, message="No pass score threshold was specified.")
    if score < pass_at:
        return Outcome(did_pass=False, message=f"{told} is below the pass score threshold.")
    return Outcome(did_pass=True, message=f"{told} met or exceeded the pass score threshold.")


def stops_early(score: float, marginal_at: float | None) -> bool:
    """Whether no further judgement is made."""
    return marginal_at is not None and score <= marginal_at


def stage_order(names: Sequence[str]) -> list[int]:
    """Positions of stages in the order of the number after ``#``."""
    return sorted(range(len(names)), key=lambda i: int(names[i].rsplit("#", 1)[1]))
