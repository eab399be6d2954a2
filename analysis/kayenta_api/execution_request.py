"""An execution request: where and when each side is measured, and what score passes.

Source: CanaryExecutionRequest.java, CanaryScope.java, CanaryScopePair.java.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from analysis.kayenta_api.errors import KayentaApiError

#: Points of one series of one side.
MAX_POINTS: Final = 11_000
DEFAULT_STEP_S: Final = 60
DEFAULT_SCOPE: Final = "default"


@dataclass(frozen=True, slots=True)
class Scope:
    """One side of one scope. Times are Unix milliseconds; ``start`` and ``end`` are whole steps."""

    scope: str | None
    location: str | None
    start_ms: int
    end_ms: int
    step_s: int
    extended: Mapping[str, str] = field(default_factory=dict)

    @property
    def expected_points(self) -> int:
        """A side with fewer is padded with NaN, as Kayenta does."""
        return (self.end_ms - self.start_ms) // (self.step_s * 1000)


@dataclass(frozen=True, slots=True)
class ScopePair:
    """Both sides."""

    control: Scope
    experiment: Scope


@dataclass(frozen=True, slots=True)
class ExecutionRequest:
    """``scopes`` by name; a metric names one, ``default`` if it does not."""

    scopes: Mapping[str, ScopePair]
    pass_at: float
    marginal_at: float


def read(raw: Any) -> ExecutionRequest:
    """Raises KayentaApiError."""
    if not isinstance(raw, dict):
        raise KayentaApiError("an execution request is a JSON object with scopes and thresholds")
    scopes, thresholds = raw.get("scopes"), raw.get("thresholds")
    if not isinstance(scopes, dict) or not scopes:
        raise KayentaApiError("Canary execution request must contain at least one scope pair.")
    if not isinstance(thresholds, dict):
        raise KayentaApiError("thresholds: an object with pass and marginal")
    pairs = {
        str(name): ScopePair(
            _scope(pair, "controlScope", f"scopes.{name}"),
            _scope(pair, "experimentScope", f"scopes.{name}"),
        )
        for name, pair in scopes.items()
    }
    return ExecutionRequest(
        pairs, _threshold(thresholds, "pass"), _threshold(thresholds, "marginal")
    )


def _scope(pair: Any, side: str, where: str) -> Scope:
    raw = pair.get(side) if isinstance(pair, dict) else None
    where = f"{where}.{side}"
    if not isinstance(raw, dict):
        raise KayentaApiError(f"{where}: an object with scope, location, start, end and step")
    step_s = raw.get("step", DEFAULT_STEP_S)
    if isinstance(step_s, bool) or not isinstance(step_s, int) or step_s < 1:
        raise KayentaApiError(f"{where}.step: seconds, a whole number above zero")
    start_ms, end_ms = _instant(raw, "start", where), _instant(raw, "end", where)
    if end_ms <= start_ms:
        raise KayentaApiError(f"{where}: end is not after start")
    if (end_ms - start_ms) // (step_s * 1000) > MAX_POINTS:
        raise KayentaApiError(f"{where}: more than {MAX_POINTS} steps between start and end")
    extended = raw.get("extendedScopeParams") or {}
    if not isinstance(extended, dict):
        raise KayentaApiError(f"{where}.extendedScopeParams: an object of texts")
    return Scope(
        _text(raw, "scope", where),
        _text(raw, "location", where),
        start_ms,
        end_ms,
        step_s,
        {str(name): str(value) for name, value in extended.items()},
    )


def _text(raw: Mapping[str, Any], name: str, where: str) -> str | None:
    value = raw.get(name)
    if value is not None and not isinstance(value, str):
        raise KayentaApiError(f"{where}.{name}: a text")
    return value


def _instant(raw: Mapping[str, Any], name: str, where: str) -> int:
    """ISO 8601 with a zone, as Java's Instant reads it; milliseconds since the epoch."""
    value = raw.get(name)
    try:
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise KayentaApiError(
            f"{where}.{name}: {value!r} is no moment such as 2026-11-25T12:00:00Z"
        )
    return math.floor(moment.timestamp() * 1000)


def _threshold(thresholds: Mapping[str, Any], name: str) -> float:
    # Orca sends whole numbers as texts when a pipeline's expression made them.
    value = thresholds.get(name)
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not 0 <= number <= 100:
        raise KayentaApiError(f"thresholds.{name}: a number from 0 to 100")
    return number
