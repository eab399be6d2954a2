"""Which of many series meet the conditions of a selector: an inverted index in memory.

Postings (label name -> value -> numbers) make a selector cost a few set operations, whatever its
operators are; a pattern is matched against the values of one label, not against every series.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

import numpy as np

from collector.promql.labels import Labels
from collector.promql.matchers import EQUAL, Matcher, matching
from collector.promql.series import Ints

__all__ = ["LabelIndex"]

#: 32 bits unsigned, as numbers of series are.
_NUMBER: Final = "I"
_NONE: Final[Ints] = np.zeros(0, dtype=np.int64)


class LabelIndex:
    """Grows only: what a number means never changes. Not thread-safe."""

    def __init__(self) -> None:
        self._numbers = array(_NUMBER)
        self._labels: dict[int, Labels] = {}
        self._metrics: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self._postings: dict[str, dict[str, array[int]]] = {}
        self._pairs: dict[tuple[str, str], tuple[str, str]] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: int, metric: int, labels: Labels) -> None:
        """One more series; a number that is there already changes nothing."""
        if number in self._labels:
            return
        shared = tuple(self._pairs.setdefault(pair, pair) for pair in labels)
        self._labels[number], self._metrics[number] = shared, metric
        self._sizes[metric] = self._sizes.get(metric, 0) + 1
        self._numbers.append(number)
        for name, value in shared:
            values = self._postings.setdefault(name, {})
            if value not in values:
                values[value] = array(_NUMBER)
            values[value].append(number)

    def labels(self, number: int) -> Labels:
        """The label set of a series."""
        return self._labels[number]

    def metrics(self, numbers: Sequence[int]) -> dict[int, int]:
        """Metrics of these series -> how many of their series are not among these."""
        left: dict[int, int] = {}
        for number in numbers:
            metric = self._metrics[number]
            left[metric] = left.get(metric, self._sizes[metric]) - 1
        return left

    def find(self, matchers: Sequence[Matcher]) -> Ints:
        """Numbers of all series for which every condition holds, rising."""
        # Equality first: it leaves the least for the others to look at.
        ordered = sorted(matchers, key=lambda m: (m.operator != EQUAL, m.matches_empty()))
        found: Ints | None = None
        for matcher in ordered:
            found = self._narrowed(found, matcher)
            if not len(found):
                return _NONE
        return _sorted([self._numbers]) if found is None else found

    def _narrowed(self, found: Ints | None, matcher: Matcher) -> Ints:
        values = self._postings.get(matcher.name, {})
        if found is not None and len(found) < len(values):
            numbers = found.tolist()
            kept = matching([self._labels[number] for number in numbers], [matcher])
            return found[np.array(kept, dtype=np.int64)]
        names = list(values)
        is_held = matcher.holds(names) if names else []
        if matcher.matches_empty():
            # Series without the label are wanted too, so the others are taken away.
            others = _sorted(
                [values[n] for n, held in zip(names, is_held, strict=True) if not held]
            )
            start = _sorted([self._numbers]) if found is None else found
            return np.setdiff1d(start, others, assume_unique=True)
        wanted = _sorted([values[n] for n, held in zip(names, is_held, strict=True) if held])
        return wanted if found is None else np.intersect1d(found, wanted, assume_unique=True)


def _sorted(postings: Sequence[array[int]]) -> Ints:
    """The numbers of all; a series has a label once, so none comes twice."""
    if not postings:
        return _NONE
    joined = np.concatenate([np.array(one, dtype=np.int64) for one in postings])
    joined.sort()
    return joined
