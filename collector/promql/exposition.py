"""The text format of ``/federate``: the newest sample of each series (Prometheus text 0.0.4)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from collector.promql.engine import SeriesPoints
from collector.promql.labels import NAME, Labels, label
from collector.promql.strings import format_general

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PLAIN_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def exposition(series: Sequence[SeriesPoints]) -> str:
    """Lines with value and time (ms), grouped by name; names the format cannot spell are left out.

    Nothing is known of the types here, so they are said to be untyped.
    """
    lines: list[str] = []
    previous = ""
    for one in sorted(series, key=lambda one: (label(one.labels, NAME), one.labels)):
        name = label(one.labels, NAME)
        if not _PLAIN_NAME.fullmatch(name):
            continue
        if name != previous:
            lines.append(f"# TYPE {name} untyped")
            previous = name
        value, time_ms = float(one.values[-1]), int(one.times_ms[-1])
        lines.append(f"{name}{_labels(one.labels)} {format_general(value)} {time_ms}")
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Labels) -> str:
    inner = ",".join(
        f'{name}="{_escaped(value)}"'
        for name, value in labels
        if name != NAME and _PLAIN_NAME.fullmatch(name)
    )
    return f"{{{inner}}}" if inner else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
