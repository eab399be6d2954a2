"""Types and matching: what the grammar allows but no evaluation could mean.

Every finding is noted with the place it concerns (Prometheus ``parse.go``, ``checkAST``).
"""

from __future__ import annotations

from typing import Final

from collector.promql.lexer import COMPARISONS, SET_OPERATORS, Token
from collector.promql.modifiers import BinaryModifiers
from collector.promql.nodes import (
    Cardinality,
    Expression,
    Function,
    ValueType,
    VectorMatching,
    VectorSelector,
)
from collector.promql.strings import go_quoted
from collector.promql.tokens import TokenStream

__all__ = ["aggregate", "call", "matching_of", "unary"]

_OPERANDS: Final = frozenset({ValueType.SCALAR, ValueType.VECTOR})
_ONLY_OPERANDS: Final = "binary expression must contain only scalar and instant vector types"


def unary(tokens: TokenStream, sign: Token, operand: Expression) -> None:
    """A sign stands before a scalar or an instant vector."""
    if operand.type not in _OPERANDS:
        tokens.note(
            sign.start,
            "unary expression only allowed on expressions of type scalar or instant vector, got "
            + go_quoted(operand.type.documented()),
        )


def aggregate(
    tokens: TokenStream, operator: str, expression: Expression, parameter: Expression | None
) -> None:
    """An aggregation is of an instant vector; its parameter is a scalar, or a label's name."""
    _expect(tokens, expression, ValueType.VECTOR, "aggregation expression")
    if parameter is not None:
        wanted = ValueType.STRING if operator == "count_values" else ValueType.SCALAR
        _expect(tokens, parameter, wanted, "aggregation parameter")


def _expect(tokens: TokenStream, node: Expression, wanted: ValueType, context: str) -> None:
    if node.type is not wanted:
        tokens.note(
            node.start,
            f"expected type {wanted.documented()} in {context}, got {node.type.documented()}",
        )


def call(
    tokens: TokenStream, function: Function, arguments: tuple[Expression, ...], start: int
) -> None:
    """A function gets as many arguments as it takes, each of its type."""
    name = go_quoted(function.name)
    given, wanted = len(arguments), len(function.argument_types)
    if function.variadic == 0:
        if given != wanted:
            tokens.note(start, f"expected {wanted} argument(s) in call to {name}, got {given}")
    elif given < wanted - 1:
        tokens.note(
            start, f"expected at least {wanted - 1} argument(s) in call to {name}, got {given}"
        )
    elif 0 < function.variadic < given - (wanted - 1):
        most = wanted - 1 + function.variadic
        tokens.note(start, f"expected at most {most} argument(s) in call to {name}, got {given}")
    if function.name == "info" and given > 1:
        _info_selector(tokens, arguments[1])
    for index, argument in enumerate(arguments):
        if index >= wanted and function.variadic == 0:
            break
        expected = function.argument_types[min(index, wanted - 1)]
        _expect(tokens, argument, expected, f"call to function {name}")


def _info_selector(tokens: TokenStream, selector: Expression) -> None:
    if not isinstance(selector, VectorSelector):
        tokens.note(selector.start, "expected label selectors only")
    elif selector.name:
        tokens.note(selector.start, "expected label selectors only, got vector selector instead")


def matching_of(
    tokens: TokenStream,
    operator: str,
    left: Expression,
    right: Expression,
    modifiers: BinaryModifiers,
) -> VectorMatching | None:
    """How the two sides match: None where a side is no vector."""
    place = left.end
    while tokens.query[place : place + 1].isspace():
        place += 1
    is_comparison, is_set = operator in COMPARISONS, operator in SET_OPERATORS
    matching = modifiers.matching
    if modifiers.is_bool and not is_comparison:
        tokens.note(place, "bool modifier can only be used on comparison operators")
    both_scalar = left.type is right.type is ValueType.SCALAR
    if is_comparison and not modifiers.is_bool and both_scalar:
        tokens.note(place, "comparisons between scalars must use BOOL modifier")
    for label in matching.labels:
        if matching.is_on and label in matching.include:
            tokens.note(
                place, f"label {go_quoted(label)} must not occur in ON and GROUP clause at once"
            )
    for side in (left, right):
        if side.type not in _OPERANDS:
            tokens.note(side.start, _ONLY_OPERANDS)
    if not left.type is right.type is ValueType.VECTOR:
        _no_matching(tokens, operator, left, right, matching)
        return None
    if is_set:
        return _set_matching(tokens, operator, left.start, matching)
    return matching


def _no_matching(
    tokens: TokenStream,
    operator: str,
    left: Expression,
    right: Expression,
    matching: VectorMatching,
) -> None:
    if matching.labels:
        tokens.note(left.start, "vector matching only allowed between instant vectors")
    if _has_fill(matching):
        tokens.note(left.start, "filling in missing series only allowed between instant vectors")
    if operator in SET_OPERATORS and ValueType.SCALAR in {left.type, right.type}:
        tokens.note(
            left.start,
            f"set operator {go_quoted(operator)} not allowed in binary scalar expression",
        )


def _set_matching(
    tokens: TokenStream, operator: str, start: int, matching: VectorMatching
) -> VectorMatching:
    if matching.cardinality is not Cardinality.ONE_TO_ONE:
        tokens.note(start, f"no grouping allowed for {go_quoted(operator)} operation")
    if _has_fill(matching):
        tokens.note(start, "filling in missing series not allowed for set operators")
    return VectorMatching(Cardinality.MANY_TO_MANY, matching.labels, matching.is_on)


def _has_fill(matching: VectorMatching) -> bool:
    return matching.fill_left is not None or matching.fill_right is not None
