"""Label sets as bytes: what is a valid one, and the one spelling that names a series.

The spelling is the ``labels`` fields of a ``prometheus.TimeSeries``, sorted by name: for the usual
sender it is simply the beginning of what was sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from collector.wire.reasons import Reason

NAME: Final = b"__name__"
#: Bounds of reliability: VictoriaMetrics' for numbers, Mimir's for sizes.
MAX_LABELS: Final = 64
MAX_NAME_BYTES: Final = 256
MAX_VALUE_BYTES: Final = 4_096

Pairs = tuple[tuple[bytes, bytes], ...]


class BadLabelsError(Exception):
    """The labels name no series; ``reason`` counts it."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


def checked(pairs: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """Sorted pairs without empty values. Raises BadLabelsError."""
    kept = tuple(sorted((name, value) for name, value in pairs if value))
    names = [name for name, _ in kept]
    if len(kept) > MAX_LABELS:
        raise BadLabelsError(Reason.TOO_MANY_ATTRIBUTES)
    if len(set(names)) != len(names) or b"" in names:
        raise BadLabelsError(Reason.INVALID_LABELS)
    if NAME not in names:
        raise BadLabelsError(Reason.UNNAMED_METRIC)
    for name, value in kept:
        if len(name) > MAX_NAME_BYTES or len(value) > MAX_VALUE_BYTES:
            raise BadLabelsError(Reason.NAME_TOO_LONG)
        try:
            name.decode()
            value.decode()
        except UnicodeDecodeError:
            raise BadLabelsError(Reason.INVALID_LABELS) from None
    return kept


def spelled(pairs: Pairs) -> bytes:
    """The one spelling of a label set."""
    return b"".join(
        _field(b"\x0a" + _sized(name) + b"\x12" + _sized(value)) for name, value in pairs
    )


def metric_of(pairs: Pairs) -> bytes:
    """The metric's name."""
    return next(value for name, value in pairs if name == NAME)


def varint(number: int) -> bytes:
    """Protobuf's variable-length unsigned number."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _field(body: bytes) -> bytes:
    return b"\x0a" + _sized(body)


def _sized(text: bytes) -> bytes:
    return varint(len(text)) + text
