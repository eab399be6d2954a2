"""Which rows an aggregation puts together, and what labels the result has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from collector.promql.labels import EMPTY, NAME, Labels, keep, without
from collector.promql.nodes import Aggregate
from collector.promql.series import Ints

__all__ = ["Groups", "group_labels", "group_rows"]


@dataclass(frozen=True, slots=True)
class Groups:
    """Group g has ``labels[g]`` and the rows ``members[g]``, in the order of the vector."""

    labels: tuple[Labels, ...]
    members: tuple[Ints, ...]

    def columns(self) -> Iterator[tuple[Ints, Ints]]:
        """For n = 0, 1, ...: the groups that have an n-th row, and that row of each."""
        sizes = np.array([len(rows) for rows in self.members], dtype=np.int64)
        order = np.argsort(-sizes, kind="stable")
        longest = int(sizes.max(initial=0))
        padded = np.zeros((len(sizes), longest), dtype=np.int64)
        for place, group in enumerate(order):
            padded[place, : sizes[group]] = self.members[group]
        ascending = -sizes[order]
        for n in range(longest):
            count = int(np.searchsorted(ascending, -n, side="left"))
            yield order[:count], padded[:count, n]


def group_labels(labels: Labels, grouping: Iterable[str], *, is_without: bool) -> Labels:
    """What is left of a series' labels in its group."""
    names = frozenset(grouping)
    if is_without:
        return without(labels, names | {NAME})
    return keep(labels, names) if names else EMPTY


def group_rows(labels: Iterable[Labels], node: Aggregate) -> Groups:
    """The rows by group, groups in order of first appearance."""
    found: dict[Labels, list[int]] = {}
    for row, row_labels in enumerate(labels):
        key = group_labels(row_labels, node.grouping, is_without=node.is_without)
        found.setdefault(key, []).append(row)
    return Groups(tuple(found), tuple(np.array(rows, dtype=np.int64) for rows in found.values()))
