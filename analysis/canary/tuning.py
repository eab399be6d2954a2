"""How the capital of each test is spread over alternatives. Power only; validity never depends.

Chosen with ``bench.canary.simulate`` for the shapes of regressions a release produces.
"""

from __future__ import annotations

from dataclasses import replace

from analysis.stats.rank_eprocess import RankBets
from analysis.stats.ratio_eprocess import ShareBets

# Canary's failure share above baseline + margin: from one point to nearly everything.
_INCREMENTS = (0.01, 0.03, 0.1, 0.3, 0.8)
_INCREMENT_WEIGHTS = (0.1, 0.2, 0.3, 0.3, 0.1)
_SPLIT_WEIGHTS = (0.01, 0.05, 0.24, 0.5, 0.2)  # a split that breaks, breaks visibly
_LEARNED_WEIGHT = 0.1
_PRIOR_COUNT = 60.0


# Without a margin worth the name, harm is a multiple of the usual share: a doubling and more. Most
# of the capital plays for the horizon: rare failures leave no other way to be found in time.
_RATIOS = (2.0, 4.0, 10.0)
_RATIO_WEIGHTS = (0.21, 0.042, 0.028)
_RATIO_HORIZON_WEIGHT = 0.72
_RATIO_PRIOR_COUNT = 300.0
_HORIZON_WEIGHT = 0.2


def share_bets(
    expected_bad_ratio: float, *, margin: float, is_split: bool, goal_log_e: float
) -> ShareBets:
    """Bets of a count metric; ``goal_log_e`` is the evidence that ends it as FAIL."""
    if margin < 0.5 * expected_bad_ratio:
        return ShareBets(
            increments=(),
            increment_weights=(),
            ratios=_RATIOS,
            ratio_weights=_RATIO_WEIGHTS,
            learned_weight=0.0,
            prior_ratio=expected_bad_ratio,
            prior_count=_RATIO_PRIOR_COUNT,
            horizon_weight=_RATIO_HORIZON_WEIGHT,
            goal_log_e=goal_log_e,
        )
    return ShareBets(
        increments=_INCREMENTS,
        increment_weights=_SPLIT_WEIGHTS if is_split else _INCREMENT_WEIGHTS,
        ratios=(),
        ratio_weights=(),
        learned_weight=_LEARNED_WEIGHT,
        prior_ratio=expected_bad_ratio,
        prior_count=_PRIOR_COUNT,
        horizon_weight=0.0 if is_split else _HORIZON_WEIGHT,
        goal_log_e=goal_log_e,
    )


# Shifts in standard deviations of the normal score: +20 % of a lognormal with sigma 0.6 and a 9 %
# margin is 0.16, +50 % is 0.53, a factor of three 1.7. Tails: share of requests, times slower.
RANK_BETS = RankBets(
    shifts=(0.08, 0.16, 0.3, 0.6, 1.0, 2.0),
    shift_weights=(0.03, 0.16, 0.12, 0.09, 0.03, 0.02),
    tails=((0.005, 10.0), (0.02, 5.0), (0.05, 3.0), (0.1, 2.0), (0.3, 1.5)),
    tail_weights=(0.12, 0.26, 0.06, 0.03, 0.03),
    learned_weight=0.04,
    learned_prior_count=100.0,
    learn_min_count=24,
)
# With a margin less is left of every effect: +20 % beyond 10 % is a shift of 0.145.
_MARGIN_BETS = replace(
    RANK_BETS,
    shift_weights=(0.03, 0.4, 0.14, 0.07, 0.03, 0.02),
    tail_weights=(0.07, 0.12, 0.04, 0.03, 0.02),
)


def rank_bets(margin: float) -> RankBets:
    """Bets of a histogram metric that may be slower by ``margin``."""
    return _MARGIN_BETS if margin > 0 else RANK_BETS


CERTIFY_LEARN_MIN_COUNT = 40.0
