"""Parameters of Jaeger's query API, as its own server reads them.

Times are Unix microseconds (milliseconds for dependencies), durations Go's ("1.5s", "100ms",
"1h30m"), tags a JSON object or repeated ``tag=key:value``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from collector.query.errors import BadParameter
from collector.store.reader import KIND_CODES, Match, TraceFilter, Window

DEFAULT_LIMIT: Final = 100
#: What Jaeger's own page offers at most.
MAX_LIMIT: Final = 1_500
MAX_TAGS: Final = 20
_DAY_NS: Final = 86_400_000_000_000
#: Where a search begins when it does not say: Jaeger's two days.
DEFAULT_LOOK_BACK_NS: Final = 2 * _DAY_NS
_UNIT_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    # Not Go's, but what Jaeger's page sends as "lookback".
    "d": _DAY_NS,
    "w": 7 * _DAY_NS,
}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h|d|w)")
_DURATION: Final = re.compile(f"(?:{_PART.pattern})+")
_TRUE: Final = frozenset(("true", "True", "1"))
_LATEST_UNIX_NANO: Final = 7_258_118_400_000_000_000


@dataclass(frozen=True, slots=True)
class TraceSearch:
    """A search as the store takes it."""

    window: Window
    wanted: TraceFilter
    limit: int


def trace_search(
    given: dict[str, str], tag: Sequence[str], tags: Sequence[str], *, now_unix_nano: int
) -> TraceSearch:
    """A search from Jaeger's parameters. Raises BadParameter."""
    service = given.get("service", "")
    if not service:
        raise BadParameter("parameter 'service' is required", accepted="service=<name>")
    shortest, longest = (_optional_duration(given, name) for name in ("minDuration", "maxDuration"))
    if longest and shortest > longest:
        raise BadParameter(
            "'maxDuration' should be greater than 'minDuration'", accepted="minDuration first"
        )
    is_error, kind, matches = _conditions(_tags(tag, tags))
    return TraceSearch(
        window=_window(given, now_unix_nano),
        wanted=TraceFilter(
            service=service,
            operation=given.get("operation") or None,
            min_duration_ns=shortest,
            max_duration_ns=longest,
            is_error=is_error,
            kind=kind,
            matches=matches,
        ),
        limit=_integer("limit", given.get("limit") or str(DEFAULT_LIMIT), 1, MAX_LIMIT),
    )


def dependency_window(given: dict[str, str], *, now_unix_nano: int) -> Window:
    """``endTs`` and ``lookback`` in milliseconds; by default the last day."""
    end = now_unix_nano
    if given.get("endTs"):
        end = _integer("endTs", given["endTs"], 0, _LATEST_UNIX_NANO // 1_000_000) * 1_000_000
    milliseconds = given.get("lookback") or str(_DAY_NS // 1_000_000)
    look_back_ns = _integer("lookback", milliseconds, 1, _LATEST_UNIX_NANO // 1_000_000) * 1_000_000
    return Window(max(end - look_back_ns, 0), end)


def span_kind(name: str) -> int | None:
    """``server``, ``client``, ... as OTLP's number; None for any."""
    if not name:
        return None
    if name not in KIND_CODES:
        raise BadParameter(f"unsupported span kind: {name[:100]!r}", accepted=", ".join(KIND_CODES))
    return KIND_CODES[name]


def duration_ns(name: str, text: str) -> int:
    """A Go duration in nanoseconds."""
    if text == "0":
        return 0
    if not _DURATION.fullmatch(text):
        raise BadParameter(
            f"unable to parse param '{name}': {text[:100]!r} is no duration",
            accepted="numbers with units, e.g. 1.5s, 100ms, 1h30m",
        )
    return round(sum(float(number) * _UNIT_NS[unit] for number, unit in _PART.findall(text)))


def _optional_duration(given: dict[str, str], name: str) -> int:
    text = given.get(name, "")
    return duration_ns(name, text) if text else 0


def _window(given: dict[str, str], now_unix_nano: int) -> Window:
    latest_us = _LATEST_UNIX_NANO // 1_000
    end = now_unix_nano
    if given.get("end"):
        end = _integer("end", given["end"], 0, latest_us) * 1_000
    look_back = given.get("lookback", "")
    if given.get("start"):
        start = _integer("start", given["start"], 0, latest_us) * 1_000
    elif look_back and look_back != "custom":
        start = end - duration_ns("lookback", look_back)
    else:
        start = end - DEFAULT_LOOK_BACK_NS
    if start >= end:
        raise BadParameter("'start' is not before 'end'", accepted="start < end, microseconds")
    # Their end is the last microsecond to look at, ours the first moment not to.
    return Window(max(start, 0), end + 1_000)


def _tags(simple: Sequence[str], encoded: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in simple:
        key, colon, value = text.partition(":")
        if not colon:
            raise BadParameter(
                f"malformed 'tag' parameter, expecting key:value, received: {text[:100]}",
                accepted="tag=key:value",
            )
        found[key] = value
    for text in encoded:
        try:
            decoded = orjson.loads(text)
        except orjson.JSONDecodeError:
            decoded = None
        if not isinstance(decoded, dict) or not all(
            isinstance(value, str) for value in decoded.values()
        ):
            raise BadParameter(
                "malformed 'tags' parameter, cannot unmarshal JSON",
                accepted='an object of strings, {"error":"true"}',
            )
        found.update(decoded)
    if len(found) > MAX_TAGS:
        raise BadParameter("too many tags", accepted=f"at most {MAX_TAGS}")
    return found


def _conditions(tags: dict[str, str]) -> tuple[bool, int | None, tuple[Match, ...]]:
    """Tags that Jaeger makes from fields of a span, and those that are attributes."""
    is_error = tags.pop("error", "") in _TRUE
    is_error = (tags.pop("otel.status_code", "") == "ERROR") or is_error
    kind = span_kind(tags.pop("span.kind", ""))
    return is_error, kind, tuple(Match(key, value) for key, value in tags.items())


def _integer(name: str, text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise BadParameter(
            f"unable to parse param '{name}': {text[:100]!r}", accepted=f"{low} to {high}"
        )
    return value
