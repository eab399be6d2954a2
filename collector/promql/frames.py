"""Instant vectors over all steps of a query: one row per series, one column per step.

Most operators then are arithmetic of whole arrays. A cell that is not ``present`` means nothing,
whatever value it holds. The order of rows is the order of the vector, which ``sort`` and ``topk``
care about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from collector.promql.errors import ExecutionError
from collector.promql.labels import Labels, drop_name
from collector.promql.series import Bools, Floats

__all__ = [
    "Frame",
    "compacted",
    "empty_frame",
    "make_frame",
    "merged",
    "names_dropped",
    "stacked",
]

_SAME_LABELS: Final = "vector cannot contain metrics with the same labelset"


@dataclass(frozen=True, slots=True)
class Frame:
    """``drops_name[i]``: the name of row i goes away at the end (delayed name removal)."""

    labels: tuple[Labels, ...]
    values: Floats
    present: Bools
    drops_name: Bools

    @property
    def steps(self) -> int:
        """Number of columns."""
        return int(self.values.shape[1])

    def __len__(self) -> int:
        return len(self.labels)

    def any_present(self) -> Bools:
        """Per step, whether any series has a sample."""
        result: Bools = np.logical_or.reduce(self.present, axis=0)
        return result

    def rows(self, indices: Sequence[int]) -> Frame:
        """The rows at ``indices``, in that order."""
        index = np.asarray(indices, dtype=np.int64)
        return Frame(
            tuple(self.labels[i] for i in indices),
            self.values[index],
            self.present[index],
            self.drops_name[index],
        )


def make_frame(
    labels: Sequence[Labels], values: Floats, present: Bools, *, drops_name: bool = False
) -> Frame:
    """A frame whose rows all keep, or all drop, their name."""
    return Frame(tuple(labels), values, present, np.full(len(labels), drops_name))


def empty_frame(steps: int) -> Frame:
    """No series."""
    return make_frame((), np.zeros((0, steps)), np.zeros((0, steps), dtype=bool))


def compacted(frame: Frame) -> Frame:
    """Without the rows that have no sample at any step."""
    used = frame.present.any(axis=1)
    if used.all():
        return frame
    return frame.rows(np.flatnonzero(used).tolist())


def stacked(frames: Sequence[Frame]) -> Frame:
    """All rows of all frames."""
    return Frame(
        tuple(labels for frame in frames for labels in frame.labels),
        np.concatenate([frame.values for frame in frames]),
        np.concatenate([frame.present for frame in frames]),
        np.concatenate([frame.drops_name for frame in frames]),
    )


def names_dropped(frame: Frame, *, is_delayed: bool) -> Frame:
    """The frame of another quantity: its rows lose the metric's name, now or at the end."""
    dropping = np.ones(len(frame), dtype=bool)
    if is_delayed:
        return replace(frame, drops_name=dropping)
    labels = tuple(drop_name(labels) for labels in frame.labels)
    return merged(replace(frame, labels=labels, drops_name=dropping))


def merged(frame: Frame) -> Frame:
    """Rows of the same labels become one. Raises ExecutionError where two have a sample at once."""
    if len(set(frame.labels)) == len(frame):
        return frame
    rows_of: dict[Labels, list[int]] = {}
    for index, labels in enumerate(frame.labels):
        rows_of.setdefault(labels, []).append(index)
    values = np.zeros((len(rows_of), frame.steps))
    present = np.zeros((len(rows_of), frame.steps), dtype=bool)
    drops = np.zeros(len(rows_of), dtype=bool)
    for target, rows in enumerate(rows_of.values()):
        if (frame.present[rows].sum(axis=0) > 1).any():
            raise ExecutionError(_SAME_LABELS)
        drops[target] = frame.drops_name[rows[0]]
        for row in rows:
            values[target] = np.where(frame.present[row], frame.values[row], values[target])
            present[target] |= frame.present[row]
    return Frame(tuple(rows_of), values, present, drops)
