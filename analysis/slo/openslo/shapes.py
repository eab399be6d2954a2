"""What may stand where: a small language of shapes, and decoding nodes by them.

It decodes as the official SDK does (Go's JSON decoder with unknown fields refused): null is the
same as absent, names match in any case, a wrong type anywhere is a decode error. Unlike it, every
such error is reported, not the first one only. Absent properties get the shape's zero value, which
is what "required" rules look for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from analysis.slo.openslo.document import Node
from analysis.slo.openslo.findings import Path

Value = Any
#: Takes a path, the node that is wrong, and what is accepted instead.
Refuse = Callable[[Path, Node, str], None]


class Shape(Protocol):
    """One kind of value."""

    def decode(self, node: Node, path: Path, refuse: Refuse) -> Value:
        """The value of a node that is not null."""
        ...

    def zero(self) -> Value:
        """The value of an absent property."""
        ...

    def is_zero(self, value: Value) -> bool:
        """Whether a value counts as not given."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A text; with ``accepted`` one of these only."""

    accepted: tuple[str, ...] = ()

    def decode(self, node: Node, path: Path, refuse: Refuse) -> str:
        if not isinstance(node.value, str):
            refuse(path, node, "text")
            return ""
        if self.accepted and node.value not in self.accepted:
            refuse(path, node, " or ".join(self.accepted))
            return ""
        return node.value

    def zero(self) -> str:
        return ""

    def is_zero(self, value: Value) -> bool:
        return bool(value == "")


@dataclass(frozen=True, slots=True)
class Number:
    """A number; ``whole`` ones only if wanted."""

    whole: bool = False

    def decode(self, node: Node, path: Path, refuse: Refuse) -> float:
        is_number = isinstance(node.value, int if self.whole else int | float)
        if not is_number or isinstance(node.value, bool):
            refuse(path, node, "a whole number" if self.whole else "a number")
            return 0
        return node.value  # type: ignore[return-value]

    def zero(self) -> float:
        return 0

    def is_zero(self, value: Value) -> bool:
        return bool(value == 0)


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    def decode(self, node: Node, path: Path, refuse: Refuse) -> bool:
        if not isinstance(node.value, bool):
            refuse(path, node, "true or false")
            return False
        return node.value

    def zero(self) -> bool:
        return False

    def is_zero(self, value: Value) -> bool:
        return value is False


_DURATION: Final = re.compile(r"[^\S\n]*([-+]?[0-9]++)[^\S\n]*(\S+).*", re.DOTALL)
#: Digits of a duration's number; the official decoder takes 64 bits.
_DURATION_DIGITS_MAX: Final = 18


@dataclass(frozen=True, slots=True)
class Duration:
    """A number and a unit such as ``5m``. Which units and numbers are right is left to rules."""

    def decode(self, node: Node, path: Path, refuse: Refuse) -> Record:
        if not isinstance(node.value, str):
            refuse(path, node, "a duration such as 5m, 1h or 28d")
            return self.zero()
        found = _DURATION.fullmatch(node.value)
        if found and len(found[1]) > _DURATION_DIGITS_MAX:
            found = None
        if node.value and not found:
            refuse(path, node, "a whole number and a unit, such as 5m, 1h or 28d")
        if not found:
            return self.zero()
        return Record(_DURATION_PARTS, {"value": int(found[1]), "unit": found[2]}, frozenset())

    def zero(self) -> Record:
        return _DURATION_PARTS.zero()

    def is_zero(self, value: Value) -> bool:
        return _DURATION_PARTS.is_zero(value)


@dataclass(frozen=True, slots=True)
class Anything:
    """Any value at all, kept as a node; also null is a value here."""

    def decode(self, node: Node, path: Path, refuse: Refuse) -> Node:
        del path, refuse
        return node

    def zero(self) -> None:
        return None

    def is_zero(self, value: Value) -> bool:
        return value is None


@dataclass(frozen=True, slots=True)
class Map:
    """Names to values of one shape."""

    of: Shape

    def decode(self, node: Node, path: Path, refuse: Refuse) -> Mapping[str, Value] | None:
        if node.kind != "mapping":
            refuse(path, node, "a mapping")
            return None
        return {
            entry.key: _decode(self.of, entry.node, (*path, entry.key), refuse)
            for entry in node.entries
        }

    def zero(self) -> None:
        return None

    def is_zero(self, value: Value) -> bool:
        return value is None


@dataclass(frozen=True, slots=True)
class List:
    """Values of one shape in order."""

    of: Shape

    def decode(self, node: Node, path: Path, refuse: Refuse) -> tuple[Value, ...] | None:
        if node.kind != "list":
            refuse(path, node, "a list")
            return None
        return tuple(
            _decode(self.of, item, (*path, number), refuse)
            for number, item in enumerate(node.items)
        )

    def zero(self) -> None:
        return None

    def is_zero(self, value: Value) -> bool:
        return value is None


@dataclass(frozen=True, slots=True)
class OneOrMore:
    """One text or a list of them."""

    def decode(self, node: Node, path: Path, refuse: Refuse) -> tuple[str, ...] | None:
        if node.kind == "list":
            return List(Text()).decode(node, path, refuse)
        if not isinstance(node.value, str):
            refuse(path, node, "text or a list of texts")
            return None
        return (node.value,)

    def zero(self) -> None:
        return None

    def is_zero(self, value: Value) -> bool:
        return value is None


@dataclass(frozen=True, slots=True)
class Optional:
    """A value that may be absent, where absent is another thing than zero or empty."""

    of: Shape

    def decode(self, node: Node, path: Path, refuse: Refuse) -> Value:
        return self.of.decode(node, path, refuse)

    def zero(self) -> None:
        return None

    def is_zero(self, value: Value) -> bool:
        return value is None


@dataclass(frozen=True, slots=True)
class Struct:
    """Named properties, each with its shape.

    ``groups`` names sets of properties of which one may be given instead of another, such as a
    reference or an inline definition; a group is given when any of its properties is.
    """

    fields: Mapping[str, Shape]
    groups: Mapping[str, frozenset[str]]

    def __init__(
        self,
        fields: Mapping[str, Shape],
        groups: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        object.__setattr__(self, "fields", fields)
        object.__setattr__(self, "groups", groups or {})

    def decode(self, node: Node, path: Path, refuse: Refuse) -> Record:
        values = {name: shape.zero() for name, shape in self.fields.items()}
        present = set()
        if node.kind != "mapping":
            refuse(path, node, "a mapping with " + ", ".join(self.fields))
            return Record(self, values, frozenset())
        spelled = {name.casefold(): name for name in self.fields}
        for entry in node.entries:
            name = entry.key if entry.key in self.fields else spelled.get(entry.key.casefold())
            if name is None:
                place = Node(entry.key, "scalar", entry.line, entry.column)
                refuse((*path, entry.key), place, "only " + ", ".join(self.fields))
                continue
            present.add(name)
            values[name] = _decode(self.fields[name], entry.node, (*path, name), refuse)
        return Record(self, values, frozenset(present))

    def zero(self) -> Record:
        values = {name: shape.zero() for name, shape in self.fields.items()}
        return Record(self, values, frozenset())

    def is_zero(self, value: Value) -> bool:
        return all(shape.is_zero(value[name]) for name, shape in self.fields.items()) and not any(
            value.has(group) for group in self.groups
        )


@dataclass(frozen=True, slots=True)
class Record:
    """Decoded properties of one struct. ``present``: the names that were written down."""

    shape: Struct
    values: Mapping[str, Value]
    present: frozenset[str]

    def __getitem__(self, name: str) -> Value:
        return self.values[name]

    def has(self, name: str) -> bool:
        """Whether a property, or anything of a group, was given."""
        if name in self.shape.groups:
            return bool(self.shape.groups[name] & self.present)
        return not self.shape.fields[name].is_zero(self.values[name])


_DURATION_PARTS: Final = Struct({"unit": Text(), "value": Number(whole=True)})


def _decode(shape: Shape, node: Node, path: Path, refuse: Refuse) -> Value:
    is_null = node.kind == "scalar" and node.value is None
    if is_null and not isinstance(shape, Anything):
        return shape.zero()
    return shape.decode(node, path, refuse)


def decode(shape: Shape, node: Node, refuse: Refuse) -> Value:
    """The value of a document; everything that does not fit goes to ``refuse``."""
    return _decode(shape, node, (), refuse)
