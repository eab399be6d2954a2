"""Pyrra's objectives: four kinds of indicators over plain selectors.

Selectors are what Pyrra builds its rules from, so they are kept in parts: a metric's name, and
matchers without the one for the name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from analysis.slo.openslo.rule_text import prometheus_duration, quoted

DAY_S: Final = 86_400
BUCKET: Final = "le"
_PROPAGATED: Final = "pyrra.dev/"


@dataclass(frozen=True, slots=True)
class Matcher:
    """``name op value``; op is one of = != =~ !~."""

    name: str
    op: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}{self.op}{quoted(self.value)}"

    @property
    def is_regex(self) -> bool:
        """Whether the value is a pattern."""
        return self.op in ("=~", "!~")


@dataclass(frozen=True, slots=True)
class Selector:
    """Series of one metric."""

    metric: str
    matchers: tuple[Matcher, ...] = ()

    def __str__(self) -> str:
        inside = ",".join(sorted(map(str, self.matchers)))
        return f"{self.metric}{{{inside}}}" if inside else self.metric

    def over(self, window_s: float) -> str:
        """The same over a window."""
        return f"{self}[{prometheus_duration(window_s)}]"

    def named(self, metric: str) -> Selector:
        """The same matchers on another metric."""
        return replace(self, metric=metric)

    def where(self, name: str, value: str) -> Selector:
        """One more matcher."""
        return replace(self, matchers=(*self.matchers, Matcher(name, "=", value)))

    def without(self, name: str) -> Selector:
        """The same without the matchers of a label."""
        return replace(self, matchers=tuple(one for one in self.matchers if one.name != name))

    def names(self) -> frozenset[str]:
        """Labels it has matchers for."""
        return frozenset(one.name for one in self.matchers)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Errors of all."""

    errors: Selector
    total: Selector


@dataclass(frozen=True, slots=True)
class Latency:
    """A bucket of a classic histogram, and its count."""

    success: Selector
    total: Selector


@dataclass(frozen=True, slots=True)
class NativeLatency:
    """A native histogram and how fast is fast enough."""

    latency_s: float
    total: Selector


@dataclass(frozen=True, slots=True)
class BoolGauge:
    """Samples of 1 and 0."""

    total: Selector


Indicator = Ratio | Latency | NativeLatency | BoolGauge


@dataclass(frozen=True, slots=True)
class Alerting:
    """Which alerts, under which names; severities by alert where they are not the usual ones."""

    burnrates: bool = True
    absent: bool = True
    name: str = "ErrorBudgetBurn"
    absent_name: str = "SLOMetricAbsent"
    severities: tuple[str, str, str, str] = ("", "", "", "")
    absent_severity: str = ""


@dataclass(frozen=True, slots=True)
class Objective:
    """What is promised. ``performance_over_accuracy``: the period's sums from five-minute ones."""

    name: str
    target: float
    window_s: float
    indicator: Indicator
    grouping: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    description_as_label: bool = False
    alerting: Alerting = Alerting()
    performance_over_accuracy: bool = False
    #: As in the object's metadata; only reading and converting look at it.
    namespace: str = ""

    def rule_labels(self) -> dict[str, str]:
        """Labels of every rule: the name, and what is to be handed on."""
        return {"slo": self.name, **_handed_on(self.labels)}

    def rule_annotations(self) -> dict[str, str]:
        """Annotations of every alert."""
        return _handed_on(self.annotations)


def _handed_on(values: Mapping[str, str]) -> dict[str, str]:
    return {
        key.removeprefix(_PROPAGATED): value
        for key, value in values.items()
        if key.startswith(_PROPAGATED)
    }


def summed(grouping: Sequence[str], inside: str) -> str:
    """A sum by labels, or of everything."""
    return f"sum by ({', '.join(grouping)}) ({inside})" if grouping else f"sum({inside})"


def le_for_prometheus_3(matcher: Matcher) -> Matcher:
    """A matcher of a bucket that fits before and after Prometheus 3 made ``1`` into ``1.0``."""
    is_whole = matcher.value.lstrip("+-").isascii() and matcher.value.lstrip("+-").isdigit()
    if matcher.name != BUCKET or matcher.op != "=" or not is_whole:
        return matcher
    return Matcher(BUCKET, "=~", matcher.value + r"(\.0)?")


def for_prometheus_3(selector: Selector) -> Selector:
    """The same for a whole selector."""
    return replace(selector, matchers=tuple(map(le_for_prometheus_3, selector.matchers)))
