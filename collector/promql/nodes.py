"""The expression as a tree: immutable nodes with their type and where they stand in the text.

Times are whole milliseconds. ``start`` and ``end`` are character positions of the query.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from collector.promql.labels import NAME
from collector.promql.matchers import Matcher

__all__ = [
    "Aggregate",
    "At",
    "Binary",
    "Call",
    "Cardinality",
    "Expression",
    "Function",
    "MatrixSelector",
    "Number",
    "Paren",
    "String",
    "Subquery",
    "Unary",
    "ValueType",
    "VectorMatching",
    "VectorSelector",
    "children",
    "unwrapped",
]


class ValueType(StrEnum):
    """What an expression evaluates to; the value is Prometheus' internal word for it."""

    NONE = "none"
    SCALAR = "scalar"
    VECTOR = "vector"
    MATRIX = "matrix"
    STRING = "string"

    def documented(self) -> str:
        """The word used in messages to people."""
        return {"vector": "instant vector", "matrix": "range vector"}.get(self.value, self.value)


class Expression(Protocol):
    """Any node."""

    @property
    def type(self) -> ValueType:
        """What the node evaluates to."""
        ...

    @property
    def start(self) -> int:
        """First character."""
        ...

    @property
    def end(self) -> int:
        """One past the last character."""
        ...


class Cardinality(StrEnum):
    """How many series may match how many; the value is what ``parse_query`` answers."""

    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    MANY_TO_MANY = "many-to-many"


@dataclass(frozen=True, slots=True)
class At:
    """``@``: a fixed time, or the start or end of the query."""

    timestamp_ms: int | None = None
    edge: str | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """A literal such as ``1.5``, ``0x1f``, ``Inf`` or ``5m`` (seconds)."""

    value: float
    start: int
    end: int
    type: ValueType = field(default=ValueType.SCALAR, init=False)


@dataclass(frozen=True, slots=True)
class String:
    """A quoted text."""

    value: str
    start: int
    end: int
    type: ValueType = field(default=ValueType.STRING, init=False)


@dataclass(frozen=True, slots=True)
class VectorSelector:
    """``name{matchers} offset 5m @ 10``; ``name`` is "" if only the braces say it."""

    name: str
    matchers: tuple[Matcher, ...]
    start: int
    end: int
    offset_ms: int = 0
    at: At | None = None
    type: ValueType = field(default=ValueType.VECTOR, init=False)

    def all_matchers(self, *, is_dot_all: bool) -> tuple[Matcher, ...]:
        """Every condition, the name's among them."""
        given = tuple(
            Matcher(m.name, m.operator, m.value, is_dot_all=is_dot_all) for m in self.matchers
        )
        return (*given, Matcher(NAME, "=", self.name)) if self.name else given


@dataclass(frozen=True, slots=True)
class MatrixSelector:
    """``selector[range]``."""

    selector: VectorSelector
    range_ms: int
    end: int
    type: ValueType = field(default=ValueType.MATRIX, init=False)

    @property
    def start(self) -> int:
        """First character."""
        return self.selector.start


@dataclass(frozen=True, slots=True)
class Subquery:
    """``expression[range:step]``; ``step_ms`` None means the default evaluation interval."""

    expression: Expression
    range_ms: int
    step_ms: int | None
    end: int
    offset_ms: int = 0
    at: At | None = None
    type: ValueType = field(default=ValueType.MATRIX, init=False)

    @property
    def start(self) -> int:
        """First character."""
        return self.expression.start


@dataclass(frozen=True, slots=True)
class Function:
    """``variadic``: 0 exactly these arguments; n > 0 the last one 0 to n times; -1 any number."""

    name: str
    argument_types: tuple[ValueType, ...]
    return_type: ValueType
    variadic: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """``function(arguments)``."""

    function: Function
    arguments: tuple[Expression, ...]
    start: int
    end: int

    @property
    def type(self) -> ValueType:
        """What the function returns."""
        return self.function.return_type


@dataclass(frozen=True, slots=True)
class Aggregate:
    """``sum by (labels) (expression)``; ``parameter`` is the k, quantile, ratio or label."""

    operator: str
    expression: Expression
    parameter: Expression | None
    grouping: tuple[str, ...]
    is_without: bool
    start: int
    end: int
    type: ValueType = field(default=ValueType.VECTOR, init=False)


@dataclass(frozen=True, slots=True)
class VectorMatching:
    """Which series of two vectors belong together, and what stands in for a missing one."""

    cardinality: Cardinality = Cardinality.ONE_TO_ONE
    labels: tuple[str, ...] = ()
    is_on: bool = False
    include: tuple[str, ...] = ()
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    """``left operator right``; ``matching`` is None where a side is a scalar.

    Type and ends are kept, not asked from below: a chain of a thousand terms is a thousand deep.
    """

    operator: str
    left: Expression
    right: Expression
    is_bool: bool
    matching: VectorMatching | None
    type: ValueType
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unary:
    """``-expression`` or ``+expression``."""

    operator: str
    expression: Expression
    type: ValueType
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Paren:
    """``(expression)``."""

    expression: Expression
    start: int
    end: int

    @property
    def type(self) -> ValueType:
        """The same as the content's."""
        return self.expression.type


_LEAVES: Final = (Number, String, VectorSelector)


def children(node: Expression) -> tuple[Expression, ...]:
    """The nodes directly below."""
    if isinstance(node, Binary):
        return (node.left, node.right)
    if isinstance(node, Call):
        return node.arguments
    if isinstance(node, Aggregate):
        own = (node.expression,)
        return own if node.parameter is None else (node.parameter, *own)
    if isinstance(node, MatrixSelector):
        return (node.selector,)
    if isinstance(node, Subquery | Unary | Paren):
        return (node.expression,)
    assert isinstance(node, _LEAVES)
    return ()


def unwrapped(node: Expression) -> Expression:
    """The node inside any parentheses."""
    while isinstance(node, Paren):
        node = node.expression
    return node
