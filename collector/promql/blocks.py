"""Long windows, folded block by block.

A sweep costs one step per sample of the longest window. Where windows are long, the flat array of
samples is first folded into blocks of 64, these into blocks of 64 blocks; a window is then a few
samples, whole blocks, and a few samples again. Sums stay compensated, so the result differs from
Prometheus' own order of addition in the last bit at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from collector.promql.kahan import increment
from collector.promql.series import Bools, Floats, Ints
from collector.promql.windows import Windows

__all__ = ["LONG_WINDOW", "long_extremes", "long_moments", "long_sums"]

BLOCK: Final = 64
#: Samples from which on a window is folded by blocks.
LONG_WINDOW: Final = 4 * BLOCK
_LEVELS: Final = 3


@dataclass(frozen=True, slots=True)
class _Piece:
    """Part of every window: indices [first, last) into the blocks of a level (0: samples)."""

    level: int
    first: Ints
    last: Ints


def _pieces(windows: Windows) -> Iterator[_Piece]:
    """Heads from the samples up to the largest blocks, then tails back down."""
    first, last = windows.first, windows.last
    tails: list[_Piece] = []
    for level in range(_LEVELS - 1):
        inner_first, inner_last = -(-first // BLOCK), last // BLOCK
        has_blocks = inner_last > inner_first
        # Without a whole block inside, everything that is left belongs to this level.
        yield _Piece(level, first, np.where(has_blocks, inner_first * BLOCK, last))
        tails.append(_Piece(level, np.where(has_blocks, inner_last * BLOCK, last), last))
        first = np.where(has_blocks, inner_first, 0)
        last = np.where(has_blocks, inner_last, 0)
    yield _Piece(_LEVELS - 1, first, last)
    yield from reversed(tails)


def _swept(windows: Windows, piece: _Piece, fold: Callable[[Ints, Ints], None], size: int) -> None:
    """Call ``fold`` with (windows, indices into the level) column by column."""
    part = replace(
        windows,
        times=np.zeros(size, dtype=np.int64),
        values=np.zeros(size),
        first=piece.first,
        last=piece.last,
    ).sweep()
    for prefix, index in part.columns():
        fold(part.order[prefix], index)


def _in_blocks(values: Floats, fill: float) -> Floats:
    """The array in rows of a block; an incomplete last block is filled up."""
    missing = -len(values) % BLOCK
    return np.concatenate((values, np.full(missing, fill))).reshape(-1, BLOCK)


def long_sums(windows: Windows) -> Floats:
    """Sums of the windows."""
    totals, corrections = [windows.values], [np.zeros(len(windows.values))]
    for _ in range(_LEVELS - 1):
        total, correction = np.zeros((2, -(-len(totals[-1]) // BLOCK)))
        columns = zip(
            _in_blocks(totals[-1], 0.0).T, _in_blocks(corrections[-1], 0.0).T, strict=True
        )
        for added, lost in columns:
            total, correction = increment(added, total, correction)
            correction = np.where(np.isinf(total), 0.0, correction + lost)
        totals.append(total)
        corrections.append(correction)
    total, correction = np.zeros((2, windows.first.size))
    for piece in _pieces(windows):
        level_totals, level_corrections = totals[piece.level], corrections[piece.level]

        def fold(
            rows: Ints,
            index: Ints,
            added: Floats = level_totals,
            lost: Floats = level_corrections,
        ) -> None:
            new_total, new_correction = increment(added[index], total[rows], correction[rows])
            total[rows] = new_total
            correction[rows] = np.where(np.isinf(new_total), 0.0, new_correction + lost[index])

        _swept(windows, piece, fold, len(level_totals))
    result = np.where(np.isinf(total), total, total + correction)
    return result.reshape(windows.first.shape)


def long_extremes(windows: Windows, better: Callable[[Floats, Floats], Floats]) -> Floats:
    """``np.fmax`` or ``np.fmin`` of the windows; NaN only where there is nothing else."""
    levels = [windows.values]
    for _ in range(_LEVELS - 1):
        rows = _in_blocks(levels[-1], np.nan)
        best = rows[:, 0]
        for column in rows.T[1:]:
            best = better(best, column)
        levels.append(best)
    best = np.full(windows.first.size, np.nan)
    for piece in _pieces(windows):

        def fold(rows: Ints, index: Ints, level: Floats = levels[piece.level]) -> None:
            best[rows] = better(best[rows], level[index])

        _swept(windows, piece, fold, len(levels[piece.level]))
    return best.reshape(windows.first.shape)


def long_moments(windows: Windows) -> tuple[Floats, Floats]:
    """Mean and sum of squared distances from it (Chan, Golub, LeVeque 1983, eq. 2.1)."""
    count = np.ones(len(windows.values))
    levels = [(count, windows.values, np.zeros(len(windows.values)))]
    for _ in range(_LEVELS - 1):
        parts = [_in_blocks(part, 0.0).T for part in levels[-1]]
        merged: tuple[Floats, Floats, Floats] = (parts[0][0], parts[1][0], parts[2][0])
        for column in range(1, BLOCK):
            merged = _merged(merged, (parts[0][column], parts[1][column], parts[2][column]))
        levels.append(merged)
    shape = windows.first.shape
    state = (np.zeros(windows.first.size), np.zeros(windows.first.size), np.zeros(shape).ravel())
    for piece in _pieces(windows):
        level = levels[piece.level]

        def fold(rows: Ints, index: Ints, level: tuple[Floats, Floats, Floats] = level) -> None:
            new = _merged(
                (state[0][rows], state[1][rows], state[2][rows]),
                (level[0][index], level[1][index], level[2][index]),
            )
            for array, values in zip(state, new, strict=True):
                array[rows] = values

        _swept(windows, piece, fold, len(level[0]))
    return state[1].reshape(shape), state[2].reshape(shape)


def _merged(
    one: tuple[Floats, Floats, Floats], other: tuple[Floats, Floats, Floats]
) -> tuple[Floats, Floats, Floats]:
    """(count, mean, squares) of two sets together."""
    count = one[0] + other[0]
    share = np.where(count > 0, other[0] / np.maximum(count, 1.0), 0.0)
    delta = other[1] - one[1]
    is_new: Bools = one[0] == 0
    is_nothing: Bools = other[0] == 0
    mean = np.where(is_nothing, one[1], np.where(is_new, other[1], one[1] + delta * share))
    squares = np.where(
        is_nothing,
        one[2],
        np.where(is_new, other[2], one[2] + other[2] + delta * delta * one[0] * share),
    )
    return count, mean, squares
