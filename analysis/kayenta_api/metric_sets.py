"""What the collector answered, as Kayenta's metric sets and pairs of them."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from analysis.canary.kayenta.metric_sets import MetricSet, MetricSetPair
from analysis.kayenta_api.canary_config import iso
from analysis.kayenta_api.errors import FetchError
from analysis.kayenta_api.execution_request import Scope, ScopePair

#: Points of all series of one execution.
MAX_POINTS: Final = 500_000


def metric_sets(name: str, answer: Any, scope: Scope) -> list[MetricSet]:
    """Series of a PromQL range answer on the scope's grid; a gap is NaN.

    No series at all is one without tags and values, which Kayenta pairs with whatever the other
    side has. Raises FetchError.
    """
    try:
        if answer["status"] != "success" or answer["data"]["resultType"] != "matrix":
            raise FetchError(f"{name}: the query's answer is no matrix")
        series = answer["data"]["result"]
        found = [
            MetricSet(
                name, _tags(one["metric"]), _on_grid(one["values"], scope), scope.expected_points
            )
            for one in series
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise FetchError(f"{name}: the answer is not as documented: {error}") from None
    return found or [MetricSet(name, {}, np.zeros(0), scope.expected_points)]


def require_few(sets: Sequence[MetricSet]) -> None:
    """Raises FetchError."""
    count = sum(max(len(one.values), one.expected_points) for one in sets)
    if count > MAX_POINTS:
        raise FetchError(f"the queries give {count} points, the limit is {MAX_POINTS}")


def pair_json(pair: MetricSetPair, scopes: ScopePair) -> dict[str, Any]:
    """As Kayenta keeps it and sends it to its judges."""
    return {
        "name": pair.name,
        "id": str(uuid.uuid4()),
        "tags": dict(pair.tags),
        "values": {
            "control": _values(pair.control),
            "experiment": _values(pair.experiment),
        },
        "scopes": {
            "control": _scope_json(scopes.control),
            "experiment": _scope_json(scopes.experiment),
        },
        "attributes": {},
    }


def _scope_json(scope: Scope) -> dict[str, Any]:
    return {
        "startTimeMillis": scope.start_ms,
        "startTimeIso": iso(scope.start_ms),
        "stepMillis": scope.step_s * 1000,
    }


def _tags(metric: Mapping[str, str]) -> dict[str, str]:
    return {str(name): str(value) for name, value in metric.items() if name != "__name__"}


def _on_grid(values: Sequence[Sequence[Any]], scope: Scope) -> Any:
    """From the first to the last step that has a value; what lies between and has none is NaN."""
    if not values:
        return np.zeros(0)
    step_ms = scope.step_s * 1000
    places = [round((float(at_s) * 1000 - scope.start_ms) / step_ms) for at_s, _ in values]
    grid = np.full(places[-1] - places[0] + 1, math.nan)
    for place, (_, text) in zip(places, values, strict=True):
        grid[place - places[0]] = float(text)
    return grid


def _values(values: Any) -> list[float | str]:
    # Kayenta's serialiser writes what JSON has no number for as text.
    return [value if math.isfinite(value) else _word(value) for value in values.tolist()]


def _word(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
