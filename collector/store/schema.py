"""Reads ``schema.sql``: fragments are expanded, statements come out in order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

#: Raise it with every change of a table or view; an older folder is then refused by name.
SCHEMA_VERSION: Final = 2
DATABASE: Final = "davylamp"
SCHEMA_PATH: Final = Path(__file__).with_name("schema.sql")
PROTO_PATH: Final = Path(__file__).with_name("otlp.proto")

_HEADING = re.compile(r"^-- (fragment|statement): (\w+)$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def statements(numbers: Mapping[str, int]) -> dict[str, str]:
    """``{name: SQL}`` in the order of the file.

    ``numbers`` fill the placeholders that no fragment defines, for example ``retention_spans_s``.
    """
    texts: dict[str, str] = {name: str(int(number)) for name, number in numbers.items()}
    bodies: dict[str, str] = {}
    parts = _HEADING.split(SCHEMA_PATH.read_text(encoding="utf-8"))
    for kind, name, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        sql = "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip()
        (texts if kind == "fragment" else bodies)[name] = sql
    return {name: _expand(body, texts) for name, body in bodies.items()}


def _expand(sql: str, texts: Mapping[str, str]) -> str:
    while True:  # fragments may hold fragments; the file is ours and has no cycles
        expanded = _PLACEHOLDER.sub(lambda match: texts[match.group(1)], sql)
        if expanded == sql:
            return sql
        sql = expanded
