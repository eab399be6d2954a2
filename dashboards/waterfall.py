"""A trace as rows: parents before children, by start time, with where each bar begins and ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dashboards.answers.collector import Span, Trace

#: Deeper levels are indented no further, so that names stay readable.
MAX_INDENT: Final = 12


@dataclass(frozen=True, slots=True)
class WaterfallRow:
    """``start_ratio`` and ``width_ratio`` are shares of the whole trace, 0 to 1."""

    span: Span
    depth: int
    start_ratio: float
    width_ratio: float
    #: Time since the trace's first span began, seconds.
    offset_s: float
    #: A span deeper down failed.
    has_failed_below: bool


def rows_of(trace: Trace) -> list[WaterfallRow]:
    """All spans, depth first. A span whose parent is missing stands at the top; nothing is lost.

    Parents that point at each other in a circle are entered once, at the earliest of them.
    """
    spans = sorted(trace.spans, key=lambda s: (s.start_unix_nano, s.span_id))
    if not spans:
        return []
    first = spans[0].start_unix_nano
    total_ns = max(max(s.start_unix_nano + s.duration_ns for s in spans) - first, 1)
    ids = {s.span_id for s in spans}
    children: dict[str, list[Span]] = {}
    for span in spans:
        if span.parent_span_id in ids and span.parent_span_id != span.span_id:
            children.setdefault(span.parent_span_id, []).append(span)
    order: list[tuple[Span, int]] = []
    seen: set[int] = set()
    tops = [s for s in spans if s.parent_span_id not in ids or s.parent_span_id == s.span_id]
    for top in [*tops, *spans]:
        _walk(top, children, seen, order)
    failed = _failed_below(order)
    return [
        WaterfallRow(
            span=span,
            depth=depth,
            start_ratio=(span.start_unix_nano - first) / total_ns,
            width_ratio=span.duration_ns / total_ns,
            offset_s=(span.start_unix_nano - first) / 1e9,
            has_failed_below=failed[index],
        )
        for index, (span, depth) in enumerate(order)
    ]


def _walk(
    top: Span, children: dict[str, list[Span]], seen: set[int], order: list[tuple[Span, int]]
) -> None:
    """Depth first without recursion: traces may be deeper than Python's stack."""
    stack = [(top, 0)]
    while stack:
        span, depth = stack.pop()
        if id(span) in seen:
            continue
        seen.add(id(span))
        order.append((span, depth))
        stack.extend((child, depth + 1) for child in reversed(children.get(span.span_id, [])))


def _failed_below(order: Sequence[tuple[Span, int]]) -> list[bool]:
    """Whether any descendant failed, per row of a depth-first order."""
    result = [False] * len(order)
    open_depths: list[tuple[int, int]] = []  # (depth, index) of the ancestors of the current row
    for index, (span, depth) in enumerate(order):
        while open_depths and open_depths[-1][0] >= depth:
            open_depths.pop()
        if span.is_error:
            for _, ancestor in open_depths:
                result[ancestor] = True
        open_depths.append((depth, index))
    return result


def origin_of_failure(rows: Sequence[WaterfallRow]) -> WaterfallRow | None:
    """The first failed span with no failed span below it: where the error began."""
    return next((row for row in rows if row.span.is_error and not row.has_failed_below), None)
