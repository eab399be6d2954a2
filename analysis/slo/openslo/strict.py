"""What the specification's text asks for beyond the official validator: errors.

Spelling (names in their case, keys once, durations as a positive number and its unit), objectives
and metric sources that say something, objectives that fit their indicator also if it is a
reference, slices that fit their window, and references that lead somewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from analysis.slo.openslo.definition import Definition, walk
from analysis.slo.openslo.document import Node, locate
from analysis.slo.openslo.durations import duration_s
from analysis.slo.openslo.findings import Finding, Level, Path, path_text
from analysis.slo.openslo.references import References, names_of_indicator
from analysis.slo.openslo.shapes import Anything, Duration, Map, Record, Shape, Struct

_SHORTHAND = re.compile(r"[1-9][0-9]*[mhdwMQY]", re.ASCII)
_NO_DELAY = re.compile(r"0[mhdwMQY]", re.ASCII)
_START_TIME = re.compile(r"(?!0000)\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}", re.ASCII)
_SLICED: Final = ("Timeslices", "RatioTimeslices")


def check(definitions: Sequence[Definition]) -> Iterator[Finding]:
    """Every error of objects that were read together."""
    references = References(definitions)
    yield from references.check(definitions)
    for definition in definitions:
        yield from _spelling(definition)
        yield from _durations(definition)
        if definition.version == "openslo/v1":
            yield from _metric_sources(definition)
        if definition.kind == "SLO":
            yield from _objectives(definition)
            if definition.version != "openslo/v1alpha":
                yield from _fit(definition, references)


# --- spelling ------------------------------------------------------------------------------------


def _spelling(definition: Definition) -> Iterator[Finding]:
    for path, node, shape in _structs(definition.node, definition.record.shape):
        seen: set[str] = set()
        for entry in node.entries:
            where = (*path, entry.key)
            if entry.key in seen and not entry.merged:
                yield Finding(
                    Level.ERROR,
                    "duplicate_key",
                    definition.file,
                    definition.number,
                    path_text(where),
                    entry.line,
                    entry.column,
                    f'"{entry.key}" again',
                    "every name once",
                )
            seen.add(entry.key)
            if shape is not None and entry.key not in shape.fields:
                exact = {name.casefold(): name for name in shape.fields}[entry.key.casefold()]
                yield definition.finding(Level.ERROR, "spelling", where, exact, at_key=True)
    for one in walk(definition.record):
        if one.name == "startTime" and not _START_TIME.fullmatch(str(one.value)):
            yield definition.error("start_time", one.path, "YYYY-MM-DD hh:mm:ss, two digits each")


def _structs(node: Node, shape: Shape) -> Iterator[tuple[Path, Node, Struct | None]]:
    """Every mapping of a document with its shape; None for those whose names are free."""
    inner = getattr(shape, "of", shape)
    if node.kind == "list":
        for number, item in enumerate(node.items):
            for path, found, its in _structs(item, inner):
                yield (number, *path), found, its
        return
    if node.kind != "mapping":
        return
    struct = inner if isinstance(inner, Struct) and not isinstance(shape, Map) else None
    yield (), node, struct
    folded = {} if struct is None else {n.casefold(): s for n, s in struct.fields.items()}
    for entry in node.entries:
        its_shape = folded.get(entry.key.casefold(), inner if struct is None else Anything())
        for path, found, its in _structs(entry.node, its_shape):
            yield (entry.key, *path), found, its


def _durations(definition: Definition) -> Iterator[Finding]:
    for one in walk(definition.record):
        if not isinstance(one.shape, Duration):
            continue
        text = str(locate(definition.node, one.path)[0].value or "")
        if _SHORTHAND.fullmatch(text) or (one.name == "alertAfter" and _NO_DELAY.fullmatch(text)):
            continue
        yield definition.error(
            "duration_shorthand", one.path, "a positive number and its unit, such as 5m or 28d"
        )


# --- content -------------------------------------------------------------------------------------


def _metric_sources(definition: Definition) -> Iterator[Finding]:
    for one in walk(definition.record):
        if one.name != "metricSource" or not isinstance(one.value, Record):
            continue
        if not one.value["type"] and not one.value["metricSourceRef"]:
            accepted = "metricSourceRef, the name of a DataSource, or type"
            yield definition.error("metric_source_type", one.path, accepted)


def _objectives(definition: Definition) -> Iterator[Finding]:
    if not definition.spec["objectives"]:
        yield definition.error("objectives", ("spec", "objectives"), "at least one objective")


def _fit(definition: Definition, references: References) -> Iterator[Finding]:
    """Whether objectives fit their indicators and slices their window."""
    spec = definition.spec
    inline, ref = names_of_indicator(definition.version)
    objectives: Sequence[Record] = spec["objectives"] or ()
    is_composite = any(one.has(inline) or one.has(ref) for one in objectives)
    for number, objective in enumerate(objectives):
        path: Path = ("spec", "objectives", number)
        if is_composite and not (objective.has(inline) or objective.has(ref)):
            yield definition.error("composite_indicator", path, f"{inline} or {ref}, as the others")
        owner = objective if is_composite else spec
        indicator = references.indicator(definition, owner)
        # Rules for an indicator inside the SLO itself are the official validator's.
        if indicator is not None and (is_composite or owner[inline] is None):
            yield from _fits_indicator(definition, objective, path, indicator)
        yield from _fits_window(definition, objective, path)
    indicator = references.indicator(definition, spec)
    if (
        definition.version == "openslo/v1"
        and not is_composite
        and len(objectives) > 1
        and indicator is not None
        and indicator.has("thresholdMetric")
    ):
        accepted = "one objective with a thresholdMetric"
        yield definition.error("threshold_objectives", ("spec", "objectives"), accepted)


def _fits_indicator(
    definition: Definition, objective: Record, path: Path, indicator: Record
) -> Iterator[Finding]:
    for name in ("value", "op"):
        has = objective.has(name)
        if indicator.has("thresholdMetric") and not has:
            yield definition.error("required", (*path, name), "a value: it has a thresholdMetric")
        if indicator.has("ratioMetric") and has:
            yield definition.error("forbidden", (*path, name), "nothing: it has a ratioMetric")


def _fits_window(definition: Definition, objective: Record, path: Path) -> Iterator[Finding]:
    windows: Sequence[Record] = definition.spec["timeWindow"] or ()
    if definition.spec["budgetingMethod"] not in _SLICED or len(windows) != 1:
        return
    window_s, slice_s = duration_s(windows[0]["duration"]), duration_s(objective["timeSliceWindow"])
    if window_s is not None and slice_s is not None and slice_s > window_s:
        accepted = f"at most the time window, {window_s} s"
        yield definition.error("slice_window", (*path, "timeSliceWindow"), accepted)
