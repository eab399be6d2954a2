"""YAML or JSON text as a tree of nodes that know where they stand.

Built from the parser's events with a stack, so that neither depth nor aliases can blow up: an alias
is the same node again, and its size counts again towards NODES_MAX. Plain scalars mean what they
mean to the official tools (YAML 1.1 as Go reads it): ``on`` is true, ``1e3`` is a number, a date is
text. Keys given twice and merge keys are kept visible for the rules that care.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from analysis.slo.openslo.errors import DocumentError
from analysis.slo.openslo.findings import Path, shorten

#: A file of definitions; the largest published ones have some 100 KiB.
BYTES_MAX: Final = 1 << 20
#: Nodes of one file, aliases counted as often as they are used.
NODES_MAX: Final = 200_000
#: Levels of nesting; the deepest place OpenSLO defines has 12.
DEPTH_MAX: Final = 64
DOCUMENTS_MAX: Final = 2_000
_TOO_DEEP: Final = ("nested too deep", f"at most {DEPTH_MAX} levels")
#: Digits of the largest whole number that is read as one; longer ones are floats.
_WHOLE_DIGITS_MAX: Final = 64

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TRUE = frozenset(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"])
_FALSE = frozenset(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"])
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_WHOLE = re.compile(r"[-+]?(0b[01]+|0o?[0-7]+|0x[0-9a-fA-F]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_YAML_TAG: Final = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset((f"{_YAML_TAG}str", f"{_YAML_TAG}timestamp", "!"))
_PLAIN_TAGS = frozenset(f"{_YAML_TAG}{name}" for name in ("int", "float", "bool", "null"))

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping. ``merged``: it came from a merge key (``<<``)."""

    key: str
    line: int
    column: int
    node: Node
    merged: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """A scalar, a list of nodes or the entries of a mapping; ``size`` counts everything below."""

    value: Scalar | tuple[Node, ...] | tuple[Entry, ...]
    kind: str  # scalar | list | mapping | merge (a plain <<, which is a merge key)
    line: int
    column: int
    size: int = 1
    depth: int = 1  # levels of nesting, aliases followed

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Entries of a mapping in order; of a key given twice both."""
        return self.value if self.kind == "mapping" else ()  # type: ignore[return-value]

    @property
    def items(self) -> tuple[Node, ...]:
        """Items of a list."""
        return self.value if self.kind == "list" else ()  # type: ignore[return-value]

    def get(self, key: str) -> Node | None:
        """Value of a key, the last one if it is given twice."""
        found = self.entry(key)
        return None if found is None else found.node

    def entry(self, key: str) -> Entry | None:
        """Entry of a key; exact spelling first, then any case, as the official decoder does."""
        folded = key.casefold()
        exact = [entry for entry in self.entries if entry.key == key]
        loose = exact or [entry for entry in self.entries if entry.key.casefold() == folded]
        return loose[-1] if loose else None

    def plain(self) -> Any:
        """The same as dicts, lists and scalars."""
        if self.kind == "mapping":
            return {entry.key: entry.node.plain() for entry in self.entries}
        if self.kind == "list":
            return [item.plain() for item in self.items]
        return self.value

    def given(self) -> str:
        """How to name this node in a message."""
        if self.kind == "mapping":
            return "a mapping" if self.entries else "an empty mapping"
        if self.kind == "list":
            return f"a list of {len(self.items)}" if self.items else "an empty list"
        if isinstance(self.value, str):
            return f'"{shorten(self.value)}"'
        return {None: "null", True: "true", False: "false"}.get(self.value, str(self.value))  # type: ignore[arg-type]


def locate(root: Node, path: Path) -> tuple[Node, int, int, bool]:
    """The node a path names, or the nearest one above; line, column, and whether it exists."""
    node, line, column = root, root.line, root.column
    for step in path:
        if isinstance(step, int):
            if step >= len(node.items):
                return node, line, column, False
            node = node.items[step]
            line, column = node.line, node.column
            continue
        entry = node.entry(step)
        if entry is None:
            return node, line, column, False
        node, line, column = entry.node, entry.line, entry.column
    return node, line, column, True


def read_documents(text: str) -> tuple[Node, ...]:
    """Every document of a file; empty ones are left out. Raises DocumentError."""
    if len(text.encode("utf-8", "surrogatepass")) > BYTES_MAX:
        raise DocumentError(1, 1, "the file is too large", f"at most {BYTES_MAX} bytes")
    if text.lstrip().startswith(("{", "[")):
        text = text.replace("\t", " ")  # JSON may be indented by tabs, YAML may not
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise DocumentError(line, column, str(error.problem), "YAML 1.1 or JSON") from error
    except yaml.YAMLError as error:  # a character YAML does not allow has no mark
        raise DocumentError(1, 1, shorten(str(error)), "printable characters in UTF-8") from error
    return tuple(node for node in builder.documents if node.value is not None)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    kind: str
    anchor: str | None
    line: int
    column: int
    children: list[Node]


class _Builder:
    """Takes the parser's events in order."""

    def __init__(self) -> None:
        self.documents: list[Node] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}

    def take(self, event: Any) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._anchors = {}
            if len(self.documents) >= DOCUMENTS_MAX:
                raise DocumentError(line, column, "too many documents", f"at most {DOCUMENTS_MAX}")
        elif isinstance(event, yaml.ScalarEvent):
            self._add(_scalar(event, line, column), event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise DocumentError(
                    line, column, f"unknown alias *{event.anchor}", "an anchor before its use"
                )
            self._add(self._anchors[event.anchor], None)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            if len(self._open) >= DEPTH_MAX:
                raise DocumentError(line, column, *_TOO_DEEP)
            kind = "list" if isinstance(event, yaml.SequenceStartEvent) else "mapping"
            self._open.append(_Open(kind, event.anchor, line, column, []))
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self._close(self._open.pop())

    def _close(self, done: _Open) -> None:
        size = 1 + sum(child.size for child in done.children)
        depth = 1 + max((child.depth for child in done.children), default=0)
        if size > NODES_MAX:
            raise DocumentError(done.line, done.column, "too many values", f"at most {NODES_MAX}")
        if depth > DEPTH_MAX:
            raise DocumentError(done.line, done.column, *_TOO_DEEP)
        value: Any = tuple(done.children)
        if done.kind == "mapping":
            value = tuple(_entries(done.children))
        self._add(Node(value, done.kind, done.line, done.column, size, depth), done.anchor)

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.documents.append(node)


def _entries(children: list[Node]) -> Iterator[Entry]:
    """Pairs of key and value; what merge keys bring stands behind the mapping's own."""
    merges: list[Node] = []
    own: set[str] = set()
    for key, node in zip(children[::2], children[1::2], strict=True):
        if key.kind == "merge":
            merges += node.items or (node,)
            continue
        if key.kind != "scalar" or key.value is None:
            raise DocumentError(key.line, key.column, f"{key.given()} as a key", "text")
        name = key.value if isinstance(key.value, str) else key.given()
        own.add(name)
        yield Entry(name, key.line, key.column, node)
    for merge in merges:
        if merge.kind != "mapping":
            raise DocumentError(merge.line, merge.column, merge.given(), "a mapping to merge")
        for entry in merge.entries:
            if entry.key not in own:
                own.add(entry.key)
                yield Entry(entry.key, entry.line, entry.column, entry.node, merged=True)


def _scalar(event: Any, line: int, column: int) -> Node:
    tag, text = event.tag, event.value
    is_plain = event.implicit[0]
    if tag in _TEXT_TAGS or (tag is None and not is_plain):
        return Node(text, "scalar", line, column)
    if tag is not None and tag not in _PLAIN_TAGS:
        raise DocumentError(line, column, f"tag {tag}", "no tags but those of YAML itself")
    if text == "<<":
        return Node(text, "merge", line, column)
    if _NOT_FINITE.fullmatch(text):
        raise DocumentError(line, column, text, "finite numbers")
    return Node(resolve(text), "scalar", line, column)


def resolve(text: str) -> Scalar:
    """What a plain scalar means."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    number = text.replace("_", "")
    if not text or text[0] not in "-+.0123456789":
        return text
    if len(number) <= _WHOLE_DIGITS_MAX and _WHOLE.fullmatch(number):
        return _whole(number)
    if _FLOAT.fullmatch(number):
        value = float(number)
        return value if math.isfinite(value) else text
    return text


def _whole(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567":
        return sign * int(digits, 8)  # 010 is eight
    return sign * int(digits, 0)
