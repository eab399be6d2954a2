"""Values for bound parameters, in the form the engine parses.

A scalar ``String`` parameter is read as escaped text, an ``Array(String)`` as a literal with quoted
elements; this is the only place that knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

Parameter = str | int | float | Sequence[str] | Sequence[int]

_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\b": "\\b", "\f": "\\f"}
)


def bind(parameters: Mapping[str, Parameter]) -> dict[str, object]:
    """``parameters`` with every value in the engine's own text form."""
    return {name: _text(value) for name, value in parameters.items()}


def _text(value: Parameter) -> object:
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    if isinstance(value, (int, float)):
        return value
    return "[" + ",".join(_element(item) for item in value) + "]"


def _element(item: str | int) -> str:
    if isinstance(item, str):
        return "'" + item.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(item)
