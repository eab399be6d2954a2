"""Prometheus' text format 0.0.4: one sample a line, times in milliseconds, white space is free."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

from collector.scrape.errors import BadExposition
from collector.scrape.exposition import (
    BRACES,
    LABEL_NAME,
    METRIC_NAME,
    NUMBER,
    QUOTED,
    Page,
    decoded,
    family_name,
    known_types,
    metadata_of,
    milliseconds,
    number,
    read_series,
    unescaped,
)

_W: Final = r"[ \t]*+"
_SAMPLE: Final = re.compile(
    rf"{_W}((?:{METRIC_NAME})?+(?:{_W}{BRACES})?+)(?:[ \t]++|(?<=\}}))({NUMBER})"
    rf"(?:[ \t]++([-+]?[0-9]++))?+{_W}"
)
_LABEL: Final = re.compile(
    rf"{_W}(?:({LABEL_NAME})|\"((?:[^\"\\]|\\.)*+)\"){_W}"
    rf"(?:={_W}\"((?:[^\"\\]|\\.)*+)\")?+{_W}(,?+){_W}"
)
_META: Final = re.compile(rf"{_W}#[ \t]++(HELP|TYPE)[ \t]++(.*+)")
_META_PARTS: Final = re.compile(rf"({METRIC_NAME}|{QUOTED})(?:[ \t]++(.*+))?+")
_TYPES: Final = {
    "counter": "counter",
    "gauge": "gauge",
    "histogram": "histogram",
    "summary": "summary",
    "untyped": "unknown",
    "unknown": "unknown",
}


def parse_text(body: bytes, known: Container[str]) -> Page:
    """The page; labels are read only of series that are not ``known``. Raises BadExposition."""
    page = Page()
    for line, text in enumerate(decoded(body).split("\n"), 1):
        found = _SAMPLE.fullmatch(text)
        if found is None or not found[1]:
            _other(page, text, line)
            continue
        key, value, time = found.groups()
        time_ms = None if time is None else milliseconds(time, line)
        if page.add(key, number(value, line), time_ms, known):
            page.new[key] = read_series(key, _LABEL, line)
    return page


def _other(page: Page, text: str, line: int) -> None:
    """A line that is no sample: empty, a comment, or what is said about a family."""
    text = text.strip(" \t")
    if not text:
        return
    found = _META.fullmatch(text)
    if found is None:
        if text.lstrip(" \t").startswith("#"):
            return
        raise BadExposition(line, f"no sample can be read from {text[:80]!r}")
    word, rest = found.groups()
    parts = _META_PARTS.fullmatch(rest)
    if parts is None:
        raise BadExposition(line, f"{word} without a metric's name")
    entry = metadata_of(page, family_name(parts[1]))
    said = parts[2] or ""
    if word == "HELP":
        entry.help = unescaped(said)
    else:
        entry.type = known_types(_TYPES, said.strip(" \t"), line)
