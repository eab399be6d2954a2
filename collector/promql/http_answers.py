"""Answers of the query API as JSON: samples are ``[seconds, "value"]``, labels are an object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from collector.promql.engine import Result, SeriesPoints
from collector.promql.labels import Labels
from collector.promql.nodes import ValueType
from collector.promql.series import Floats, Ints
from collector.promql.strings import format_float, format_json

__all__ = ["error_body", "query_data", "success_body"]


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
                {"metric": _metric(one.labels), "value": _samples(one.times_ms, one.values)[0]}
                for one in series
            ],
        )
    return _typed(
        result.type,
        [
            {"metric": _metric(one.labels), "values": _samples(one.times_ms, one.values)}
            for one in series
        ],
    )


def _typed(kind: ValueType, result: Any) -> dict[str, Any]:
    return {"resultType": str(kind), "result": result}


def _metric(labels: Labels) -> dict[str, str]:
    return dict(labels)


def _samples(times_ms: Ints, values: Floats) -> list[list[Any]]:
    return [
        [_seconds(time_ms), _value(value)]
        for time_ms, value in zip(times_ms.tolist(), values.tolist(), strict=True)
    ]


def _seconds(time_ms: int) -> int | float:
    return time_ms // 1000 if time_ms % 1000 == 0 else time_ms / 1000


def _value(value: float) -> str:
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    if "e" in text or "n" in text:  # an exponent, inf or nan
        return format_json(value)
    return text
