"""What a metric that is looked at all the time says of its evidence, whatever it counts."""

from __future__ import annotations

import abc
import math

from analysis.canary.config import CanaryConfig
from analysis.stats.dispersion import IndependentEvidence


class SequentialMetric(abc.ABC):
    """Of count and histogram metrics."""

    weight: float
    _rule: CanaryConfig
    _evidence: IndependentEvidence

    @property
    @abc.abstractmethod
    def practical(self) -> bool:
        """Whether the estimated harm is above the margin, and known well enough."""

    @property
    def dispersion_ratio(self) -> float:
        """Counted events per independent event, 1 while more is not shown."""
        return float(self._evidence.ratio)

    @property
    def log_e(self) -> float:
        """Log evidence of "worse", of independent events."""
        return self._evidence.log_e

    @property
    def max_log_e(self) -> float:
        """The highest ``log_e`` was at the end of any group."""
        return self._evidence.max_log_e

    @property
    def is_waiting(self) -> bool:
        """Never: it says at every look what it knows."""
        return False

    @property
    def is_worse(self) -> bool:
        """Whether "worse" was beyond doubt at the end of any group."""
        return self.max_log_e >= -math.log(self._rule.alpha * self.weight)

    @property
    def is_suspect(self) -> bool:
        """Whether it looks worse now, so that PASS must wait."""
        return self.log_e >= self._rule.suspect_log_e

    @property
    def accuses(self) -> bool:
        """Whether it may be named as the harm: large enough, and still looking worse."""
        return self.practical and self.log_e > 0
