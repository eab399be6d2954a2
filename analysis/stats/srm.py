"""Sample ratio mismatch: is the traffic split the one that was declared?

Anytime-valid multinomial test (Lindon & Malek, NeurIPS 2022): the Dirichlet-mixed likelihood of
the arms' counts over the likelihood under the declared shares. With a tolerance, the null is every
canary share within it, and the evidence is the smallest over that interval.
"""

from __future__ import annotations

from scipy.special import betaln, gammaln, xlogy

from analysis.stats.projection import Floats

# Prior strength of both public implementations of the paper (a0 = 100 theta0).
_PRIOR_COUNT = 100.0


def log_e_multinomial(counts: Floats, shares: Floats, prior_count: float = _PRIOR_COUNT) -> Floats:
    """Log Bayes factor against ``shares`` (last axis: arms); an e-process in the counts.

    ``ln B(a0 + S) - ln B(a0) - sum S_i ln theta0_i`` with the multivariate Beta function.
    """
    prior = prior_count * shares
    posterior = prior + counts
    log_beta = gammaln(posterior).sum(-1) - gammaln(posterior.sum(-1))
    log_beta0 = gammaln(prior).sum(-1) - gammaln(prior.sum(-1))
    value: Floats = log_beta - log_beta0 - xlogy(counts, shares).sum(-1)
    return value


def log_e_split(baseline: float, canary: float, declared_share: float, tolerance: float) -> float:
    """Log evidence that the canary's share is outside ``declared_share`` +- ``tolerance``.

    ``declared_share`` in (0, 1), ``tolerance`` absolute. 0 events give 0.
    """
    total = baseline + canary
    if total <= 0:
        return 0.0
    low = max(declared_share - tolerance, 1e-9)
    high = min(declared_share + tolerance, 1 - 1e-9)
    # The likelihood is unimodal in the share, so the best null point is the observed one, clipped.
    best = min(max(canary / total, low), high)
    a, b = _PRIOR_COUNT * declared_share, _PRIOR_COUNT * (1 - declared_share)
    mixed = float(betaln(a + canary, b + baseline) - betaln(a, b))
    return mixed - float(xlogy(canary, best) + xlogy(baseline, 1 - best))
