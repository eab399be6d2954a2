"""From an answer of the read API to blocks of both arms: pure, exact, every step once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analysis.blocks import PARTS_MAX, Block, CountArm, HistogramArm
from analysis.canary.config import MetricConfig, MetricKind, split_key
from analysis.reading import layouts
from analysis.reading.answers import BlocksAnswer, Floats, Group, GroupBlock, Ints
from analysis.reading.roster import ARM_NAMES, ArmName, Roster
from analysis.reading.sources import Source
from telemetry import semconv

#: Stray senders named in evidence; more are only counted.
MAX_STRAYS_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Taken:
    """What the closed steps of one answer hold.

    ``blocks``: key -> one block per closed step (of a split: per step in which it had an event).
    ``events``: (arm, step start) -> events of the source, whatever their outcome.
    """

    blocks: Mapping[str, list[Block]]
    events: Mapping[tuple[ArmName, int], int]
    stray_events: int
    strays: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Cell:
    """One group's block that counts for an arm."""

    arm: ArmName
    step: int
    group: Group
    block: GroupBlock

    @property
    def instance(self) -> str:
        return self.group.attributes.get(semconv.SERVICE_INSTANCE_ID, "")


_Names = Mapping[tuple[ArmName, int], Sequence[str]]  # (arm, step) -> who reported


def blocks_of(source: Source, answer: BlocksAnswer, roster: Roster, until_unix_nano: int) -> Taken:
    """Blocks of the steps of ``answer`` that end at or before ``until_unix_nano``."""
    step_ns = answer.step_ns
    count = max(until_unix_nano - answer.from_unix_nano, 0) // step_ns
    starts = [answer.from_unix_nano + i * step_ns for i in range(count)]
    cells: list[_Cell] = []
    stray_events, strays = 0, set()
    for group in answer.groups:
        arm = roster.arm_of(group.attributes, scoped=source.is_scoped)
        for block in group.blocks:
            step = (block.start_unix_nano - answer.from_unix_nano) // step_ns
            if step >= count:
                break
            if arm is None:
                stray_events += block.total
                strays.add(_sender(group))
            else:
                cells.append(_Cell(arm, step, group, block))
    blocks: dict[str, list[Block]] = {}
    for metric in source.feeds:
        build = _counts if metric.kind is MetricKind.COUNT else _histograms
        told = _told_apart(cells) if source.tells_instances else {}
        blocks.update(build(metric, cells, starts, step_ns, told))
    events: dict[tuple[ArmName, int], int] = defaultdict(int)
    for cell in cells:
        events[cell.arm, starts[cell.step]] += cell.block.total
    return Taken(blocks, events, stray_events, tuple(sorted(strays))[:MAX_STRAYS_NAMED])


def newest_by_arm(source: Source, answer: BlocksAnswer, roster: Roster) -> dict[ArmName, int]:
    """Start of the newest step each arm was heard in; an arm not heard is absent."""
    newest: dict[ArmName, int] = {}
    for group in answer.groups:
        arm = roster.arm_of(group.attributes, scoped=source.is_scoped)
        if arm is not None and group.blocks:
            newest[arm] = max(newest.get(arm, 0), group.blocks[-1].start_unix_nano)
    return newest


def _sender(group: Group) -> str:
    return group.attributes.get(semconv.SERVICE_INSTANCE_ID) or "without instance id"


def _counts(
    metric: MetricConfig,
    cells: Sequence[_Cell],
    starts: Sequence[int],
    step_ns: int,
    told: _Names,
) -> dict[str, list[Block]]:
    """Good and total per step: for all values together, and per value of ``split_by``.

    An arm that reported in a step and added nothing had zero events there, which is known; an arm
    that did not report has no number.
    """
    present = _present(cells)
    good: dict[tuple[str, ArmName, int], int] = defaultdict(int)
    total: dict[tuple[str, ArmName, int], int] = defaultdict(int)
    # (split, arm, step) and instance -> good, total
    own: dict[tuple[str, ArmName, int], dict[str, tuple[int, int]]] = defaultdict(dict)
    for cell in cells:
        outcome = metric.outcome(cell.group.attributes.get(metric.outcome_attribute, ""))
        if outcome is None:
            continue
        value = cell.group.attributes.get(metric.split_by, "") if metric.split_by else ""
        events = cell.block.total
        new_good = events if outcome == "good" else 0
        for split in {"", value}:
            at = (split, cell.arm, cell.step)
            total[at] += events
            good[at] += new_good
            if (cell.arm, cell.step) in told:
                before = own[at].get(cell.instance, (0, 0))
                own[at][cell.instance] = (before[0] + new_good, before[1] + events)

    def arm_of(split: str) -> Callable[[ArmName, int], CountArm | None]:
        def arm(name: ArmName, step: int) -> CountArm | None:
            if (name, step) not in present:
                return None
            at = (split, name, step)
            names = told.get((name, step))
            # Who reported and had no such event had none, which is known.
            parts = names and {one: CountArm(*own[at].get(one, (0, 0))) for one in names}
            return CountArm(good[at], total[at], present[name, step], parts or None)

        return arm

    result = {metric.name: _paired(arm_of(""), range(len(starts)), starts, step_ns)}
    for split in sorted({split for split, _, _ in total if split}):
        used = sorted({step for s, _, step in total if s == split and _any(total, s, step)})
        if used:
            key = split_key(metric.name, metric.split_by, split)
            result[key] = _paired(arm_of(split), used, starts, step_ns)
    return result


def _any(total: Mapping[tuple[str, ArmName, int], int], split: str, step: int) -> bool:
    return any(total.get((split, arm, step), 0) for arm in ARM_NAMES)


def _histograms(
    metric: MetricConfig,
    cells: Sequence[_Cell],
    starts: Sequence[int],
    step_ns: int,
    told: _Names,
) -> dict[str, list[Block]]:
    """Bucket counts per step, the senders of an arm added up on the edges they share."""
    present = _present(cells)
    parts: dict[tuple[ArmName, int], list[tuple[Floats, Ints]]] = defaultdict(list)
    own: dict[tuple[ArmName, int], dict[str, list[tuple[Floats, Ints]]]] = defaultdict(dict)
    for cell, bounds, counts in _on_wide_layouts(cells):
        at = (cell.arm, cell.step)
        parts[at].append((bounds, counts))
        if at in told:
            own[at].setdefault(cell.instance, []).append((bounds, counts))

    def arm(name: ArmName, step: int) -> HistogramArm | None:
        found = parts.get((name, step))
        if found is None:
            return None
        bounds, counts = layouts.added_up(found)
        nothing = (bounds, np.zeros(len(bounds) + 1, dtype=np.int64))
        # On the edges that all instances have, so that any of them can be taken away.
        alone = {
            one: layouts.added_up([nothing, *mine])[1]
            for one, mine in sorted(own.get((name, step), {}).items())
        }
        return HistogramArm(bounds, counts, present[name, step], alone or None)

    return {metric.name: _paired(arm, range(len(starts)), starts, step_ns)}


def _on_wide_layouts(cells: Sequence[_Cell]) -> list[tuple[_Cell, Floats, Ints]]:
    """Every cell's counts on its layout, widened together with all cells of the same layout."""
    alike: dict[bytes, list[_Cell]] = defaultdict(list)
    for cell in cells:
        if cell.group.bounds is not None:
            alike[cell.group.bounds.tobytes()].append(cell)
    result = []
    for members in alike.values():
        rows = [cell.block.counts for cell in members]
        bounds = members[0].group.bounds
        assert bounds is not None
        wide_bounds, wide = layouts.widened(bounds, np.stack([r for r in rows if r is not None]))
        result += [(cell, wide_bounds, row) for cell, row in zip(members, wide, strict=True)]
    return result


def _present(cells: Sequence[_Cell]) -> dict[tuple[ArmName, int], int]:
    """(arm, step) -> how many instances reported, at least."""
    named: dict[tuple[ArmName, int], set[str]] = defaultdict(set)
    least: dict[tuple[ArmName, int], int] = defaultdict(int)
    for cell in cells:
        at = (cell.arm, cell.step)
        named[at].add(cell.instance)
        least[at] = max(least[at], cell.block.instance_count)
    return {at: max(len(names), least[at]) for at, names in named.items()}


def _told_apart(cells: Sequence[_Cell]) -> _Names:
    """Who reported, by arm and step; an arm of more than PARTS_MAX instances is left out."""
    named: dict[tuple[ArmName, int], set[str]] = defaultdict(set)
    for cell in cells:
        named[cell.arm, cell.step].add(cell.instance)
    return {at: sorted(names) for at, names in named.items() if len(names) <= PARTS_MAX}


def _paired(
    arm: Callable[[ArmName, int], CountArm | None] | Callable[[ArmName, int], HistogramArm | None],
    steps: Sequence[int],
    starts: Sequence[int],
    step_ns: int,
) -> list[Block]:
    return [
        Block(starts[i], starts[i] + step_ns, arm("baseline", i), arm("canary", i)) for i in steps
    ]


def baseline_blocks(metric: MetricConfig, answer: BlocksAnswer) -> list[Block]:
    """History before the canary, every sender of ``answer`` counted as the baseline's."""
    step_ns = answer.step_ns
    steps = -(-(answer.to_unix_nano - answer.from_unix_nano) // step_ns)
    starts = [answer.from_unix_nano + i * step_ns for i in range(steps)]
    cells = [
        _Cell("baseline", (block.start_unix_nano - starts[0]) // step_ns, group, block)
        for group in answer.groups
        for block in group.blocks
    ]
    blocks = _histograms(metric, cells, starts, step_ns, {})[metric.name]
    return [block for block in blocks if block.baseline is not None]
