"""The read API's JSON as frozen objects; anything undocumented is refused, nothing is guessed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.reading.errors import AnswerTruncated, AnswerUnusable

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GroupBlock:
    """What one group added in one step: ``counts`` for histograms, else ``increase``."""

    start_unix_nano: int
    increase: int
    counts: Ints | None
    instance_count: int

    @property
    def total(self) -> int:
        """Events added."""
        return self.increase if self.counts is None else int(self.counts.sum())


@dataclass(frozen=True, slots=True)
class Group:
    """One combination of the asked attributes; ``bounds`` are upper edges, None for counters."""

    attributes: Mapping[str, str]
    bounds: Floats | None
    blocks: tuple[GroupBlock, ...]


@dataclass(frozen=True, slots=True)
class BlocksAnswer:
    """Answer of ``/api/v1/blocks``; no group at all when nobody reported."""

    groups: tuple[Group, ...]
    from_unix_nano: int
    to_unix_nano: int
    step_ns: int


@dataclass(frozen=True, slots=True)
class SeriesAnswer:
    """Answer of ``/api/v1/series`` with ``agg=increase``: per group, step start -> events added.

    A step that nobody of the group reported in is absent.
    """

    groups: tuple[tuple[Mapping[str, str], Mapping[int, int]], ...]
    from_unix_nano: int
    to_unix_nano: int
    step_ns: int

    @property
    def newest_start_unix_nano(self) -> int | None:
        """Start of the newest step anybody reported in."""
        return max((start for _, points in self.groups for start in points), default=None)


@dataclass(frozen=True, slots=True)
class HeardInstance:
    """An instance of a service and when it was last heard, through whatever signal."""

    service: str
    version: str
    instance_id: str
    last_seen_unix_nano: int


def parse_blocks(body: Any) -> BlocksAnswer:
    """Raises AnswerUnusable, AnswerTruncated."""
    try:
        _refuse_truncated(body)
        is_histogram = body["kind"] == "histogram"
        groups = tuple(_group(raw, is_histogram=is_histogram) for raw in body["groups"])
        answer = BlocksAnswer(
            groups, int(body["from_unix_nano"]), int(body["to_unix_nano"]), _step_ns(body)
        )
        _refuse_other_steps(answer)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise AnswerUnusable(f"blocks: {type(error).__name__} {error}") from error
    return answer


def parse_series(body: Any) -> SeriesAnswer:
    """Raises AnswerUnusable, AnswerTruncated."""
    try:
        _refuse_truncated(body)
        groups = []
        for raw in body["groups"]:
            points = {
                round(float(at) * 1e3) * 1_000_000: _whole(value)
                for at, value in raw["points"]
                if value is not None
            }
            groups.append((_attributes(raw), points))
        return SeriesAnswer(
            tuple(groups), int(body["from_unix_nano"]), int(body["to_unix_nano"]), _step_ns(body)
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise AnswerUnusable(f"series: {type(error).__name__} {error}") from error


def parse_services(body: Any) -> tuple[HeardInstance, ...]:
    """Raises AnswerUnusable, AnswerTruncated."""
    try:
        _refuse_truncated(body)
        return tuple(
            HeardInstance(
                str(service["service_name"]),
                str(one["version"]),
                str(one["instance_id"]),
                int(one["last_seen_unix_nano"]),
            )
            for service in body["services"]
            for one in service["instances"]
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise AnswerUnusable(f"services: {type(error).__name__} {error}") from error


def _refuse_truncated(body: Any) -> None:
    if body["truncated"] is not False:
        raise AnswerTruncated("the answer leaves out series: fewer attributes or more room needed")


def _refuse_other_steps(answer: BlocksAnswer) -> None:
    """A block outside the window or between its steps would be counted in a wrong one."""
    first, last = answer.from_unix_nano, answer.to_unix_nano
    for group in answer.groups:
        for block in group.blocks:
            start = block.start_unix_nano
            if not first <= start < last or (start - first) % answer.step_ns:
                raise ValueError(f"a block starts at {start}, which is no step of the answer")


def _step_ns(body: Mapping[str, Any]) -> int:
    step_ns = round(float(body["step_s"]) * 1e9)
    if step_ns <= 0:
        raise ValueError(f"step_s is {body['step_s']!r}")
    return step_ns


def _attributes(raw: Mapping[str, Any]) -> dict[str, str]:
    attributes = raw["attributes"]
    if not all(isinstance(v, str) for v in attributes.values()):
        raise ValueError("attributes are not text")
    return dict(attributes)


def _group(raw: Mapping[str, Any], *, is_histogram: bool) -> Group:
    bounds = _bounds(raw["bounds"]) if is_histogram else None
    blocks = tuple(_block(one, bounds) for one in raw["blocks"])
    starts = [block.start_unix_nano for block in blocks]
    if any(a >= b for a, b in itertools.pairwise(starts)):
        raise ValueError("blocks are not in order of time")
    return Group(_attributes(raw), bounds, blocks)


def _bounds(raw: Any) -> Floats:
    bounds = np.array(raw, dtype=np.float64)
    if bounds.ndim != 1 or not np.isfinite(bounds).all() or (np.diff(bounds) <= 0).any():
        raise ValueError("bounds are not finite and ascending")
    return bounds


def _block(raw: Mapping[str, Any], bounds: Floats | None) -> GroupBlock:
    counts = None
    if bounds is not None:
        counts = np.array(raw["counts"])
        if counts.ndim != 1 or counts.dtype != np.int64:  # a fraction would be cut off silently
            raise ValueError("counts are not whole numbers")
        if len(counts) != len(bounds) + 1 or (counts < 0).any():
            raise ValueError(f"{len(counts)} counts for {len(bounds)} bounds, or a negative one")
    return GroupBlock(
        int(raw["start_unix_nano"]),
        0 if counts is not None else _whole(raw["increase"]),
        counts,
        int(raw["instance_count"]),
    )


def _whole(value: Any) -> int:
    """Events are whole; a counter of seconds or bytes is not one of events."""
    number = float(value)
    if not math.isfinite(number) or number < 0 or abs(number - round(number)) > 1e-6:
        raise ValueError(f"{value!r} is not a number of events")
    return round(number)
