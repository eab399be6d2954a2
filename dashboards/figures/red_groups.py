"""The groups of a service's requests as lines: which are drawn, their steps, their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from dashboards.answers.collector import Red, RedGroup
from dashboards.figures.base import MAX_LINES, Figure, Message, line, line_style
from dashboards.theme import Palette

NO_REQUESTS = Message(
    "This service answered no request in this window.",
    "Charts appear with its next server span; a longer range may show earlier ones.",
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one group."""

    t_unix_s: float
    request_count: int
    error_count: int


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A drawn group: its steps, their values, and the line through them."""

    name: str
    steps: list[Step]
    values: list[float | None]
    trace: Figure


def drawn_groups(red: Red) -> list[RedGroup]:
    """The busiest groups, at most MAX_LINES, in a stable order."""
    busiest = sorted(red.groups, key=lambda g: -sum(p.request_count for p in g.points))
    return sorted(busiest[:MAX_LINES], key=lambda g: g.label)


def group_name(label: str) -> str:
    """What a line is called in legends."""
    return label or "all requests"


def group_lines(
    red: Red,
    cohort_of: Mapping[str, str],
    palette: Palette,
    *,
    settle_s: float,
    value_of: Callable[[Step], float | None],
    hovertemplate: str,
) -> Iterator[GroupLine]:
    """A line per drawn group that has a settled step; None is a gap in it."""
    for index, group in enumerate(drawn_groups(red)):
        steps = _every_step(group, red, settle_s)
        if not steps:
            continue
        name, values = group_name(group.label), [value_of(step) for step in steps]
        trace = line(
            [step.t_unix_s for step in steps],
            values,
            name,
            line_style(palette, group.label, index, cohort_of),
            hovertemplate=hovertemplate,
        )
        yield GroupLine(name, steps, values, trace)


def _every_step(group: RedGroup, red: Red, settle_s: float) -> list[Step]:
    """Every settled step from the group's first to the window's end.

    A group that is silent between two steps answered nothing: 0, not a gap.
    """
    if not group.points:
        return []
    known = {p.t_unix_s: p for p in group.points}
    first_unix_s = group.points[0].t_unix_s
    last_unix_s = red.to_unix_nano / 1e9 - settle_s - red.step_s
    steps = []
    for index in range(max(int((last_unix_s - first_unix_s) // red.step_s) + 1, 0)):
        t_unix_s = first_unix_s + index * red.step_s
        point = known.get(t_unix_s)
        counts = (0, 0) if point is None else (point.request_count, point.error_count)
        steps.append(Step(t_unix_s, *counts))
    return steps
