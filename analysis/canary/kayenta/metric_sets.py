"""Two lists of series become pairs: by name, by tags, padded to what the window should hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.canary.kayenta.errors import KayentaInputError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MetricSet:
    """One series of one side. ``expected_points``: (end - start) / step, 0 when unknown."""

    name: str | None
    tags: Mapping[str, str]
    values: Floats
    expected_points: int = 0

    @property
    def key(self) -> str:
        """Name and sorted tags; names the series."""
        if not self.name:
            raise KayentaInputError("Metric set name was not set")
        tags = ", ".join(f"{k}:{self.tags[k]}" for k in sorted(self.tags))
        return f"{self.name} -> {{{tags}}}"

    @property
    def is_placeholder(self) -> bool:
        """Without tags it stands for every tag set of the other side."""
        return not self.tags


@dataclass(frozen=True, slots=True)
class MetricSetPair:
    """Both sides of one metric and one tag set."""

    name: str
    tags: Mapping[str, str]
    control: Floats
    experiment: Floats


def pair_all(
    metric_names: Sequence[str], control: Sequence[MetricSet], experiment: Sequence[MetricSet]
) -> list[MetricSetPair]:
    """Pairs in the order of the config. Raises KayentaInputError as Kayenta refuses."""
    for side, sets in (("Control", control), ("Experiment", experiment)):
        if any(not one.name for one in sets):
            raise KayentaInputError(f"{side} metric set name was not set")
    pairs: list[MetricSetPair] = []
    for name in metric_names:
        ours = [one for one in control if one.name == name]
        theirs = [one for one in experiment if one.name == name]
        if not ours:
            raise KayentaInputError(f"No control metrics found for metric {name}")
        if not theirs:
            raise KayentaInputError(f"No experiment metrics found for metric {name}")
        pairs += _pairs_of_metric(ours, theirs)
    return pairs


def pair(control: MetricSet, experiment: MetricSet) -> MetricSetPair:
    """Two series that belong together. Raises KayentaInputError."""
    if not control.name:
        raise KayentaInputError("Control metric set name was not set")
    if not experiment.name:
        raise KayentaInputError("Experiment metric set name was not set")
    if control.name != experiment.name:
        raise KayentaInputError(
            f"Control metric set name {control.name!r} does not match experiment metric set name "
            f"{experiment.name!r}"
        )
    if set(control.tags) != set(experiment.tags):
        raise KayentaInputError(
            f"Control and experiment metric sets of {control.name} have different tag keys: "
            f"{sorted(control.tags)} and {sorted(experiment.tags)}"
        )
    return MetricSetPair(control.name, dict(experiment.tags), _padded(control), _padded(experiment))


def _pairs_of_metric(
    control: Sequence[MetricSet], experiment: Sequence[MetricSet]
) -> list[MetricSetPair]:
    control, experiment = _templates(control, experiment), _templates(experiment, control)
    by_tags = {tuple(sorted(one.tags.items())): one for one in control}
    others = {tuple(sorted(one.tags.items())): one for one in experiment}
    pairs = []
    for tags, ours in by_tags.items():
        theirs = others.pop(tags, None)
        if theirs is None and len(control) == len(experiment) == 1:
            theirs = experiment[0]
            others.clear()
        pairs.append(pair(ours, theirs if theirs is not None else _emptied(ours)))
    pairs += [pair(_emptied(theirs), theirs) for theirs in others.values()]
    return pairs


def _templates(mine: Sequence[MetricSet], others: Sequence[MetricSet]) -> list[MetricSet]:
    """My series; a lone one without tags becomes an empty one per tag set of the other side."""
    tagged = [one for one in others if not one.is_placeholder]
    if len(mine) == 1 and mine[0].is_placeholder and tagged:
        expected = mine[0].expected_points
        empty = np.zeros(0)
        return [MetricSet(mine[0].name, one.tags, empty, expected) for one in tagged]
    return list(mine)


def _emptied(one: MetricSet) -> MetricSet:
    return MetricSet(one.name, one.tags, np.zeros(0), one.expected_points)


def _padded(one: MetricSet) -> Floats:
    missing = one.expected_points - len(one.values)
    values = np.asarray(one.values, dtype=float)
    return np.concatenate([values, np.full(missing, math.nan)]) if missing > 0 else values
