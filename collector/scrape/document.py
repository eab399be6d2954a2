"""YAML and JSON files read so that every value knows its file and line.

A typing error in a configuration is told with its place and with what would be accepted; nothing
unknown is ignored in silence.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from collector.scrape.errors import BadScrapeFile

#: A configuration of 10,000 targets has about 1 MB.
MAX_FILE_BYTES: Final = 4_000_000
_TAG: Final = "tag:yaml.org,2002:"
_BOOLEANS: Final = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}

_T = TypeVar("_T")


class Value:
    """One value of a file; every reader raises BadScrapeFile for another kind of value."""

    __slots__ = ("_node", "file", "path")

    def __init__(self, node: yaml.Node, file: Path, path: str) -> None:
        self._node = node
        self.file = file
        self.path = path

    @property
    def place(self) -> str:
        """``file:line: path``."""
        place = f"{self.file}:{self._node.start_mark.line + 1}"
        return f"{place}: {self.path}" if self.path else place

    def wrong(self, what: str, accepted: str = "") -> BadScrapeFile:
        """The error to raise about this value."""
        return BadScrapeFile(self.place, what, accepted=accepted)

    def mapping(self, known: Iterable[str] | None = None) -> dict[str, Value]:
        """Keys and values; a key that is not among ``known``, or comes twice, is an error."""
        node = self._node
        if not isinstance(node, yaml.MappingNode):
            raise self.wrong(f"{_shown(node)} where keys and values belong")
        accepted = None if known is None else sorted(known)
        found: dict[str, Value] = {}
        for key_node, value_node in node.value:
            key = Value(key_node, self.file, self.path).text()
            value = Value(value_node, self.file, f"{self.path}.{key}" if self.path else key)
            if accepted is not None and key not in accepted:
                raise Value(key_node, self.file, value.path).wrong(
                    "unknown or unsupported", ", ".join(accepted)
                )
            if key in found:
                raise Value(key_node, self.file, value.path).wrong("given twice")
            found[key] = value
        return found

    def items(self) -> list[Value]:
        """The elements of a list."""
        node = self._node
        if not isinstance(node, yaml.SequenceNode):
            raise self.wrong(f"{_shown(node)} where a list belongs")
        return [
            Value(item, self.file, f"{self.path}[{index}]") for index, item in enumerate(node.value)
        ]

    def text(self) -> str:
        """A scalar as it is written, numbers included."""
        node = self._node
        if not isinstance(node, yaml.ScalarNode) or node.tag == f"{_TAG}null":
            raise self.wrong(f"{_shown(node)} where text belongs")
        text: str = node.value
        try:
            text.encode()
        except UnicodeEncodeError:
            # JSON spells characters beyond 16 bits as pairs of halves, which YAML leaves apart.
            try:
                return text.encode("utf-16", "surrogatepass").decode("utf-16")
            except UnicodeDecodeError:
                raise self.wrong("half of a character", "valid Unicode text") from None
        return text

    def boolean(self) -> bool:
        """A boolean of YAML: true or false."""
        found = _BOOLEANS.get(self.text().lower())
        if found is None or self._node.tag != f"{_TAG}bool":
            raise self.wrong(f"{_shown(self._node)} where true or false belongs")
        return found

    def integer(self, *, low: int = 0, high: int = 2**63 - 1) -> int:
        """A whole number within [low, high]."""
        try:
            number = int(self.text())
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise self.wrong(
                f"{_shown(self._node)} where a whole number belongs", f"{low} to {high}"
            )
        return number

    def parsed(self, parse: Callable[[str], _T], accepted: str) -> _T:
        """``parse`` of the text; its ValueError becomes ours."""
        text = self.text()
        try:
            return parse(text)
        except ValueError as error:
            raise self.wrong(f"{text[:100]!r}: {error}", accepted) from None


def read_document(path: Path) -> Value | None:
    """The file's root, None if it is empty. Raises BadScrapeFile."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadScrapeFile(str(path), f"cannot be read: {error.strerror}") from None
    if len(raw) > MAX_FILE_BYTES:
        raise BadScrapeFile(str(path), f"more than {MAX_FILE_BYTES} bytes")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BadScrapeFile(f"{path}:{line}", "not UTF-8") from None
    if path.suffix == ".json":
        text = _json_as_yaml(path, text)
    try:
        root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        raise BadScrapeFile(place, f"not YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise BadScrapeFile(str(path), f"not YAML: {error}") from None
    return None if root is None else Value(root, path, "")


def _json_as_yaml(path: Path, text: str) -> str:
    """JSON that was checked to be JSON. Its tabs can only be white space, which YAML forbids."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise BadScrapeFile(f"{path}:{error.lineno}", f"not JSON: {error.msg}") from None
    except RecursionError:
        raise BadScrapeFile(str(path), "not JSON: nested too deeply") from None
    return text.replace("\t", " ")


def _shown(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return "nothing" if node.tag == f"{_TAG}null" else repr(node.value[:100])
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
