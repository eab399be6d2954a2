"""What burn rates mean, exactly: factors, detection, reset, exhaustion and what is out of reach.

Burn rate = share of bad events / budget share: at 1 the budget ends with the period. All answers
are fractions of what goes in, for a constant share of bad events that begins in good health; of the
Site Reliability Workbook's chapter 5 they give every number, and its roundings nowhere.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

#: A short window is this part of its long one (chapter 5), but never fewer slices than the floor:
#: one slice alone is the noise of one report.
SHORT_WINDOW_PARTS: Final = 12
SHORT_WINDOW_SLICES_MIN: Final = 2


def factor(budget_share: Fraction, period_s: int, window_s: int) -> Fraction:
    """The burn rate that uses this share of the budget within the window."""
    return budget_share * period_s / window_s


def budget_used(burn: Fraction, elapsed_s: Fraction | int, period_s: int) -> Fraction:
    """Share of the budget that a constant burn rate uses in a time."""
    return burn * elapsed_s / period_s


def burn_of(error_ratio: Fraction, budget_ratio: Fraction) -> Fraction:
    """The burn rate of a share of bad events."""
    return error_ratio / budget_ratio


def burn_max(budget_ratio: Fraction) -> Fraction:
    """The burn rate when everything fails: none is higher."""
    return 1 / budget_ratio


def is_reachable(burn_factor: Fraction, budget_ratio: Fraction) -> bool:
    """Whether a total outage is above the factor; else the alert can never fire."""
    return burn_factor < burn_max(budget_ratio)


def target_above(burn_factor: Fraction) -> Fraction:
    """Targets must be above this for a factor to be reachable."""
    return 1 - 1 / burn_factor


def detection_s(
    window_s: int, burn_factor: Fraction, budget_ratio: Fraction, error_ratio: Fraction
) -> Fraction | None:
    """From the start of the trouble until a window is above the factor; ``None`` is never.

    Of two windows the longer one decides. A waiting time (``for``) comes on top.
    """
    if error_ratio <= burn_factor * budget_ratio:
        return None
    return window_s * burn_factor * budget_ratio / error_ratio


def reset_s(
    window_s: int, burn_factor: Fraction, budget_ratio: Fraction, error_ratio: Fraction
) -> Fraction | None:
    """From the end of trouble longer than the window until it is not above the factor any more.

    Of two windows the shorter one decides. ``None`` if it was never above.
    """
    before = detection_s(window_s, burn_factor, budget_ratio, error_ratio)
    return None if before is None else window_s - before


def held_s(
    trouble_s: Fraction | int,
    window_s: int,
    burn_factor: Fraction,
    budget_ratio: Fraction,
    error_ratio: Fraction,
) -> Fraction:
    """How long a window stays above the factor for trouble of some length; 0 if it never is.

    An alert that waits longer than this (``for``) sends nothing.
    """
    needed_s = window_s * burn_factor * budget_ratio / error_ratio
    if min(trouble_s, window_s) <= needed_s:
        return Fraction(0)
    # Above from when enough trouble is in the window until no more than that is left in it.
    return trouble_s + window_s - 2 * needed_s


def exhaustion_s(
    burn: Fraction, period_s: int, remaining_ratio: Fraction = Fraction(1)
) -> Fraction | None:
    """How long what is left of the budget lasts at a burn rate; ``None`` is forever."""
    if burn <= 0:
        return None
    return max(remaining_ratio, Fraction(0)) * period_s / burn


def one_failure_is_above_until(burn_factor: Fraction, budget_ratio: Fraction) -> Fraction:
    """A single failure pages while the window holds no more requests than this."""
    return 1 / (burn_factor * budget_ratio)


def failures_allowed(budget_ratio: Fraction, events: Fraction | int) -> Fraction:
    """Bad events that use up the budget of so many events."""
    return budget_ratio * events


def short_window_s(long_window_s: int, slice_s: int) -> int:
    """The short window that goes with a long one, in whole slices."""
    slices = -(-long_window_s // (SHORT_WINDOW_PARTS * slice_s))
    return max(slices, SHORT_WINDOW_SLICES_MIN) * slice_s


def remaining_ratio(sli_ratio: Fraction, target_ratio: Fraction) -> Fraction:
    """What is left of the budget at an indicator: 1 untouched, negative overspent."""
    return (sli_ratio - target_ratio) / (1 - target_ratio)
