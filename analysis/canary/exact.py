"""One fixed-time comparison of two samples that does not depend on the unit.

The question of Kayenta's rule, asked without its defects: rank tests by their closed form (no root
finder, nothing absolute), a tolerance in shares of the baseline's own level, and four answers
instead of two. HIGH and LOW are shown beyond the tolerance, PASS is shown within it; what is
neither is UNDECIDED with the reason, and so is a difference in spread that no shift describes.

At one look only: asked again and again it is wrong ever more often, like every fixed-time test.
For repeated looks there is :mod:`analysis.canary.judge`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]

#: Decimal places, relative to the largest value, in which two points must differ.
_DIGITS = 12
#: Fewer points tell nothing about spread.
_SPREAD_POINTS_MIN = 10


class ExactLabel(StrEnum):
    """What one look shows."""

    PASS = "Pass"  # noqa: S105  # not a password
    HIGH = "High"
    LOW = "Low"
    UNDECIDED = "Undecided"
    NODATA = "Nodata"


@dataclass(frozen=True, slots=True)
class ExactRule:
    """``tolerance_ratio``: shift accepted, as a share of the baseline's median; ``alpha``: chance
    of HIGH or LOW (each) though the shift is within, and of PASS though it is not.
    """

    tolerance_ratio: float
    alpha: float
    is_increase_bad: bool
    is_decrease_bad: bool


@dataclass(frozen=True, slots=True)
class ExactResult:
    """``z_above``: standardised evidence that the canary lies above baseline + tolerance,
    ``z_below`` the same for below baseline - tolerance, ``z_spread`` for a difference in spread.
    """

    label: ExactLabel
    reason: str
    z_above: float
    z_below: float
    z_spread: float


def compare(control: Floats, experiment: Floats, rule: ExactRule) -> ExactResult:
    """Judge one window of points; NaN are left out."""
    control, experiment = control[~np.isnan(control)], experiment[~np.isnan(experiment)]
    if len(control) == 0 or len(experiment) == 0:
        side = "the canary" if len(experiment) == 0 else "the baseline"
        return _settled(ExactLabel.NODATA, f"{side} has no points")
    if len(control) == len(experiment) and np.array_equal(np.sort(control), np.sort(experiment)):
        return _settled(ExactLabel.PASS, "the points of both sides are the same")
    tolerance = rule.tolerance_ratio * abs(float(np.median(control)))
    z = -float(ndtri(rule.alpha))
    above, below = _z(control, experiment, tolerance), -_z(control, experiment, -tolerance)
    spread = _z_spread(control, experiment)
    found = _shift(rule, above, below, z)
    if found is None or found[0] is ExactLabel.PASS:
        # Spread is asked on two sides.
        if abs(spread) > -float(ndtri(rule.alpha / 2)):
            found = ExactLabel.UNDECIDED, "the spread differs, which no shift describes"
        elif found is None:
            found = _undecided(_z(control, experiment, 0.0), rule, z)
    return ExactResult(*found, above, below, spread)


@dataclass(frozen=True, slots=True)
class MovedControl:
    """The baseline's points, and the same made worse by what FAIL accepts and what PASS rules out.

    All of one length per kind of point; NaN are left out by whoever makes them.
    """

    points: Floats
    at_fail_margin: Floats
    at_pass_margin: Floats


def compare_at_margins(
    control: MovedControl, experiment: Floats, *, alpha: float, pass_alpha: float
) -> ExactResult:
    """Is the canary higher than one margin allows, or shown to be below another?

    ``alpha`` bounds the chance of HIGH for a canary distributed like the baseline at the margin of
    FAIL or below; ``pass_alpha`` that of PASS for one like the baseline at the margin of PASS or
    above. Both sides need points. Lower is never worse. A canary whose points are spread wider than
    the baseline's is not PASS: its high ones are more than a shift. ``z_below`` is against the
    margin of PASS.
    """
    above = _z(control.at_fail_margin, experiment, 0.0)
    below = -_z(control.at_pass_margin, experiment, 0.0)
    spread = _z_spread(control.points, experiment)
    z_pass = -float(ndtri(pass_alpha))
    if above > -float(ndtri(alpha)):
        found = ExactLabel.HIGH, "higher by more than fail_margin"
    elif below <= z_pass:
        found = ExactLabel.UNDECIDED, "shown neither higher by fail_margin nor below pass_margin"
    elif spread > z_pass:
        found = ExactLabel.UNDECIDED, "the canary's points are spread wider than the baseline's"
    else:
        found = ExactLabel.PASS, "shown to be below pass_margin"
    return ExactResult(*found, above, below, spread)


def _settled(label: ExactLabel, reason: str) -> ExactResult:
    return ExactResult(label, reason, math.nan, math.nan, math.nan)


def _shift(rule: ExactRule, above: float, below: float, z: float) -> tuple[ExactLabel, str] | None:
    if rule.is_increase_bad and above > z:
        return ExactLabel.HIGH, "higher by more than the tolerance"
    if rule.is_decrease_bad and below > z:
        return ExactLabel.LOW, "lower by more than the tolerance"
    is_safe_above = not rule.is_increase_bad or above < -z
    is_safe_below = not rule.is_decrease_bad or below < -z
    if is_safe_above and is_safe_below:
        return ExactLabel.PASS, "shown to be within the tolerance"
    return None


def _undecided(difference: float, rule: ExactRule, z: float) -> tuple[ExactLabel, str]:
    is_bad = (rule.is_increase_bad and difference > z) or (rule.is_decrease_bad and difference < -z)
    if is_bad:
        return ExactLabel.UNDECIDED, "differs, but not by more than the tolerance beyond doubt"
    return ExactLabel.UNDECIDED, "too few points to show harm or safety"


def _ranks(experiment: Floats, control: Floats) -> Floats:
    """Midranks of both; what differs by rounding only is a tie, in whatever unit."""
    both = np.concatenate([experiment, control])
    size = float(np.abs(both).max())
    ranks: Floats = rankdata(np.round(both / size, _DIGITS) if size > 0 else both)
    return ranks


def _z(control: Floats, experiment: Floats, shift: float) -> float:
    """Standardised U of ``experiment > control + shift``, tie- and continuity-corrected."""
    n, m = len(experiment), len(control)
    ranks = _ranks(experiment - shift, control)
    u = float(ranks[:n].sum()) - n * (n + m + 1) / 2
    corrected = u - 0.5 * float(np.sign(u))
    return _standardised(corrected, ranks, n, m)


def _z_spread(control: Floats, experiment: Floats) -> float:
    """Mood's test (1954): squared distance of the ranks from the middle one.

    Positive when the canary's points lie further out. Distribution-free when both sides are alike.
    """
    n, m = len(experiment), len(control)
    if min(n, m) < _SPREAD_POINTS_MIN:
        return 0.0
    scores = (_ranks(experiment, control) - (n + m + 1) / 2) ** 2
    return _standardised(float(scores[:n].sum() - n * scores.mean()), scores, n, m)


def _standardised(value: float, scores: Floats, n: int, m: int) -> float:
    """A centred sum of ``n`` of the scores over its deviation when all orders are as likely."""
    variance = n * m * float(scores.var()) / (n + m - 1)
    return value / math.sqrt(variance) if variance > 0 else 0.0
