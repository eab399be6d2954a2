"""The rule a canary is judged by, as data. Values live in ``defaults.toml``; nothing here has any.

``load_canary_config(text)`` turns TOML text into a checked, frozen :class:`CanaryConfig`. Reading
the file is the caller's business (``default_config_text`` names the shipped one).
"""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any, get_type_hints

from analysis.canary.errors import CanaryConfigError


class MetricKind(StrEnum):
    """``count``: blocks of :class:`CountArm`; ``histogram``: blocks of :class:`HistogramArm`."""

    COUNT = "count"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class MetricConfig:
    """One metric: where it comes from, what it must show, and how its evidence is spent.

    Source (used by whoever fetches blocks): the metric ``source_metric`` of kind ``source_kind``
    with the attribute conditions ``match``, restricted to the canary's service when
    ``service_scoped``. A count metric is grouped by ``outcome_attribute``: values matching a glob
    in ``bad_values`` are bad, else in ``good_values`` good, everything else is not counted.
    ``split_by`` names the attribute whose values are also judged one by one ("" for none).
    """

    name: str
    kind: MetricKind
    label: str  # words for people, "failed playback starts"
    unit: str  # unit of the histogram's bounds; "1" for counts
    source_metric: str
    source_kind: str  # counter | histogram
    match: tuple[str, ...]
    service_scoped: bool
    outcome_attribute: str
    good_values: tuple[str, ...]
    bad_values: tuple[str, ...]
    split_by: str

    critical: bool  # must be certified for PASS
    required: bool  # silence of one arm holds the canary
    weight: float  # share of the error budget, > 0; normalised over metrics
    overall_weight_ratio: float  # of this weight, for all values together; the rest for splits
    splits_max: int  # values judged one by one, at most

    # FAIL. Counts: canary share may be higher by this much (0.005 = half a point).
    # Histograms: canary may be slower by this ratio (0.1 = 10 %).
    fail_margin: float
    min_bad: int  # counts: at least this many bad events on the canary for FAIL
    # PASS. Counts: certify "share higher by less than this". Histograms: certify "slower by less
    # than this ratio" near the baseline's p50 and p90.
    pass_margin: float
    pass_margin_p90: float
    # Histograms whose buckets are too coarse for the ratio: certify "share of requests above the
    # baseline's p50 / p90 edge higher by less than this".
    pass_share_margin_p50: float
    pass_share_margin_p90: float

    expected_bad_ratio: float  # counts: prior guess, speeds learning, never affects validity
    slo_bad_ratio: float  # counts: an arm above this is bad; 1.0 = no objective

    def outcome(self, value: str) -> str | None:
        """``"bad"``, ``"good"`` or ``None`` (not counted) for a value of ``outcome_attribute``."""
        if any(fnmatchcase(value, pattern) for pattern in self.bad_values):
            return "bad"
        if any(fnmatchcase(value, pattern) for pattern in self.good_values):
            return "good"
        return None


@dataclass(frozen=True, slots=True)
class CanaryConfig:
    """The whole rule. Times in seconds, probabilities in (0, 1)."""

    alpha: float  # P(FAIL ever | canary no worse than the margins), all looks and metrics together
    pass_alpha: float  # P(certified ever | worse than the pass margin), per critical metric
    horizon_s: float
    min_bake_s: float
    min_looks: int
    min_requests_fail: int  # per arm
    min_requests_pass: int  # per arm
    silence_s: float
    first_report_s: float  # allowed until an arm of a required metric reports for the first time
    suspect_log_e: float  # a metric or split above this holds PASS back
    group_min_count: int  # blocks are joined until both arms have this many ...
    group_max_s: float  # ... or this long
    history_half_life_s: float
    slo_window_s: float
    slo_min_requests: int
    declared_canary_share_ratio: float  # canary / (canary + baseline); 0 = not declared, no check
    share_tolerance_ratio: float  # absolute
    share_alpha: float
    incomparable_max_ratio: float  # more blocks than this not comparable => INVALID
    metrics: tuple[MetricConfig, ...]
    # Optional: a rule that does not say has none of it.
    warm_up_s: float = field(default=0.0, kw_only=True)  # caches fill: learned from, not judged
    min_instances_per_arm: int = field(default=1, kw_only=True)  # 1 declares a single instance

    def digest(self) -> str:
        """SHA-256 of the rule's canonical JSON: names the rule in evidence."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def metric(self, name: str) -> MetricConfig:
        """The metric called ``name``; ``KeyError`` when there is none."""
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)


def split_key(name: str, attribute: str, value: str) -> str:
    """Key of the blocks of one split: ``name{attribute=value}``."""
    return f"{name}{{{attribute}={value}}}"


def parse_key(key: str) -> tuple[str, str]:
    """``("name", "attribute=value")`` of a block key; the second is "" for the whole metric."""
    name, brace, rest = key.partition("{")
    if not brace:
        return name, ""
    if not rest.endswith("}") or "=" not in rest:
        raise CanaryConfigError("blocks key", key, "name or name{attribute=value}")
    return name, rest[:-1]


def default_config_text() -> str:
    """Text of the shipped ``defaults.toml``."""
    return resources.files("analysis.canary").joinpath("defaults.toml").read_text("utf-8")


def load_canary_config(text: str) -> CanaryConfig:
    """Parse and check a rule.

    Raises :class:`CanaryConfigError` naming the key and what would be accepted.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CanaryConfigError("file", str(error), "TOML") from error
    metrics = raw.pop("metrics", None)
    if not isinstance(metrics, list) or not metrics:
        raise CanaryConfigError("metrics", metrics, "at least one [[metrics]] table")
    parsed = tuple(_build_metric(m) for m in metrics)
    names = [m.name for m in parsed]
    if len(set(names)) != len(names):
        raise CanaryConfigError("metrics.name", names, "unique names")
    values = _checked(CanaryConfig, raw, "", skip=("metrics",))
    config = CanaryConfig(metrics=parsed, **values)
    _check_ranges(config)
    return config


def _build_metric(raw: Mapping[str, Any]) -> MetricConfig:
    where = f"metrics[{raw.get('name', '?')}]."
    metric = MetricConfig(**_checked(MetricConfig, raw, where, skip=()))
    if metric.source_kind not in ("counter", "histogram"):
        raise CanaryConfigError(where + "source_kind", metric.source_kind, "counter or histogram")
    if "{" in metric.name:
        raise CanaryConfigError(where + "name", metric.name, "a name without braces")
    _in(where + "weight", metric.weight, 0, math.inf, low_open=True)
    _in(where + "overall_weight_ratio", metric.overall_weight_ratio, 0, 1)
    _in(where + "splits_max", metric.splits_max, 0, 64)
    _in(where + "fail_margin", metric.fail_margin, 0, 1)
    _in(where + "pass_margin", metric.pass_margin, metric.fail_margin, 10, low_open=True)
    _in(where + "expected_bad_ratio", metric.expected_bad_ratio, 0, 1)
    _in(where + "slo_bad_ratio", metric.slo_bad_ratio, 0, 1, low_open=True)
    if metric.kind is MetricKind.COUNT and not (metric.good_values and metric.bad_values):
        raise CanaryConfigError(where + "bad_values", metric.bad_values, "good and bad values")
    if metric.split_by and metric.splits_max == 0:
        raise CanaryConfigError(where + "splits_max", 0, "at least 1 when split_by is given")
    return metric


def _checked(
    kind: type[Any], raw: Mapping[str, Any], where: str, *, skip: tuple[str, ...]
) -> dict[str, Any]:
    """Every field present, none unknown, each of its declared type."""
    hints = get_type_hints(kind)
    wanted = {f.name: f.default for f in fields(kind) if f.name not in skip}
    unknown = sorted(set(raw) - set(wanted))
    if unknown:
        raise CanaryConfigError(where + unknown[0], raw[unknown[0]], f"one of {list(wanted)}")
    return {
        name: _convert(where + name, raw.get(name), hints[name])
        for name, default in wanted.items()
        if name in raw or default is MISSING
    }


def _convert(where: str, value: Any, kind: Any) -> Any:
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise CanaryConfigError(where, value, "a finite number")
        return float(value)
    if kind in (str, bool) and isinstance(value, kind):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is MetricKind and value in set(MetricKind):
        return MetricKind(value)
    is_list = isinstance(value, list) and all(isinstance(v, str) for v in value)
    if kind == tuple[str, ...] and is_list:
        return tuple(value)
    name = getattr(kind, "__name__", str(kind))
    raise CanaryConfigError(where, value, name)


def _check_ranges(c: CanaryConfig) -> None:
    for name in ("alpha", "pass_alpha", "share_alpha"):
        _in(name, getattr(c, name), 0, 1, low_open=True, high_open=True)
    for name in ("horizon_s", "silence_s", "first_report_s", "history_half_life_s", "slo_window_s"):
        _in(name, getattr(c, name), 0, math.inf, low_open=True)
    _in("min_bake_s", c.min_bake_s, 0, c.horizon_s)
    for name in ("min_looks", "min_requests_fail", "min_requests_pass", "group_min_count"):
        _in(name, getattr(c, name), 1, math.inf)
    _in("warm_up_s", c.warm_up_s, 0, c.horizon_s, high_open=True)
    _in("min_instances_per_arm", c.min_instances_per_arm, 1, 10_000)
    _in("slo_min_requests", c.slo_min_requests, 1, math.inf)
    _in("group_max_s", c.group_max_s, 0, math.inf)
    _in("declared_canary_share_ratio", c.declared_canary_share_ratio, 0, 1, high_open=True)
    _in("share_tolerance_ratio", c.share_tolerance_ratio, 0, 0.5)
    _in("incomparable_max_ratio", c.incomparable_max_ratio, 0, 1)


def _in(
    where: str,
    value: float,
    low: float,
    high: float,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> None:
    below = value <= low if low_open else value < low
    above = value >= high if high_open else value > high
    if below or above:
        left, right = "(" if low_open else "[", ")" if high_open else "]"
        raise CanaryConfigError(where, value, f"a number in {left}{low}, {high}{right}")
