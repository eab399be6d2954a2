"""Answers of the query API as JSON: samples are ``[seconds, "value"]``, labels are an object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from collector.promql.engine import Result, SeriesPoints
from collector.promql.labels import Labels
from collector.promql.nodes import ValueType
from collector.promql.series import Floats, Ints
from collector.promql.strings import format_float, format_json

__all__ = ["error_body", "query_data", "success_body", "written"]


def success_body(data: Any, *, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> bytes:
    """The envelope around what was asked for; annotations appear only if there are any."""
    body: dict[str, Any] = {"status": "success", "data": data}
    if warnings:
        body["warnings"] = list(warnings)
    if infos:
        body["infos"] = list(infos)
    return orjson.dumps(body)


def error_body(error_type: str, message: str) -> bytes:
    """The envelope of a failure."""
    return orjson.dumps({"status": "error", "errorType": error_type, "error": message})


def query_data(result: Result, series: Sequence[SeriesPoints]) -> dict[str, Any]:
    """``data`` of a query; ``series`` are those of the result that are to be shown."""
    if result.type is ValueType.STRING:
        return _typed(result.type, [_seconds(result.time_ms), result.text])
    if result.type is ValueType.SCALAR:
        # A scalar is never written with an exponent, unlike a sample.
        value = format_float(float(series[0].values[0]))
        return _typed(result.type, [_seconds(result.time_ms), value])
    if result.type is ValueType.VECTOR:
        return _typed(
            result.type,
            [
                {
                    "metric": _metric(one.labels),
                    "value": [_seconds(int(one.times_ms[0])), _value(float(one.values[0]))],
                }
                for one in series
            ],
        )
    beginnings = _Beginnings()
    return _typed(
        result.type,
        [
            {
                "metric": _metric(one.labels),
                "values": orjson.Fragment(written(beginnings.of(one.times_ms), one.values)),
            }
            for one in series
        ],
    )


def _typed(kind: ValueType, result: Any) -> dict[str, Any]:
    return {"resultType": str(kind), "result": result}


def _metric(labels: Labels) -> dict[str, str]:
    return dict(labels)


class _Beginnings:
    """What stands before the values; most series of an answer have the same times."""

    def __init__(self) -> None:
        self._known: dict[bytes, list[bytes]] = {}

    def of(self, times_ms: Ints) -> list[bytes]:
        """``[seconds,"`` of every time."""
        key = times_ms.tobytes()
        found = self._known.get(key)
        if found is None:
            seconds = [_seconds(time_ms) for time_ms in times_ms.tolist()]
            found = self._known[key] = [b"[" + orjson.dumps(one) + b',"' for one in seconds]
        return found


def written(beginnings: Sequence[bytes], values: Floats) -> bytes:
    """``[[seconds,"value"],...]``. Most numbers are written at once, not one by one."""
    numbers = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
    # What has an exponent somewhere, or is no number (null here), has rules of its own.
    if b"e" in numbers or b"u" in numbers:
        parts = [_value(value).encode() for value in values.tolist()]
    else:
        parts = numbers[1:-1].split(b",") if len(values) else []
    body = b'"],'.join(map(bytes.__add__, beginnings, parts))
    return b"[" + (body + b'"]').replace(b'.0"]', b'"]') + b"]" if parts else b"[]"


def _seconds(time_ms: int) -> int | float:
    return time_ms // 1000 if time_ms % 1000 == 0 else time_ms / 1000


def _value(value: float) -> str:
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    if "e" in text or "n" in text:  # an exponent, inf or nan
        return format_json(value)
    return text
