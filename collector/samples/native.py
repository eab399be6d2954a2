"""Columns as a block of ClickHouse's Native format: counts, then name, type and bytes of each.

Source: "Formats for input and output data: Native" of ClickHouse's documentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from collector.samples.labels import varint

#: Array types that a column may have, and what they are called there.
_TYPES: Final = {
    np.dtype(np.uint8): b"UInt8",
    np.dtype(np.uint32): b"UInt32",
    np.dtype(np.int64): b"Int64",
}
Column = Any


def block(columns: Sequence[tuple[str, Column]], row_count: int) -> bytes:
    """One block; every column has ``row_count`` rows.

    A column is an array of numbers, a list of texts, or a list with a list of texts per row.
    """
    parts = [varint(len(columns)), varint(row_count)]
    for name, column in columns:
        kind, data = _encoded(column)
        parts += [_sized(name.encode()), _sized(kind), data]
    return b"".join(parts)


def _encoded(column: Column) -> tuple[bytes, bytes]:
    if isinstance(column, np.ndarray):
        return _TYPES[column.dtype], column.tobytes()
    if column and isinstance(column[0], (list, tuple)):
        ends = np.cumsum([len(texts) for texts in column]).astype(np.uint64)
        flat = b"".join(_sized(text) for texts in column for text in texts)
        return b"Array(String)", ends.tobytes() + flat
    return b"String", b"".join(_sized(text) for text in column)


def _sized(text: bytes) -> bytes:
    return varint(len(text)) + text
