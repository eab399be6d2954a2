"""One decoded object, and walking through everything in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from analysis.slo.openslo.document import Node, locate
from analysis.slo.openslo.findings import Finding, Level, Path, path_text
from analysis.slo.openslo.shapes import Optional, Record, Shape, Value


@dataclass(frozen=True, slots=True)
class Definition:
    """One object that could be decoded."""

    file: str
    number: int  # of the object in its file, from 0
    version: str
    kind: str
    node: Node
    record: Record

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return str(self.record["metadata"]["name"])

    @property
    def spec(self) -> Record:
        """What the object says beyond its name."""
        found: Record = self.record["spec"]
        return found

    def finding(
        self, level: Level, code: str, path: Path, accepted: str, *, at_key: bool = False
    ) -> Finding:
        """Something about a place in this object."""
        node, line, column, exists = locate(self.node, path)
        given = node.given() if exists else "nothing"
        if at_key and exists:
            given = f'"{path[-1]}"'
        return Finding(
            level, code, self.file, self.number, path_text(path), line, column, given, accepted
        )

    def error(self, code: str, path: Path, accepted: str) -> Finding:
        """A rule that is broken."""
        return self.finding(Level.ERROR, code, path, accepted)

    def warning(self, code: str, path: Path, accepted: str) -> Finding:
        """Something that is probably not meant."""
        return self.finding(Level.WARNING, code, path, accepted)


@dataclass(frozen=True, slots=True)
class Property:
    """One property that was given, wherever it stands."""

    path: Path
    shape: Shape
    value: Value

    @property
    def name(self) -> str:
        """Its own name; of a list's item that of the list."""
        return next(step for step in reversed(self.path) if isinstance(step, str))


def walk(record: Record, path: Path = ()) -> Iterator[Property]:
    """Every property of a record, and all below; free-form content is one property."""
    for name in record.shape.fields:
        if name in record.present:
            yield from _walk(record.shape.fields[name], record[name], (*path, name))


def _walk(shape: Shape, value: Value, path: Path) -> Iterator[Property]:
    inner = shape.of if isinstance(shape, Optional) else shape
    yield Property(path, inner, value)
    if isinstance(value, Record):
        yield from walk(value, path)
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            if isinstance(item, Record):
                yield Property((*path, number), item.shape, item)
                yield from walk(item, (*path, number))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, Record):
                yield from walk(item, (*path, key))
