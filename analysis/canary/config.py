"""The rule a canary is judged by, as data. Values live in ``defaults.yaml``; nothing here has any.

``load_canary_config(text)`` turns YAML text into a checked, frozen :class:`CanaryConfig`. Reading
the file is the caller's business (``default_config_text`` names the shipped one).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final, get_type_hints

from analysis.canary import rule_ranges
from analysis.canary.errors import CanaryConfigError, Problem
from analysis.canary.rule_document import (
    Path,
    RuleDocument,
    default_rule_text,
    placed,
    read_rule,
)

SOURCE_KINDS: Final = ("counter", "histogram")
#: Points per arm: with fewer no mode that answers once says anything. More would be some 50 kB of
#: state per metric, saved with every look.
POINTS_MIN: Final = 10
POINTS_MAX: Final = 1000


class MetricKind(StrEnum):
    """``count``: blocks of :class:`CountArm`; ``histogram``: blocks of :class:`HistogramArm`."""

    COUNT = "count"
    HISTOGRAM = "histogram"


class Mode(StrEnum):
    """How a metric is judged: at every look, or once at the horizon (the other two)."""

    SEQUENTIAL = "sequential"
    EXACT = "exact"
    KAYENTA = "kayenta"


class Statistic(StrEnum):
    """What one point of a mode that answers once says about its interval."""

    SHARE = "share"  # counts: bad events of all
    MEAN = "mean"
    P50 = "p50"
    P90 = "p90"
    P99 = "p99"


#: Settings of a metric that a sequential one does not read.
_OF_FIXED_TIME: Final = ("mode", "point_s", "statistic")


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

    mode: Mode
    point_s: int  # modes that answer once: length of the interval one point stands for
    statistic: Statistic  # ... and what the point is

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
        """SHA-256 of the rule's canonical JSON: names the rule in evidence.

        Settings that a sequential metric does not read are not part of it.
        """
        said = asdict(self)
        for metric in said["metrics"]:
            if metric["mode"] == Mode.SEQUENTIAL:
                for name in _OF_FIXED_TIME:
                    del metric[name]
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
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
    """Text of the shipped ``defaults.yaml``."""
    return default_rule_text()


def load_canary_config(text: str) -> CanaryConfig:
    """Parse and check a rule.

    Raises :class:`CanaryConfigError` with every problem: line, column, key, value and what would
    be accepted.
    """
    document = read_rule(text)
    problems = placed(document, _problems(document))
    if problems:
        raise CanaryConfigError.of(problems)
    metrics = tuple(MetricConfig(**_values(MetricConfig, raw)) for raw in document.metrics)
    return CanaryConfig(metrics=metrics, **_values(CanaryConfig, document.values))


def _problems(document: RuleDocument) -> Iterator[Problem]:
    yield from _of_fields(CanaryConfig, document.values, "", (), rule_ranges.RULE)
    yield from _of_times(document.values)
    names: list[Any] = [raw["name"] for raw in document.metrics]
    for number, raw in enumerate(document.metrics):
        path: Path = ("metrics", number)
        if raw["name"] in names[:number]:
            yield Problem("metrics.name", (*path, "name"), raw["name"], "unique names")
        where = f"metrics[{raw['name']}]."
        wrong = list(_of_fields(MetricConfig, raw, where, path, rule_ranges.METRIC))
        yield from wrong
        if not wrong:
            metric = MetricConfig(**_values(MetricConfig, raw))
            yield from _of_metric(metric, where, path)
            yield from _of_points(metric, document.values, where, path)


def _of_times(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Bake and warm-up end before the horizon does."""
    horizon_s: Any = values.get("horizon_s")
    if not _is_number(horizon_s):
        return
    for name, may_equal in (("min_bake_s", True), ("warm_up_s", False)):
        value: Any = values.get(name)
        if _is_number(value) and (value > horizon_s or (value == horizon_s and not may_equal)):
            accepted = f"{'at most' if may_equal else 'less than'} horizon_s = {horizon_s:g}"
            yield Problem(name, (name,), value, accepted)


def _of_metric(metric: MetricConfig, where: str, path: Path) -> Iterator[Problem]:
    """What only several fields together make wrong."""

    def problem(name: str, accepted: str) -> Problem:
        return Problem(where + name, (*path, name), getattr(metric, name), accepted)

    if metric.source_kind not in SOURCE_KINDS:
        yield problem("source_kind", " or ".join(SOURCE_KINDS))
    if "{" in metric.name:
        yield problem("name", "a name without braces")
    if metric.pass_margin <= metric.fail_margin:
        yield problem("pass_margin", f"more than fail_margin = {metric.fail_margin:g}")
    if metric.kind is MetricKind.COUNT and metric.pass_margin >= 1:
        yield problem("pass_margin", "less than 1: it is a difference of shares")
    if metric.kind is MetricKind.COUNT and not (metric.good_values and metric.bad_values):
        yield problem("bad_values", "good and bad values")
    if metric.split_by and metric.splits_max == 0:
        yield problem("splits_max", "at least 1 when split_by is given")


def _of_points(
    metric: MetricConfig, values: Mapping[str, Any], where: str, path: Path
) -> Iterator[Problem]:
    """A mode that answers once needs points enough by the horizon, and not too many to keep."""
    is_share = metric.statistic is Statistic.SHARE
    if is_share is not (metric.kind is MetricKind.COUNT):
        fitting = [one for one in Statistic if (one is Statistic.SHARE) is not is_share]
        accepted = f"{' or '.join(fitting)} for a {metric.kind}"
        yield Problem(f"{where}statistic", (*path, "statistic"), str(metric.statistic), accepted)
    times = [values.get(name) for name in ("horizon_s", "first_report_s", "warm_up_s")]
    if metric.mode is Mode.SEQUENTIAL or not all(_is_number(one) for one in times):
        return
    horizon_s, first_report_s, warm_up_s = (float(one) for one in times if one is not None)
    # Instances may take their time to start, and the last interval may not be over.
    sure = int((horizon_s - first_report_s - warm_up_s) // metric.point_s) - 1
    if sure < POINTS_MIN or horizon_s // metric.point_s > POINTS_MAX:
        accepted = (
            f"at least {POINTS_MIN} points for sure (horizon_s less first_report_s and warm_up_s, "
            f"less one interval: {max(sure, 0)}) and at most {POINTS_MAX}"
        )
        yield Problem(f"{where}point_s", (*path, "point_s"), metric.point_s, accepted)


def _of_fields(
    kind: type[Any],
    raw: Mapping[str, Any],
    where: str,
    path: Path,
    ranges: Mapping[str, rule_ranges.Range],
) -> Iterator[Problem]:
    """Every field present, none unknown, each of its declared type and in its range."""
    hints = get_type_hints(kind)
    wanted = _wanted(kind)
    for name in raw:
        if name not in wanted:
            accepted = f"one of {', '.join(wanted)}"
            yield Problem(where + name, (*path, name), raw[name], accepted)
    for name, default in wanted.items():
        if name not in raw:
            if default is MISSING:
                yield Problem(where + name, path, "nothing", _TYPE_WORDS[hints[name]])
            continue
        try:
            value = _convert(raw[name], hints[name])
        except TypeError:
            yield Problem(where + name, (*path, name), raw[name], _TYPE_WORDS[hints[name]])
            continue
        if name in ranges and not ranges[name].holds(value):
            yield Problem(where + name, (*path, name), raw[name], str(ranges[name]))


def _wanted(kind: type[Any]) -> dict[str, Any]:
    return {one.name: one.default for one in fields(kind) if one.name != "metrics"}


def _values(kind: type[Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Of what was found to be right."""
    hints = get_type_hints(kind)
    return {name: _convert(value, hints[name]) for name, value in raw.items()}


_TYPE_WORDS: Final[Mapping[Any, str]] = {
    float: "a number",
    int: "a whole number",
    str: "text",
    bool: "true or false",
    tuple[str, ...]: "a list of texts",
    MetricKind: " or ".join(MetricKind),
    Mode: " or ".join(Mode),
    Statistic: " or ".join(Statistic),
}
_ENUMS: Final = (MetricKind, Mode, Statistic)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _convert(value: Any, kind: Any) -> Any:
    """``value`` as the field has it. Raises TypeError."""
    if kind is float and _is_number(value) and math.isfinite(value):
        return float(value)
    if kind in (str, bool) and isinstance(value, kind):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind in _ENUMS and isinstance(value, str) and value in set(kind):
        return kind(value)
    is_list = isinstance(value, list) and all(isinstance(one, str) for one in value)
    if kind == tuple[str, ...] and is_list:
        return tuple(value)
    raise TypeError
