"""What Pyrra refuses and what it warns of, in its order and its words.

It stops at the first error; warnings before that are kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from analysis.slo.openslo.promql_text import problem_of, selector_of
from analysis.slo.openslo.pyrra.draft import Draft, IndicatorDraft
from analysis.slo.openslo.pyrra.objective import BUCKET
from analysis.slo.openslo.rule_text import number

_UNITS: Final = ("y", "w", "d", "h", "m", "s", "ms")
_PART: Final = re.compile(r"(?P<digits>[0-9]+)(?P<unit>[^0-9]+)")


@dataclass(frozen=True, slots=True)
class _Note:
    text: str
    is_error: bool = True


def judge(draft: Draft) -> tuple[str | None, list[str]]:
    """The first error, or ``None``, and the warnings up to it."""
    warnings: list[str] = []
    for note in _notes(draft):
        if note.is_error:
            return note.text, warnings
        warnings.append(note.text)
    return None, warnings


def _notes(draft: Draft) -> Iterator[_Note]:
    if not draft.name:
        yield _Note("name must be set")
    if not draft.namespace:
        yield _Note("namespace must be set", is_error=False)
    yield from _target(draft.target)
    if not draft.window:
        yield _Note("window must be set")
    problem = duration_problem(draft.window)
    if problem is not None:
        yield _Note(problem)
    if not draft.indicators:
        yield _Note("one of ratio, latency, latencyNative or bool_gauge must be set")
    for kind, check in (
        ("ratio", _ratio),
        ("latency", _latency),
        ("latencyNative", _native),
        ("bool_gauge", _gauge),
    ):
        if kind in draft.indicators:
            yield from check(draft.indicators[kind])


def _target(text: str) -> Iterator[_Note]:
    if not text:
        yield _Note("target must be set")
        return
    try:
        target = float(text.strip("_"))
    except ValueError:
        yield _Note(f'strconv.ParseFloat: parsing "{text}": invalid syntax')
        return
    if not 0 <= target <= 100:
        yield _Note("target must be between 0 and 100")
    if 0 < target < 1:
        percent, ratio = number(100 * target), number(target)
        yield _Note(f"target is from 0-100 ({percent}), not 0-1 ({ratio})", is_error=False)


def duration_problem(text: str) -> str | None:
    """Why a text is no duration of Prometheus, in its words."""
    if text == "0":
        return None
    if not text:
        return "empty duration string"
    rest, last = text, -1
    while rest:
        found = _PART.match(rest)
        if found is None:
            return f'not a valid duration string: "{text}"'
        if found["unit"] not in _UNITS:
            return f'unknown unit "{found["unit"]}" in duration "{text}"'
        if _UNITS.index(found["unit"]) <= last:
            return f'not a valid duration string: "{text}"'
        last = _UNITS.index(found["unit"])
        rest = rest[found.end() :]
    return None


def _ratio(indicator: IndicatorDraft) -> Iterator[_Note]:
    total, errors = indicator.texts.get("total", ""), indicator.texts.get("errors", "")
    yield from _present("ratio total", total)
    yield from _present("ratio errors", errors)
    if errors == total:
        text = "ratio errors metric should be different from ratio total metric"
        yield _Note(text, is_error=False)
    yield from _selector("ratio total", total)
    yield from _selector("ratio errors", errors)


def _latency(indicator: IndicatorDraft) -> Iterator[_Note]:
    total, success = indicator.texts.get("total", ""), indicator.texts.get("success", "")
    yield from _present("latency total", total)
    yield from _present("latency success", success)
    if success == total:
        text = "latency success metric should be different from latency total metric"
        yield _Note(text, is_error=False)
    for what, query in (("latency total", total), ("latency success", success)):
        yield from _parsed(what, query)
    yield from _vector("latency total", total)
    if not _metric(total).endswith("_count"):
        text = "latency total metric should usually be a histogram count"
        yield _Note(text, is_error=False)
    yield from _vector("latency success", success)
    yield from _bucket(success)
    if not _metric(success).endswith("_bucket"):
        text = "latency success metric should usually be a histogram bucket"
        yield _Note(text, is_error=False)


def _bucket(success: str) -> Iterator[_Note]:
    found = selector_of(success)
    values = [value for name, _, value in (found[1] if found else ()) if name == BUCKET]
    rule = "latency success metric must contain a le label matcher"
    if not values:
        yield _Note(rule)
        return
    try:
        math.isfinite(float(values[0]))
    except ValueError:
        problem = f'strconv.ParseFloat: parsing "{values[0]}": invalid syntax'
        yield _Note(f"{rule} with a float value: {problem}")


def _native(indicator: IndicatorDraft) -> Iterator[_Note]:
    total, latency = indicator.texts.get("total", ""), indicator.texts.get("latency", "")
    yield from _present("latencyNative total", total)
    if not latency:
        yield _Note("latencyNative latency objective must be set")
    problem = duration_problem(latency)
    if problem is not None:
        yield _Note(f"latencyNative latency objective must be a valid duration: {problem}")
    yield from _selector("latencyNative total", total)


def _gauge(indicator: IndicatorDraft) -> Iterator[_Note]:
    metric = indicator.texts.get("metric", "")
    yield from _present("boolGauge", metric)
    yield from _selector("boolGauge", metric)


def _present(what: str, query: str) -> Iterator[_Note]:
    if not query:
        yield _Note(f"{what} metric must be set")


def _selector(what: str, query: str) -> Iterator[_Note]:
    yield from _parsed(what, query)
    yield from _vector(what, query)


def _parsed(what: str, query: str) -> Iterator[_Note]:
    problem = problem_of(query)
    if problem is not None:
        yield _Note(f"failed to parse {what} metric: {problem.message}")


def _vector(what: str, query: str) -> Iterator[_Note]:
    if selector_of(query) is None:
        yield _Note(f"{what} metric must be a vector selector")


def _metric(query: str) -> str:
    found = selector_of(query)
    return found[0] if found else ""
