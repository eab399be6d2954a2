"""OTLP names as Prometheus knows them (OpenTelemetry specification, "Prometheus and OpenMetrics
Compatibility"; unit words as in prometheus/otlptranslator).

``http.server.request.duration`` in ``s`` becomes ``http_server_request_duration_seconds``; a
counter ends in ``_total``, a gauge of unit ``1`` in ``_ratio``; ``{play}`` is no unit.
"""

from __future__ import annotations

import functools
import re
from typing import Final

__all__ = ["label_name", "metric_name", "unit_word"]

_UNITS: Final = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds",
    "us": "microseconds", "ns": "nanoseconds",
    "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams",
    "Cel": "celsius", "Hz": "hertz", "1": "", "%": "percent",
}  # fmt: skip
_PER_UNITS: Final = {
    "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year",
}  # fmt: skip
_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_IN_LABELS: Final = re.compile(r"[^a-zA-Z0-9_]")
_NOT_IN_WORDS: Final = re.compile(r"[^a-zA-Z0-9]+")
_ANNOTATION: Final = re.compile(r"[{}]")


@functools.lru_cache(maxsize=10_000)
def metric_name(name: str, unit: str, *, is_counter: bool, is_gauge: bool) -> str:
    """The metric's name in Prometheus, without ``_bucket``, ``_count`` and ``_sum``."""
    words = [word for word in _NOT_IN_NAMES.split(name) if word]
    main, per = _unit_words(unit)
    if main and main not in words:
        words.append(main)
    if per and per not in words:
        words += ["per", per]
    if is_counter:
        words = [word for word in words if word != "total"] + ["total"]
    if unit == "1" and is_gauge:
        words = [word for word in words if word != "ratio"] + ["ratio"]
    result = "_".join(words)
    return f"_{result}" if result[:1].isdigit() else result


def unit_word(unit: str) -> str:
    """The unit in words, such as ``seconds`` or ``bytes_per_second``; "" for none."""
    main, per = _unit_words(unit)
    return "_".join(word for word in (main, "per" if per else "", per) if word)


def _unit_words(unit: str) -> tuple[str, str]:
    main, _, per = unit.partition("/")
    return _word(main, _UNITS), _word(per, _PER_UNITS)


def _word(unit: str, known: dict[str, str]) -> str:
    unit = unit.strip()
    if not unit or _ANNOTATION.search(unit):
        return ""
    return _NOT_IN_WORDS.sub("_", known.get(unit, unit)).strip("_")


@functools.lru_cache(maxsize=10_000)
def label_name(attribute: str) -> str:
    """The attribute's name as a label: every character Prometheus 2 does not know is ``_``."""
    name = _NOT_IN_LABELS.sub("_", attribute)
    return f"key_{name}" if name[:1].isdigit() else name
