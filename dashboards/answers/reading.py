"""An answer is there or it is unavailable with a reason; fields are read strictly."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from dashboards.errors import UnreadableAnswerError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Source(StrEnum):
    """Which API was asked."""

    COLLECTOR = "collector"
    ANALYSIS = "analysis"
    DASHBOARDS = "dashboards"  # ourselves, when drawing failed


class Why(StrEnum):
    """Why there is no answer."""

    UNREACHABLE = "unreachable"  # nobody listens, or the connection broke
    TIMEOUT = "timeout"
    BUSY = "busy"  # 503: asked again at the next update
    REFUSED = "refused"  # another 4xx or 5xx
    NOT_FOUND = "not_found"
    UNREADABLE = "unreadable"  # not JSON, or not in the form these pages know
    TOO_LARGE = "too_large"
    BROKEN = "broken"  # our own mistake


@dataclass(frozen=True, slots=True)
class Available(Generic[T_co]):
    """A parsed answer and when it was given."""

    value: T_co
    read_unix_nano: int


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No answer. ``sentence`` says what happened, in words for the reader of the page."""

    source: Source
    why: Why
    sentence: str


Answer = Available[T] | Unavailable


def mapped(answer: Answer[T], change: Callable[[T], U]) -> Answer[U]:
    """The same answer in another form."""
    if isinstance(answer, Unavailable):
        return answer
    return Available(change(answer.value), answer.read_unix_nano)


def value_or(answer: Answer[T], default: U) -> T | U:
    """The value, or ``default`` where the page can do without."""
    return default if isinstance(answer, Unavailable) else answer.value


class Fields:
    """One JSON object whose fields are asked for by name and kind.

    Every method raises UnreadableAnswerError naming the field's path.
    """

    __slots__ = ("_object", "_path")

    def __init__(self, value: Any, path: str = "answer") -> None:
        if not isinstance(value, Mapping):
            raise UnreadableAnswerError(f"{path} is not an object")
        self._object = value
        self._path = path

    def _get(self, name: str) -> Any:
        if name not in self._object:
            raise UnreadableAnswerError(f"{self._path}.{name} is missing")
        return self._object[name]

    def _wrong(self, name: str, kind: str) -> UnreadableAnswerError:
        return UnreadableAnswerError(f"{self._path}.{name} is not {kind}")

    def text(self, name: str) -> str:
        value = self._get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        return value

    def text_or_none(self, name: str) -> str | None:
        return None if self._object.get(name) is None else self.text(name)

    def boolean(self, name: str) -> bool:
        value = self._get(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def integer(self, name: str) -> int:
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name, "a whole number")
        return value

    def integer_or_none(self, name: str) -> int | None:
        return None if self._object.get(name) is None else self.integer(name)

    def number(self, name: str) -> float:
        value = self._get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, "a number")
        if not math.isfinite(value):
            raise self._wrong(name, "a finite number")
        return float(value)

    def number_or_none(self, name: str) -> float | None:
        return None if self._object.get(name) is None else self.number(name)

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._object.get(name) is not None

    def raw(self, name: str) -> Any:
        return self._get(name)

    def sequence(self, name: str) -> Sequence[Any]:
        value = self._get(name)
        if not isinstance(value, list):
            raise self._wrong(name, "a list")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        items = self.sequence(name)
        if not all(isinstance(item, str) for item in items):
            raise self._wrong(name, "a list of texts")
        return tuple(items)

    def inner(self, name: str) -> Fields:
        return Fields(self._get(name), f"{self._path}.{name}")

    def inner_or_none(self, name: str) -> Fields | None:
        return None if self._object.get(name) is None else self.inner(name)

    def objects(self, name: str, read: Callable[[Fields], T]) -> tuple[T, ...]:
        """Every object of a list, read by ``read``."""
        return tuple(
            read(Fields(item, f"{self._path}.{name}[{index}]"))
            for index, item in enumerate(self.sequence(name))
        )

    def text_map(self, name: str) -> dict[str, str]:
        """An object as texts; other JSON values in their usual spelling."""
        value = self._get(name)
        if not isinstance(value, Mapping):
            raise self._wrong(name, "an object")
        return {
            str(key): item if isinstance(item, str) else str(item) for key, item in value.items()
        }

    def number_map(self, name: str) -> dict[str, float | None]:
        """An object whose values are numbers or null."""
        inner = self.inner(name)
        return {key: inner.number_or_none(key) for key in self._object[name]}
