"""Functions of labels alone: label_replace, label_join, sort_by_label."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from collector.promql.errors import ExecutionError
from collector.promql.frames import Frame, merged
from collector.promql.labels import NAME, Labels, is_label_name, label, with_labels
from collector.promql.regex import InvalidRegexError, Regex

__all__ = ["joined", "replaced", "sorted_by_labels"]

_CHUNKS: Final = re.compile(r"([0-9]+|[^0-9]+)")


def replaced(frame: Frame, arguments: Sequence[str], *, is_dot_all: bool) -> Frame:
    """``label_replace(v, target, template, source, pattern)``."""
    target, template, source, pattern = arguments
    try:
        regex = Regex(pattern, is_dot_all=is_dot_all)
    except InvalidRegexError:
        raise ExecutionError(f"invalid regular expression in label_replace(): {pattern}") from None
    _check_name(target, "destination", "label_replace")
    texts = regex.expand(template, [label(labels, source) for labels in frame.labels])
    names = [
        labels if text is None else with_labels(labels, {target: text})
        for labels, text in zip(frame.labels, texts, strict=True)
    ]
    is_changed = np.array([text is not None for text in texts], dtype=bool)
    return _relabelled(frame, names, target, is_changed)


def joined(frame: Frame, arguments: Sequence[str]) -> Frame:
    """``label_join(v, target, separator, sources...)``."""
    target, separator, *sources = arguments
    for source in sources:
        _check_name(source, "source", "label_join")
    _check_name(target, "destination", "label_join")
    names = [
        with_labels(labels, {target: separator.join(label(labels, name) for name in sources)})
        for labels in frame.labels
    ]
    return _relabelled(frame, names, target, np.ones(len(frame), dtype=bool))


def _check_name(name: str, role: str, function: str) -> None:
    if not is_label_name(name):
        raise ExecutionError(f"invalid {role} label name in {function}(): {name}")


def _relabelled(
    frame: Frame,
    names: Sequence[Labels],
    target: str,
    is_changed: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> Frame:
    drops = frame.drops_name
    if target == NAME:  # the new name is wanted, whatever was to become of the old one
        drops = drops & ~is_changed
    return merged(replace(frame, labels=tuple(names), drops_name=drops))


def sorted_by_labels(frame: Frame, names: Sequence[str], *, is_descending: bool) -> Frame:
    """``sort_by_label``: digits within a value count as numbers; ties by all labels."""

    def compare(a: int, b: int) -> int:
        for name in names:
            left, right = label(frame.labels[a], name), label(frame.labels[b], name)
            if left != right:
                return -1 if _is_naturally_before(left, right) else 1
        first, second = frame.labels[a], frame.labels[b]
        return -1 if first < second else int(first > second)

    order = sorted(range(len(frame)), key=functools.cmp_to_key(compare), reverse=is_descending)
    return frame.rows(order)


def _is_naturally_before(a: str, b: str) -> bool:
    left, right = _CHUNKS.findall(a), _CHUNKS.findall(b)
    for one, other in zip(left, right, strict=False):
        if one == other:
            continue
        both_numbers = one[0].isdigit() and other[0].isdigit()
        if both_numbers and int(one) != int(other):
            return int(one) < int(other)
        return bool(one < other)
    return len(left) < len(right)
