"""Names of recorded series, as Pyrra makes them from the metric's and a window."""

from __future__ import annotations

from analysis.slo.openslo.rule_text import prometheus_duration


def burnrate(metric: str, window_s: float) -> str:
    """The share of errors over a window."""
    return f"{_stem(metric, '_total', '_count')}:burnrate{prometheus_duration(window_s)}"


def increase_stem(metric: str) -> str:
    """What the name of a metric's events begins with, whatever the window."""
    return f"{_stem(metric, '_total', '_count', '_bucket')}:increase"


def increase(metric: str, window_s: float) -> str:
    """Events of a window."""
    return f"{increase_stem(metric)}{prometheus_duration(window_s)}"


def count(metric: str, window_s: float) -> str:
    """Samples of a gauge in a window."""
    return f"{metric}:count{prometheus_duration(window_s)}"


def total(metric: str, window_s: float) -> str:
    """Sum of a gauge's samples in a window."""
    return f"{metric}:sum{prometheus_duration(window_s)}"


def _stem(metric: str, *suffixes: str) -> str:
    for suffix in suffixes:
        metric = metric.removesuffix(suffix)
    return metric
