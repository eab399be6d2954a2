"""How fast the budget burns, and whether that is worth waking someone.

Burn rate = share of bad events over a window / budget share: at 1 the budget is used up exactly
at the end of the period (SRE Workbook, chapter 5). A window pair fires while both burn rates are
above its factor. With a constant share ``e`` of bad events from a healthy start it takes
``L f B / e`` to fire (L long window, f factor, B budget share) and ``S (1 - f B / e)`` to end.

Two things are ours. *Unseen time counts as time without failures*: the burn rate that decides is
the measured one times the covered share of its window, so a short history neither fires early nor
keeps silent about a total outage. What already fires is held to the measured burn rates, so a gap
in the data does not end it in the middle of an outage. And a guard against noise: few failures of
few requests must also be improbable (binomial) for a service that just meets its objective;
without it one failure at 10 requests an hour pages.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import binom

from analysis.slo.objectives import BurnWindow, Guard
from analysis.slo.sliced_counts import WindowSum


def burn_rate(window: WindowSum, budget_ratio: float) -> float | None:
    """Measured burn rate; ``None`` without events, never NaN."""
    if window.total == 0:
        return None
    return window.bad / window.total / budget_ratio


def certain_burn_rate(window: WindowSum, budget_ratio: float) -> float:
    """Burn rate if the unseen part of the window had no failures."""
    measured = burn_rate(window, budget_ratio)
    return 0.0 if measured is None else measured * window.covered_ratio


def _measured_burn_rate(window: WindowSum, budget_ratio: float) -> float:
    return burn_rate(window, budget_ratio) or 0.0


def noise_chance(window: WindowSum, budget_ratio: float) -> float:
    """Chance of at least so many failures while the objective is just met; 1 without failures."""
    return float(binom.sf(window.bad - 1, window.total, budget_ratio))


def is_beyond_noise(window: WindowSum, budget_ratio: float, guard: Guard) -> bool:
    """Whether so many failures are improbable while the objective is just met."""
    if window.bad < guard.min_failures:
        return False
    return noise_chance(window, budget_ratio) <= guard.p_value


@dataclass(frozen=True, slots=True)
class BurnState:
    """One window pair at one moment. Burn rates are ``None`` without events."""

    window: BurnWindow
    long_burn: float | None
    short_burn: float | None
    long_covered_ratio: float
    short_covered_ratio: float
    firing: bool
    #: Above the factor, and yet not firing, because it may be noise.
    guarded: bool
    #: Failures and events of the long window, and how likely noise shows so many failures;
    #: ``None`` below the factor, where nobody asks.
    long_bad: int
    long_total: int
    noise_chance: float | None


def evaluate(
    window: BurnWindow,
    long: WindowSum,
    short: WindowSum,
    budget_ratio: float,
    guard: Guard,
    *,
    was_firing: bool = False,
    evidence: WindowSum | None = None,
) -> BurnState:
    """Compare both windows with the factor. ``evidence``: what the guard counts if not ``long``."""
    failures = long if evidence is None else evidence
    rate = _measured_burn_rate if was_firing else certain_burn_rate
    is_above = all(rate(one, budget_ratio) > window.factor for one in (long, short))
    chance = noise_chance(failures, budget_ratio) if is_above else None
    is_clear = chance is not None and failures.bad >= guard.min_failures and chance <= guard.p_value
    return BurnState(
        window=window,
        long_burn=burn_rate(long, budget_ratio),
        short_burn=burn_rate(short, budget_ratio),
        long_covered_ratio=long.covered_ratio,
        short_covered_ratio=short.covered_ratio,
        firing=is_clear,
        guarded=is_above and not is_clear,
        long_bad=failures.bad,
        long_total=failures.total,
        noise_chance=chance,
    )
