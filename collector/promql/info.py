"""``info(v, {selector})``: series enriched with the labels of their target's info metric.

The info metric (``target_info`` unless the selector names another) carries what is true of a whole
target, such as its version, and is found by the labels ``instance`` and ``job``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from collector.promql.errors import ExecutionError
from collector.promql.frames import Frame, empty_frame, merged
from collector.promql.labels import NAME, Labels, format_labels, keep, label, with_labels
from collector.promql.matchers import Matcher
from collector.promql.nodes import Expression, VectorSelector
from collector.promql.selecting import Selector
from collector.promql.series import Bools, Ints

__all__ = ["joined_with_info"]

_TARGET_INFO: Final = Matcher(NAME, "=", "target_info")
_IDENTIFYING: Final = frozenset({"instance", "job"})


def joined_with_info(
    frame: Frame, arguments: Sequence[Expression], steps_ms: Ints, selector: Selector
) -> Frame:
    """The series of ``frame``, each with the info labels valid at each step."""
    given = arguments[0] if arguments else None
    assert given is None or isinstance(given, VectorSelector)
    conditions = given.matchers if given is not None else ()
    names = [matcher for matcher in conditions if matcher.name == NAME] or [_TARGET_INFO]
    data = tuple(matcher for matcher in conditions if matcher.name != NAME)
    question = VectorSelector("", (*names, *data), 0, 0)
    infos, sample_ms = selector.instant(question, steps_ms)
    targets: dict[Labels, list[int]] = {}
    for row, labels in enumerate(infos.labels):
        targets.setdefault(keep(labels, _IDENTIFYING), []).append(row)
    needs_info = any(not matcher.matches_empty() for matcher in data)
    wanted = frozenset(matcher.name for matcher in data)
    rows: list[tuple[int, Labels, Bools]] = []
    for row, labels in enumerate(frame.labels):
        if any(matcher.holds([label(labels, NAME)])[0] for matcher in names):
            rows.append((row, labels, frame.present[row]))
            continue
        candidates = targets.get(keep(labels, _IDENTIFYING), [])
        for chosen, steps in _newest_per_step(infos, sample_ms, candidates):
            present = frame.present[row] & steps
            if present.any():
                added = _added_labels(labels, [infos.labels[i] for i in chosen], wanted)
                if added or not needs_info:
                    rows.append((row, with_labels(labels, added), present))
    if not rows:
        return empty_frame(frame.steps)
    source = [row for row, _, _ in rows]
    return merged(
        Frame(
            tuple(labels for _, labels, _ in rows),
            frame.values[source],
            np.array([present for _, _, present in rows]),
            frame.drops_name[source],
        )
    )


def _newest_per_step(
    infos: Frame, sample_ms: Ints, candidates: Sequence[int]
) -> list[tuple[tuple[int, ...], Bools]]:
    """Which info series hold, and at which steps; of one metric the newest sample wins."""
    found: dict[tuple[int, ...], Bools] = {}
    for step in range(infos.steps):
        newest: dict[str, int] = {}
        for row in candidates:
            if not infos.present[row, step]:
                continue
            name = label(infos.labels[row], NAME)
            known = newest.get(name)
            if known is not None and sample_ms[known, step] == sample_ms[row, step]:
                raise ExecutionError(
                    "found duplicate series for info metric: existing "
                    f"{format_labels(infos.labels[known])} @ {sample_ms[known, step]}, new "
                    f"{format_labels(infos.labels[row])} @ {sample_ms[row, step]}"
                )
            if known is None or sample_ms[row, step] > sample_ms[known, step]:
                newest[name] = row
        chosen = tuple(newest.values())
        found.setdefault(chosen, np.zeros(infos.steps, dtype=bool))[step] = True
    return list(found.items())


def _added_labels(base: Labels, infos: Sequence[Labels], wanted: frozenset[str]) -> dict[str, str]:
    own = {name for name, _ in base}
    added: dict[str, str] = {}
    for labels in infos:
        for name, value in labels:
            if name in own or name == NAME or (wanted and name not in wanted):
                continue
            if added.setdefault(name, value) != value:
                raise ExecutionError(f"conflicting label: {name}")
    return added
