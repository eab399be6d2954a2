"""promtool's notation for series: ``name{a="b"} 0+10x5 _ stale NaN``.

``a+bxn`` is a and n more values, each b larger than the one before; ``axn`` is a, n + 1 times;
``_`` is no sample, ``_xn`` n times. Values are one interval apart, the first one at time 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from collector.promql.labels import NAME, Labels, make_labels
from collector.promql.memory import MemorySource
from collector.promql.series import STALE_NAN, Floats, Ints
from collector.promql.strings import unquoted

_SERIES = re.compile(
    r"\s*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(?:\{(?P<labels>(?:[^\"'{}]|\"(?:[^\"\\]|\\.)*\""
    r"|'(?:[^'\\]|\\.)*')*)\})?\s*(?P<values>.*)",
    re.DOTALL,
)
_PAIR = re.compile(
    r"\s*(?P<name>[a-zA-Z_][a-zA-Z0-9_]*|\"(?:[^\"\\]|\\.)*\")\s*=\s*"
    r"(?P<value>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`)\s*,?"
)
_NUMBER = r"(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[iI]nf|[nN]a[nN])"
_ITEM = re.compile(rf"(?P<start>[+-]?{_NUMBER})(?:(?P<step>[+-]{_NUMBER}))?(?:x(?P<times>[0-9]+))?")


def parse_labels(text: str | None, name: str | None) -> Labels:
    """Labels between braces, and the metric's name."""
    pairs = {NAME: name or ""}
    position = 0
    body = (text or "").strip()
    while position < len(body):
        match = _PAIR.match(body, position)
        if match is None:
            raise ValueError(f"not a list of labels: {body!r}")
        key = match["name"]
        pairs[unquoted(key) if key[0] == '"' else key] = unquoted(match["value"])
        position = match.end()
    return make_labels(pairs)


def parse_values(text: str) -> list[float | None]:
    """Values of a series, None where there is no sample."""
    values: list[float | None] = []
    for item in text.split():
        if item == "stale":
            values.append(STALE_NAN)
        elif item.startswith("_"):
            values += [None] * int(item[2:] or 1)
        else:
            values += _expanded(item)
    return values


def _expanded(item: str) -> Iterator[float]:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise ValueError(f"not a value of a series: {item!r}")
    value = float(match["start"])
    step = float(match["step"] or 0)
    for _ in range(int(match["times"] or 0) + 1):
        yield value
        value += step


def parse_series(line: str) -> tuple[Labels, list[float | None]]:
    """One line of a load command, or of an expectation."""
    match = _SERIES.fullmatch(line)
    if match is None or (match["name"] is None and match["labels"] is None):
        raise ValueError(f"not a series: {line!r}")
    return parse_labels(match["labels"], match["name"]), parse_values(match["values"])


def samples_of(values: Sequence[float | None], interval_ms: int) -> tuple[Ints, Floats]:
    """Times and values of those that are there."""
    kept = [(index, value) for index, value in enumerate(values) if value is not None]
    times = np.array([index for index, _ in kept], dtype=np.int64) * interval_ms
    return times, np.array([value for _, value in kept], dtype=np.float64)


def source_of(loads: Sequence[tuple[int, Sequence[str]]]) -> MemorySource:
    """Everything that load commands (interval in ms, lines) put in; a later sample wins."""
    series: dict[Labels, dict[int, float]] = {}
    for interval_ms, lines in loads:
        for line in lines:
            labels, values = parse_series(line)
            times, numbers = samples_of(values, interval_ms)
            known = series.setdefault(labels, {})
            known.update(zip(times.tolist(), numbers, strict=True))
    return MemorySource(
        (
            labels,
            np.array(sorted(samples), dtype=np.int64),
            np.array([samples[time] for time in sorted(samples)], dtype=np.float64),
        )
        for labels, samples in series.items()
    )
