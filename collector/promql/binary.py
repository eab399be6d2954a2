"""Binary operators with a vector on one side or on both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from collector.promql.errors import ExecutionError
from collector.promql.frames import Frame, merged, names_dropped, stacked
from collector.promql.labels import (
    METADATA_LABELS,
    Labels,
    drop_name,
    format_labels,
    keep,
    label,
    signature_function,
    with_labels,
    without,
)
from collector.promql.nodes import Binary, Cardinality, VectorMatching
from collector.promql.operators import ARITHMETIC, COMPARISON
from collector.promql.series import Bools, Floats, Ints

__all__ = ["set_operation", "vector_operation", "vector_scalar_operation"]

_EXPLICIT: Final = (
    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
)
_UNIQUE: Final = "multiple matches for labels: grouping labels must ensure unique matches"


def vector_scalar_operation(
    node: Binary, frame: Frame, scalar: Floats, *, is_swapped: bool, is_delayed: bool
) -> Frame:
    """Every sample with the scalar of its step; ``is_swapped``: the scalar stands on the left."""
    left, right = (scalar, frame.values) if is_swapped else (frame.values, scalar)
    if node.operator in ARITHMETIC:
        values = ARITHMETIC[node.operator](left, right)
        return names_dropped(replace(frame, values=values), is_delayed=is_delayed)
    holds = COMPARISON[node.operator](left, right)
    if node.is_bool:
        values = holds.astype(np.float64)
        return names_dropped(replace(frame, values=values), is_delayed=is_delayed)
    return replace(frame, present=frame.present & holds)


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both vectors with the number of the match group of every row."""

    left: Frame
    right: Frame
    left_group: Ints
    right_group: Ints
    groups: int

    def present_counts(self, *, is_left: bool) -> Ints:
        """How many rows of a side have a sample, per group and step."""
        frame, group = (self.left, self.left_group) if is_left else (self.right, self.right_group)
        counts = np.zeros((self.groups, frame.steps), dtype=np.int64)
        np.add.at(counts, group, frame.present)
        return counts


def _sides(left: Frame, right: Frame, matching: VectorMatching) -> _Sides:
    signature = signature_function(matching.labels, is_on=matching.is_on)
    numbers: dict[Labels, int] = {}

    def number(labels: Labels) -> int:
        return numbers.setdefault(signature(labels), len(numbers))

    left_group = np.array([number(labels) for labels in left.labels], dtype=np.int64)
    right_group = np.array([number(labels) for labels in right.labels], dtype=np.int64)
    return _Sides(left, right, left_group, right_group, len(numbers))


def set_operation(node: Binary, left: Frame, right: Frame) -> Frame:
    """``and``, ``or`` and ``unless``: which samples stay depends on labels alone."""
    assert node.matching is not None
    sides = _sides(left, right, node.matching)
    if node.operator == "or":
        taken = sides.present_counts(is_left=True)[sides.right_group] > 0
        others = replace(right, present=right.present & ~taken)
        return merged(stacked((left, others)))
    has_match = sides.present_counts(is_left=False)[sides.left_group] > 0
    is_kept = has_match if node.operator == "and" else ~has_match
    return replace(left, present=left.present & is_kept)


def vector_operation(
    node: Binary, left: Frame, right: Frame, *, is_delayed: bool, hold: Callable[[int], None]
) -> Frame:
    """Arithmetic or comparison of two vectors, series matched by labels.

    ``hold`` is told how many samples are about to be made. Raises ExecutionError where a match is
    ambiguous.
    """
    matching = node.matching
    assert matching is not None
    is_swapped = matching.cardinality is Cardinality.ONE_TO_MANY
    # From here on "left" is the side that may have many series per match group.
    many, one = (right, left) if is_swapped else (left, right)
    sides = _sides(many, one, matching)
    is_active = _active_steps(many, one, matching)
    _refuse_duplicates(sides, is_active, matching)
    rows = _Rows(node, matching, is_swapped=is_swapped, is_delayed=is_delayed)
    hold(_pair_count(sides) * many.steps)
    pairs = np.array(list(_pairs(sides)), dtype=np.int64).reshape(-1, 2)
    many_rows, one_rows = pairs[:, 0], pairs[:, 1]
    found = rows.combined(
        many.values[many_rows],
        one.values[one_rows],
        many.present[many_rows] & one.present[one_rows] & is_active,
        [(many.labels[m], one.labels[o]) for m, o in pairs.tolist()],
        many.drops_name[many_rows],
    )
    if matching.cardinality is Cardinality.ONE_TO_ONE:
        is_answered = sides.present_counts(is_left=False) > 0
        if matching.fill_right is not None:
            is_answered = np.ones_like(is_answered)
        if ((sides.present_counts(is_left=True) > 1) & is_answered & is_active).any():
            raise ExecutionError(_EXPLICIT)
    else:
        _refuse_equal_results(found.frame, sides.left_group[many_rows])
    filled = list(_filled(sides, rows, matching, is_active=is_active, is_swapped=is_swapped))
    result = stacked([found.kept(), *(rows.kept() for rows in filled)]) if filled else found.kept()
    return merged(result)


def _active_steps(many: Frame, one: Frame, matching: VectorMatching) -> Bools:
    """Steps at which anything can match: both sides have samples, or a missing one is filled."""
    has_many, has_one = many.any_present(), one.any_present()
    if matching.fill_left is None and matching.fill_right is None:
        return has_many & has_one
    return has_many | has_one


def _pairs(sides: _Sides) -> Iterator[tuple[int, int]]:
    rows_of: dict[int, list[int]] = {}
    for row, group in enumerate(sides.right_group.tolist()):
        rows_of.setdefault(group, []).append(row)
    for row, group in enumerate(sides.left_group.tolist()):
        for other in rows_of.get(group, ()):
            yield row, other


def _pair_count(sides: _Sides) -> int:
    many = np.bincount(sides.left_group, minlength=sides.groups)
    one = np.bincount(sides.right_group, minlength=sides.groups)
    return int((many * one).sum())


def _refuse_duplicates(sides: _Sides, is_active: Bools, matching: VectorMatching) -> None:
    """The "one" side must have one series per match group."""
    twice = (sides.present_counts(is_left=False) > 1) & is_active
    if not twice.any():
        return
    group, step = (int(index[0]) for index in np.nonzero(twice))
    rows = np.flatnonzero((sides.right_group == group) & sides.right.present[:, step])
    first, second = (sides.right.labels[row] for row in rows[:2])
    names = frozenset(matching.labels)
    matched = keep(first, names) if matching.is_on else without(drop_name(first), names)
    side = "left" if matching.cardinality is Cardinality.ONE_TO_MANY else "right"
    raise ExecutionError(
        f"found duplicate series for the match group {format_labels(matched)} on the {side} "
        f"hand-side of the operation: [{format_labels(second)}, {format_labels(first)}]"
        ";many-to-many matching not allowed: matching labels must be unique on one side"
    )


def _refuse_equal_results(frame: Frame, groups: Ints) -> None:
    """Within a match group the labels taken over must keep results apart."""
    seen: dict[tuple[int, Labels], Bools] = {}
    for row, labels in enumerate(frame.labels):
        key = (int(groups[row]), labels)
        present = frame.present[row]
        known = seen.get(key)
        if known is not None and (known & present).any():
            raise ExecutionError(_UNIQUE)
        seen[key] = present if known is None else known | present


@dataclass(frozen=True, slots=True)
class _Found:
    """Results before a comparison has filtered them."""

    frame: Frame
    holds: Bools | None

    def kept(self) -> Frame:
        if self.holds is None:
            return self.frame
        return replace(self.frame, present=self.frame.present & self.holds)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Computes result rows: values, labels, and whether the name goes."""

    node: Binary
    matching: VectorMatching
    is_swapped: bool
    is_delayed: bool

    def combined(
        self,
        many: Floats,
        one: Floats,
        present: Bools,
        labels: list[tuple[Labels, Labels]],
        drops_name: Bools,
    ) -> _Found:
        """Rows of ``many`` with rows of ``one``."""
        left, right = (one, many) if self.is_swapped else (many, one)
        holds: Bools | None = None
        if self.node.operator in ARITHMETIC:
            values = ARITHMETIC[self.node.operator](left, right)
        else:
            holds = COMPARISON[self.node.operator](left, right)
            values = np.array(left, dtype=np.float64)
            if self.node.is_bool:
                values, holds = holds.astype(np.float64), None
        names = tuple(self._labels(many_labels, one_labels) for many_labels, one_labels in labels)
        drops = np.ones(len(names), dtype=bool) if self.node.is_bool else drops_name
        return _Found(Frame(names, values, present, drops), holds)

    def _labels(self, many: Labels, one: Labels) -> Labels:
        """The many side's labels, reduced to what matched or enriched by what was asked for."""
        is_arithmetic = self.node.operator in ARITHMETIC
        if is_arithmetic or (self.node.is_bool and not self.is_delayed):
            many = without(many, METADATA_LABELS)
        matching = self.matching
        if matching.cardinality is Cardinality.ONE_TO_ONE:
            names = frozenset(matching.labels)
            many = keep(many, names) if matching.is_on else without(many, names)
        if not matching.include:
            return many
        return with_labels(many, {name: label(one, name) for name in matching.include})


def _filled(
    sides: _Sides, rows: _Rows, matching: VectorMatching, *, is_active: Bools, is_swapped: bool
) -> Iterator[_Found]:
    """Results of samples without a partner, where the query says what stands in for it."""
    names = frozenset(matching.labels)

    def shared(labels: Labels) -> Labels:
        return keep(labels, names) if matching.is_on else without(drop_name(labels), names)

    for_one, for_many = matching.fill_right, matching.fill_left
    if is_swapped:
        for_one, for_many = for_many, for_one
    if for_one is not None:
        alone = sides.present_counts(is_left=False)[sides.left_group] == 0
        yield rows.combined(
            sides.left.values,
            np.full_like(sides.left.values, for_one),
            sides.left.present & alone & is_active,
            [(labels, shared(labels)) for labels in sides.left.labels],
            sides.left.drops_name,
        )
    if for_many is not None:
        alone = sides.present_counts(is_left=True)[sides.right_group] == 0
        yield rows.combined(
            np.full_like(sides.right.values, for_many),
            sides.right.values,
            sides.right.present & alone & is_active,
            [(shared(labels), labels) for labels in sides.right.labels],
            sides.right.drops_name,
        )
