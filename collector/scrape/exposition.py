"""What both text formats have in common: series as they are spelled, labels, numbers, names.

The text of a series (``name{a="b"}``) is its key: a page is scraped again and again, and a key that
is known needs no parsing. Only the labels of new ones are read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Final

from collector.promql.labels import NAME, Labels, make_labels
from collector.scrape.errors import BadExposition

#: A name without quotes, and label names without quotes. No pattern here can backtrack: what is
#: matched once is never tried in another way, so a hostile page costs no more than a good one.
METRIC_NAME: Final = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
LABEL_NAME: Final = r"[a-zA-Z_][a-zA-Z0-9_]*+"
QUOTED: Final = r'"(?:[^"\\]|\\.)*+"'
BRACES: Final = rf'\{{(?:[^"}}]++|{QUOTED})*+\}}'
#: No underscore and nothing beyond ASCII, which Python's ``float`` would take.
NUMBER: Final = r"[-+.0-9a-zA-Z]++"

_ESCAPED: Final = re.compile(r'\\(["\\n])')
_ESCAPES: Final = {'"': '"', "\\": "\\", "n": "\n"}
_SPELLED_INFINITIES: Final = frozenset(
    ("inf", "+inf", "-inf", "infinity", "+infinity", "-infinity")
)
_SPELLED_NANS: Final = frozenset(("nan",))
_MAX_MS: Final = 2**63 - 1


@dataclass(slots=True)
class Metadata:
    """What the page says about a family, as far as it does."""

    type: str = ""
    help: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation in the place of many; ``time_ms`` is None where the page has none."""

    labels: Labels
    value: float
    time_ms: int | None


@dataclass(slots=True)
class Page:
    """Samples in the order of the page: element i of the three lists belongs together."""

    keys: list[str] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    #: Unix milliseconds where the page tells, else None.
    times_ms: list[int | None] = field(default_factory=list)
    #: Labels, the name among them, of keys that were not known.
    new: dict[str, Labels] = field(default_factory=dict)
    #: By index into the lists.
    exemplars: dict[int, Exemplar] = field(default_factory=dict)
    metadata: dict[str, Metadata] = field(default_factory=dict)

    def add(self, key: str, value: float, time_ms: int | None, known: Container[str]) -> bool:
        """Append a sample; True if the key's labels have to be put into ``new``."""
        self.keys.append(key)
        self.values.append(value)
        self.times_ms.append(time_ms)
        return key not in known and key not in self.new


def decoded(body: bytes) -> str:
    """The page as text; raises BadExposition where it is not UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        raise BadExposition(line, "not UTF-8") from None


def number(text: str, line: int) -> float:
    """A value; raises BadExposition."""
    try:
        value = float(text)
    except ValueError:
        raise BadExposition(line, f"{text[:60]!r} is no number") from None
    if value - value != 0.0:  # not finite: only if it says so
        spelled = text.lower()
        known = _SPELLED_NANS if math.isnan(value) else _SPELLED_INFINITIES
        if spelled not in known:
            raise BadExposition(line, f"{text[:60]!r} is no number")
    return value


def milliseconds(text: str, line: int) -> int:
    """A time in whole Unix milliseconds; raises BadExposition."""
    found = int(text) if len(text) <= 20 else _MAX_MS + 1
    if abs(found) > _MAX_MS:
        raise BadExposition(line, f"{text[:60]!r} is no time in milliseconds")
    return found


def seconds_as_ms(text: str, line: int) -> int:
    """A time in Unix seconds, with a fraction, as milliseconds; raises BadExposition."""
    value = number(text, line)
    if not abs(value) < _MAX_MS / 1000:
        raise BadExposition(line, f"{text[:60]!r} is no time in seconds")
    return round(value * 1000)


def unescaped(text: str) -> str:
    r"""``\\``, ``\"`` and ``\n`` undone; other backslashes are what they are."""
    return _ESCAPED.sub(lambda found: _ESCAPES[found[1]], text) if "\\" in text else text


def read_series(key: str, one_label: re.Pattern[str], line: int) -> Labels:
    """Labels of ``name{...}`` or ``{"name", ...}``, the name among them. Raises BadExposition."""
    name, brace, inside = key.partition("{")
    pairs = read_labels(inside[:-1], one_label, line) if brace else {}
    name = name.rstrip(" \t")
    if name:
        if NAME in pairs:
            raise BadExposition(line, "the metric has two names")
        pairs[NAME] = name
    if not pairs.get(NAME):
        raise BadExposition(line, "the metric has no name")
    return make_labels(pairs)


def read_labels(text: str, one_label: re.Pattern[str], line: int) -> dict[str, str]:
    """What is inside the braces; a quoted name alone is the metric's. Raises BadExposition.

    ``one_label`` matches a label and the comma behind it: groups are a plain name, a quoted name,
    a value and the comma.
    """
    pairs: dict[str, str] = {}
    position = 0
    while position < len(text):
        found = one_label.match(text, position)
        if found is None or (not found[4] and found.end() < len(text)):
            raise BadExposition(line, f"labels cannot be read from {text[position:][:60]!r}")
        plain, quoted, value = found[1], found[2], found[3]
        name = plain if plain is not None else unescaped(quoted)
        if value is None:
            if plain is not None or NAME in pairs:
                raise BadExposition(line, f"label {name[:60]!r} has no value")
            pairs[NAME] = name
        elif not name or name in pairs or name == NAME:
            raise BadExposition(line, f"label name {name[:60]!r} is empty, reserved or given twice")
        else:
            pairs[name] = unescaped(value)
        position = found.end()
    return pairs


def metadata_of(page: Page, name: str) -> Metadata:
    """The entry of a family, made if there is none."""
    return page.metadata.setdefault(name, Metadata())


def family_name(text: str) -> str:
    """A family's name as HELP, TYPE and UNIT spell it: plain or quoted."""
    return unescaped(text[1:-1]) if text.startswith('"') else text


def known_types(types: Mapping[str, str], text: str, line: int) -> str:
    """The type in one vocabulary; raises BadExposition."""
    found = types.get(text)
    if found is None:
        raise BadExposition(line, f"type {text[:40]!r}; accepted: {', '.join(types)}")
    return found
