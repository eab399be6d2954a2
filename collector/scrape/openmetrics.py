"""OpenMetrics 1.0: one space between the parts, times in seconds, exemplars, ``# EOF`` at the end.

A page without its end was cut off on the way and is refused whole, whatever could be read of it.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

from collector.promql.labels import NAME, label, make_labels
from collector.scrape.errors import BadExposition
from collector.scrape.exposition import (
    BRACES,
    LABEL_NAME,
    METRIC_NAME,
    NUMBER,
    QUOTED,
    Exemplar,
    Page,
    decoded,
    family_name,
    known_types,
    metadata_of,
    number,
    read_labels,
    read_series,
    seconds_as_ms,
    unescaped,
)

_EXEMPLAR: Final = rf" # ({BRACES}) ({NUMBER})(?: ({NUMBER}))?+"
_SAMPLE: Final = re.compile(
    rf"((?:{METRIC_NAME})?+(?:{BRACES})?+) ({NUMBER})(?: ({NUMBER}))?+(?:{_EXEMPLAR})?+"
)
_LABEL: Final = re.compile(
    rf"(?:({LABEL_NAME})|\"((?:[^\"\\]|\\.)*+)\")(?:=\"((?:[^\"\\]|\\.)*+)\")?+(,?+)"
)
_META: Final = re.compile(rf"# (HELP|TYPE|UNIT) ({METRIC_NAME}|{QUOTED})(?: (.*+))?+")
_END: Final = "# EOF"
_TYPES: Final = {
    name: name
    for name in (
        *("counter", "gauge", "histogram", "gaugehistogram"),
        *("stateset", "info", "summary", "unknown"),
    )
}
#: Characters of an exemplar's label names and values together (OpenMetrics 1.0, "Exemplars").
MAX_EXEMPLAR_CHARS: Final = 128


def parse_openmetrics(body: bytes, known: Container[str]) -> Page:
    """The page; labels are read only of series that are not ``known``. Raises BadExposition."""
    page = Page()
    lines = decoded(body).split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines or lines[-1] != _END:
        raise BadExposition(max(len(lines), 1), "the page does not end with # EOF: it was cut off")
    for line, text in enumerate(lines[:-1], 1):
        found = _SAMPLE.fullmatch(text)
        if found is None or not found[1]:
            _metadata(page, text, line)
            continue
        key, value, time = found[1], found[2], found[3]
        time_ms = None if time is None else seconds_as_ms(time, line)
        if page.add(key, number(value, line), time_ms, known):
            page.new[key] = read_series(key, _LABEL, line)
        if found[4] is not None:
            _exemplar(page, key, found, line)
    return page


def _exemplar(page: Page, key: str, found: re.Match[str], line: int) -> None:
    name = key.partition("{")[0] or label(read_series(key, _LABEL, line), NAME)
    if not name.endswith(("_total", "_bucket")):
        raise BadExposition(line, "only counters' totals and histograms' buckets have exemplars")
    pairs = read_labels(found[4][1:-1], _LABEL, line)
    if NAME in pairs:
        raise BadExposition(line, "an exemplar has labels but no name")
    if sum(len(name) + len(value) for name, value in pairs.items()) > MAX_EXEMPLAR_CHARS:
        raise BadExposition(line, f"an exemplar has more than {MAX_EXEMPLAR_CHARS} characters")
    time_ms = None if found[6] is None else seconds_as_ms(found[6], line)
    page.exemplars[len(page.keys) - 1] = Exemplar(
        make_labels(pairs), number(found[5], line), time_ms
    )


def _metadata(page: Page, text: str, line: int) -> None:
    found = _META.fullmatch(text)
    if found is None:
        if text == _END:
            raise BadExposition(line, "something follows # EOF")
        raise BadExposition(line, f"neither a sample nor HELP, TYPE or UNIT: {text[:80]!r}")
    word, name, said = found[1], family_name(found[2]), found[3] or ""
    entry = metadata_of(page, name)
    field = word.lower()
    if getattr(entry, field):
        raise BadExposition(line, f"a second {word} of {name[:80]!r}")
    if word == "TYPE":
        entry.type = known_types(_TYPES, said, line)
    elif word == "HELP":
        entry.help = unescaped(said)
    else:
        if said and not name.endswith(f"_{said}"):
            raise BadExposition(line, f"{name[:80]!r} does not end with its unit {said[:40]!r}")
        entry.unit = said
