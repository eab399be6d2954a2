"""Names of judged metrics in plain words; those of the shipped rule are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dashboards.answers.looks import MetricLook
from dashboards.theme import Status
from dashboards.wording import UNKNOWN, duration, percent

_NAMES: Final[Mapping[str, str]] = {
    "playback.start.failures": "failed playback starts",
    "playback.startup.duration": "playback startup time",
    "http.server.request.duration": "server response time",
    "http.server.errors": "server errors (5xx)",
}

#: Word and status of the states a metric can be in.
_STATES: Final[Mapping[str, tuple[str, Status]]] = {
    "no_data": ("no data", Status.UNKNOWN),
    "silent": ("one arm silent", Status.UNKNOWN),
    "learning": ("learning", Status.UNKNOWN),
    "constant": ("constant, nothing to compare", Status.UNKNOWN),
    "incomparable": ("not comparable", Status.UNKNOWN),
    "observing": ("no difference shown", Status.OK),
    "suspect": ("looks worse", Status.WARN),
    "worse": ("worse", Status.BAD),
    "certified": ("shown safe", Status.OK),
    # Of metrics that are judged once, at the horizon.
    "waiting": ("waiting for its one answer", Status.UNKNOWN),
    "undecided": ("undecided", Status.UNKNOWN),
    "too_few_points": ("too few points", Status.UNKNOWN),
}


def metric_name(name: str, split: str = "") -> str:
    """``failed playback starts · tv-legacy``."""
    words = _NAMES.get(name, name)
    return f"{words} · {split.partition('=')[2] or split}" if split else words


def metric_words(metric: MetricLook) -> str:
    """A judged metric or split by its plain name."""
    return metric_name(metric.name, metric.split)


def state_words(state: str) -> tuple[str, Status]:
    """Word and status; a state of a newer judge is shown as it is called."""
    return _STATES.get(state, (state.replace("_", " "), Status.UNKNOWN))


def arm_words(metric: MetricLook, values: Mapping[str, float | None]) -> str:
    """One arm's numbers: ``37 of 812 (4.56 %)`` or ``p50 812 ms · p99 2.1 s · 790 requests``."""
    total = values.get("total")
    if not total:
        return "nothing yet"
    if metric.kind == "count":
        ratio = values.get("bad_ratio")
        return f"{values.get('bad') or 0:,.0f} of {total:,.0f} ({percent(ratio, digits=2)})"
    # What is judged once has one statistic, whichever the rule says.
    shown = {"p50", "p99"} if metric.one_answer is None else {"mean", "p50", "p90", "p99"}
    quantiles = [
        f"{name} {duration(value)}"
        for name, value in values.items()
        if name in shown and value is not None
    ]
    return " · ".join([*quantiles, f"{total:,.0f} counted"]) if quantiles else UNKNOWN
