"""Text to expression tree: PromQL's grammar by precedence climbing.

promql-parser knows no positions, dies of deep nesting and reads ``@ -5`` as ``@ 0``; a query comes
over the network, so the grammar is here and promql-parser is the second opinion of the tests.
Precedences and wording are those of Prometheus' ``generated_parser.y``.
"""

from __future__ import annotations

import math
from typing import Final

from collector.promql import checks
from collector.promql.errors import ParseError
from collector.promql.function_table import FUNCTIONS
from collector.promql.lexer import COMPARISONS, Kind, Token
from collector.promql.matchers import Matcher
from collector.promql.modifiers import BinaryModifiers, read_binary_modifiers
from collector.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Expression,
    Number,
    Paren,
    String,
    Unary,
    ValueType,
    VectorSelector,
)
from collector.promql.numbers import parse_number, seconds_of
from collector.promql.selectors import read_postfix, read_vector_selector
from collector.promql.strings import go_quoted, unquoted
from collector.promql.tokens import TokenStream

__all__ = ["MAX_DEPTH", "MAX_QUERY_CHARS", "parse", "parse_selector"]

#: Parentheses, calls, signs and powers inside one another; plain chains are not nested.
MAX_DEPTH: Final = 100
MAX_QUERY_CHARS: Final = 100_000

_PRECEDENCE: Final = {
    "or": 1,
    "and": 2,
    "unless": 2,
    **dict.fromkeys(COMPARISONS, 3),
    "+": 4,
    "-": 4,
    "*": 5,
    "/": 5,
    "%": 5,
    "atan2": 5,
    "^": 6,
}
_UNARY_OPERAND: Final = 6
_NAMES: Final = frozenset(
    {Kind.IDENTIFIER, Kind.METRIC_IDENTIFIER, Kind.AGGREGATOR, Kind.PREPROCESSOR}
)
_METRIC_KEYWORDS: Final = frozenset({"offset", "by", "without"})
_METRIC_OPERATORS: Final = frozenset({"and", "or", "unless"})
_WITH_PARAMETER: Final = frozenset(
    {"topk", "bottomk", "count_values", "quantile", "limitk", "limit_ratio"}
)


def parse(query: str) -> Expression:
    """The tree of an expression. Raises ParseError."""
    if len(query) > MAX_QUERY_CHARS:
        raise ParseError(
            f"query of {len(query)} characters, accepted are {MAX_QUERY_CHARS}",
            position=0,
            query=query,
        )
    return _Parser(query).parse()


def parse_selector(query: str) -> tuple[Matcher, ...]:
    """The conditions of a bare selector such as ``up{job="a"}``. Raises ParseError."""
    return _Parser(query).selector().all_matchers(is_dot_all=True)


class _Parser:
    def __init__(self, query: str) -> None:
        self._tokens = TokenStream(query)
        self._depth = 0

    def parse(self) -> Expression:
        tokens = self._tokens
        if tokens.is_at_end():
            raise tokens.fail_at(0, "no expression found in input")
        tree = self._expression(0)
        if not tokens.is_at_end():
            raise tokens.unexpected()
        tokens.raise_semantic_error()
        return tree

    def selector(self) -> VectorSelector:
        tokens = self._tokens
        name = tokens.current
        if name.kind in _NAMES:
            tree = read_vector_selector(tokens, tokens.advance())
        elif tokens.is_punctuation("{"):
            tree = read_vector_selector(tokens, None)
        else:
            raise tokens.unexpected()
        if not tokens.is_at_end():
            raise tokens.unexpected()
        return tree

    def _expression(self, lowest: int) -> Expression:
        """Operands and operators whose precedence is ``lowest`` or higher."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._tokens.fail(f"nested deeper than {MAX_DEPTH}")
        left = self._operand()
        while True:
            operator = self._tokens.current
            precedence = _PRECEDENCE.get(operator.text, 0)
            if operator.kind is not Kind.OPERATOR or precedence < max(lowest, 1):
                self._depth -= 1
                return left
            self._tokens.advance()
            modifiers = read_binary_modifiers(self._tokens)
            is_right_associative = operator.text == "^"
            right = self._expression(precedence if is_right_associative else precedence + 1)
            left = self._binary(operator.text, left, right, modifiers)

    def _binary(
        self, operator: str, left: Expression, right: Expression, modifiers: BinaryModifiers
    ) -> Binary:
        matching = checks.matching_of(self._tokens, operator, left, right, modifiers)
        is_scalar = left.type is right.type is ValueType.SCALAR
        return Binary(
            operator,
            left,
            right,
            modifiers.is_bool,
            matching,
            ValueType.SCALAR if is_scalar else ValueType.VECTOR,
            left.start,
            right.end,
        )

    def _operand(self) -> Expression:
        token = self._tokens.current
        if token.kind is Kind.OPERATOR and token.text in "+-":
            return self._unary()
        return read_postfix(self._tokens, self._primary(token))

    def _unary(self) -> Expression:
        sign = self._tokens.advance()
        operand = self._expression(_UNARY_OPERAND)
        if isinstance(operand, Number):
            value = -operand.value if sign.text == "-" else operand.value
            return Number(value, sign.start, operand.end)
        checks.unary(self._tokens, sign, operand)
        return Unary(sign.text, operand, operand.type, sign.start, operand.end)

    def _primary(self, token: Token) -> Expression:
        tokens = self._tokens
        if token.kind is Kind.NUMBER:
            tokens.advance()
            return Number(parse_number(tokens, token), token.start, token.end)
        if token.kind is Kind.DURATION:
            tokens.advance()
            return Number(seconds_of(tokens, token), token.start, token.end)
        if token.kind is Kind.STRING:
            tokens.advance()
            return String(unquoted(token.text), token.start, token.end)
        if token.kind is Kind.PUNCTUATION and token.text == "(":
            tokens.advance()
            inner = self._expression(0)
            end = tokens.expect(")").end
            return Paren(inner, token.start, end)
        if token.kind is Kind.PUNCTUATION and token.text == "{":
            return read_vector_selector(tokens, None)
        return self._named(token)

    def _named(self, token: Token) -> Expression:
        tokens = self._tokens
        is_name = (
            token.kind in _NAMES
            or (token.kind is Kind.KEYWORD and token.text.lower() in _METRIC_KEYWORDS)
            or (token.kind is Kind.OPERATOR and token.text in _METRIC_OPERATORS)
        )
        if not is_name:
            raise tokens.unexpected()
        tokens.advance()
        following = tokens.current
        is_call = following.kind is Kind.PUNCTUATION and following.text == "("
        if token.kind is Kind.AGGREGATOR and (
            is_call
            or (following.kind is Kind.KEYWORD and following.text.lower() in {"by", "without"})
        ):
            return self._aggregate(token)
        if is_call and token.kind in {Kind.IDENTIFIER, Kind.PREPROCESSOR}:
            return self._call(token)
        return read_vector_selector(tokens, token)

    def _arguments(self) -> tuple[tuple[Expression, ...], int]:
        """Expressions between parentheses, and where the closing one ends."""
        tokens = self._tokens
        tokens.expect("(")
        if tokens.is_punctuation(")"):
            return (), tokens.advance().end
        arguments = [self._expression(0)]
        while tokens.is_punctuation(","):
            comma = tokens.advance()
            if tokens.is_punctuation(")"):
                raise tokens.fail_at(
                    comma.start, "trailing commas not allowed in function call args"
                )
            arguments.append(self._expression(0))
        return tuple(arguments), tokens.expect(")").end

    def _call(self, name: Token) -> Expression:
        tokens = self._tokens
        # Prometheus' function names are written in lower case only.
        function = FUNCTIONS.get(name.text)
        if function is None:
            tokens.note(name.start, f"unknown function with name {go_quoted(name.text)}")
        arguments, end = self._arguments()
        if function is None:
            return Number(math.nan, name.start, end)
        checks.call(tokens, function, arguments, name.start)
        return Call(function, arguments, name.start, end)

    def _aggregate(self, name: Token) -> Expression:
        tokens = self._tokens
        operator = name.text.lower()
        grouping: tuple[str, ...] = ()
        is_without = False
        has_modifier = tokens.current.kind is Kind.KEYWORD
        if has_modifier:
            is_without = tokens.advance().text.lower() == "without"
            grouping = tokens.read_labels()
            if not tokens.is_punctuation("("):
                raise tokens.unexpected("aggregation")
        arguments, end = self._arguments()
        if (
            not has_modifier
            and tokens.current.kind is Kind.KEYWORD
            and tokens.current.text.lower() in {"by", "without"}
        ):
            is_without = tokens.advance().text.lower() == "without"
            grouping = tokens.read_labels()
            end = tokens.previous_end
        wanted = 2 if operator in _WITH_PARAMETER else 1
        if len(arguments) != wanted:
            raise tokens.fail_at(name.start, _wrong_number(wanted, len(arguments)))
        parameter = arguments[0] if wanted == 2 else None
        expression = arguments[-1]
        checks.aggregate(tokens, operator, expression, parameter)
        return Aggregate(operator, expression, parameter, grouping, is_without, name.start, end)


def _wrong_number(wanted: int, given: int) -> str:
    if given == 0:
        return "no arguments for aggregate expression provided"
    return (
        f"wrong number of arguments for aggregate expression provided, expected {wanted}, "
        f"got {given}"
    )
