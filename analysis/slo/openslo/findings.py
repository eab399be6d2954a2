"""What is wrong with a definition: where, what was given, what is accepted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: Longer texts are cut in messages.
GIVEN_CHARS_MAX: Final = 60
#: Names that need no quotes (RFC 9535, member-name-shorthand).
_SHORTHAND = re.compile(r"[A-Za-z_\u0080-\U0010ffff][0-9A-Za-z_\u0080-\U0010ffff]*")
_ESCAPES: Final = {"'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r"}

#: Steps from the document's root: names of properties and numbers of list items.
Path = tuple[str | int, ...]


class Level(StrEnum):
    """How bad a finding is."""

    #: The text does not have the shape of the kind; nothing else was looked at.
    DECODE = "decode_error"
    #: A rule is broken; the definition is not used.
    ERROR = "error"
    #: Allowed, and probably not what was meant.
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong. ``line`` and ``column`` count from 1; ``code`` names the rule."""

    level: Level
    code: str
    file: str
    document: int  # number of the document in its file, from 0
    path: str
    line: int
    column: int
    given: str
    accepted: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        path = self.path or "the document"
        return f"{where}: {self.level.value} {path}: got {self.given}, accepted: {self.accepted}"


def path_text(path: Path) -> str:
    """``spec.objectives[0]['odd.name']``, as the official validator writes paths."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
            continue
        if _SHORTHAND.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += "['" + "".join(_ESCAPES.get(char, char) for char in step) + "']"
    return text


def shorten(text: str) -> str:
    """At most GIVEN_CHARS_MAX characters of it."""
    return text if len(text) <= GIVEN_CHARS_MAX else text[: GIVEN_CHARS_MAX - 1] + "…"
