"""What is watched, as data: strict TOML in, frozen objects out. Values live in ``signals.toml``."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any, get_type_hints

from analysis.anomaly.counts import CountsConfig
from analysis.anomaly.errors import SignalsError


@dataclass(frozen=True, slots=True)
class Signal:
    """Failures out of requests of one counter or histogram, one series per value of ``split_by``.

    Values of ``outcome_attribute`` matching a glob of ``bad_values`` fail, else of ``good_values``
    succeed; all others are not counted. An empty ``service`` means the split's value.
    """

    name: str
    label: str
    service: str
    metric: str
    outcome_attribute: str
    good_values: tuple[str, ...]
    bad_values: tuple[str, ...]
    split_by: str

    def outcome(self, value: str) -> str | None:
        """``"bad"``, ``"good"`` or ``None`` (not counted)."""
        if any(fnmatchcase(value, pattern) for pattern in self.bad_values):
            return "bad"
        if any(fnmatchcase(value, pattern) for pattern in self.good_values):
            return "good"
        return None


@dataclass(frozen=True, slots=True)
class SignalsConfig:
    """See ``signals.toml`` for meaning, unit and source of every value."""

    false_alarm_interval_s: float
    factors: tuple[float, ...]
    margin_factor: float
    ceiling_sigmas: float
    floor_ratio: float
    lag_s: float
    learn_min_requests: int
    half_life_s: float
    winsor_factor: float
    min_failures: int
    clear_s: float
    stale_s: float
    series_max: int
    signals: tuple[Signal, ...]

    def detector(self, block_s: float) -> CountsConfig:
        """The detector's settings for blocks of ``block_s``."""
        return CountsConfig(
            average_run_length_blocks=self.false_alarm_interval_s / block_s,
            factors=self.factors,
            margin_factor=self.margin_factor,
            ceiling_sigmas=self.ceiling_sigmas,
            floor_ratio=self.floor_ratio,
            lag_blocks=math.ceil(self.lag_s / block_s),
            learn_min_requests=self.learn_min_requests,
            half_life_blocks=self.half_life_s / block_s,
            winsor_factor=self.winsor_factor,
            min_failures=self.min_failures,
        )


def shipped_text() -> str:
    """Text of the shipped ``signals.toml``."""
    return resources.files("analysis.anomaly").joinpath("signals.toml").read_text("utf-8")


def load_signals(text: str) -> SignalsConfig:
    """Parse and check. Raises SignalsError."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SignalsError("file", str(error), "TOML") from error
    tables = raw.pop("signals", None)
    if not isinstance(tables, list) or not tables:
        raise SignalsError("signals", tables, "at least one [[signals]] table")
    signals = tuple(
        Signal(**_checked(Signal, table, f"signals[{i}].")) for i, table in enumerate(tables)
    )
    names = [signal.name for signal in signals]
    if len(set(names)) != len(names):
        raise SignalsError("signals.name", names, "unique names")
    config = SignalsConfig(signals=signals, **_checked(SignalsConfig, raw, "", skip="signals"))
    _check_ranges(config)
    return config


def _checked(kind: type[Any], raw: Any, where: str, skip: str = "") -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise SignalsError(where.rstrip("."), raw, "a table")
    hints = get_type_hints(kind)
    wanted = [f.name for f in fields(kind) if f.name != skip]
    for name in raw:
        if name not in wanted:
            raise SignalsError(where + name, raw[name], f"one of {', '.join(wanted)}")
    return {name: _typed(where + name, raw.get(name), hints[name]) for name in wanted}


def _typed(where: str, value: Any, hint: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(value)
    if hint is int and is_number and isinstance(value, int):
        return value
    if hint is str and isinstance(value, str):
        return value
    if hint == tuple[str, ...] and isinstance(value, list):
        return tuple(_typed(f"{where}[{i}]", one, str) for i, one in enumerate(value))
    if hint == tuple[float, ...] and isinstance(value, list):
        return tuple(_typed(f"{where}[{i}]", one, float) for i, one in enumerate(value))
    raise SignalsError(where, value, getattr(hint, "__name__", str(hint)))


def _check_ranges(config: SignalsConfig) -> None:
    for name, low in (
        ("false_alarm_interval_s", 60.0),
        ("margin_factor", 1.0),
        ("winsor_factor", 1.0),
        ("learn_min_requests", 1),
        ("min_failures", 1),
        ("half_life_s", 1.0),
        ("series_max", 1),
        ("ceiling_sigmas", 0.0),
        ("lag_s", 0.0),
        ("clear_s", 0.0),
        ("stale_s", 0.0),
    ):
        value = getattr(config, name)
        if not (math.isfinite(value) and value >= low):
            raise SignalsError(name, value, f"at least {low:g}")
    if not 0.0 < config.floor_ratio < 0.5:
        raise SignalsError("floor_ratio", config.floor_ratio, "a share in (0, 0.5)")
    if not config.factors or not all(1.0 < factor < math.inf for factor in config.factors):
        raise SignalsError("factors", config.factors, "at least one number, each above 1")
