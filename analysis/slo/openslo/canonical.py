"""Decoded records as plain data again, with every name in its official spelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.slo.openslo.document import Node
from analysis.slo.openslo.shapes import Duration, List, Map, Optional, Record, Shape


def canonical(record: Record) -> dict[str, Any]:
    """What was written down and is not null."""
    return {
        name: _plain(shape, record[name])
        for name, shape in record.shape.fields.items()
        if name in record.present and record[name] is not None
    }


def _plain(shape: Shape, value: Any) -> Any:
    if isinstance(shape, Optional):
        return _plain(shape.of, value)
    if isinstance(shape, Duration):
        return f"{value['value']}{value['unit']}"
    if isinstance(value, Record):
        return canonical(value)
    if isinstance(value, Node):
        return value.plain()
    if isinstance(shape, List):
        return [_plain(shape.of, one) for one in value]
    if isinstance(shape, Map) and isinstance(value, Mapping):
        return {key: _plain(shape.of, one) for key, one in value.items()}
    return list(value) if isinstance(value, tuple) else value
