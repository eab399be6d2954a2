"""Selectors and what may follow an expression: ``{...}``, ``[5m]``, ``[5m:1m]``, offset, ``@``."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from collector.promql.labels import NAME
from collector.promql.lexer import Kind, Token
from collector.promql.matchers import Matcher
from collector.promql.nodes import (
    At,
    Expression,
    MatrixSelector,
    Subquery,
    ValueType,
    VectorSelector,
)
from collector.promql.numbers import duration_of, parse_number, seconds_of
from collector.promql.regex import InvalidRegexError
from collector.promql.strings import go_quoted, unquoted
from collector.promql.tokens import TokenStream

__all__ = ["read_postfix", "read_vector_selector"]

_OFFSET_PLACE: Final = (
    "modifier must be preceded by an instant vector selector or range vector selector or a subquery"
)
_MAX_TIMESTAMP_MS: Final = 2**63 - 1


def read_vector_selector(tokens: TokenStream, name: Token | None) -> VectorSelector:
    """The selector whose name (if any) was just taken; matchers follow."""
    text = tokens.query[name.start : name.end] if name is not None else ""
    start = name.start if name is not None else tokens.current.start
    matchers: list[Matcher] = []
    if tokens.is_punctuation("{"):
        tokens.advance()
        while not tokens.is_punctuation("}"):
            matchers.append(_matcher(tokens))
            if tokens.is_punctuation(","):
                tokens.advance()
            elif not tokens.is_punctuation("}"):
                raise tokens.unexpected("label matching", '"," or "}"')
        tokens.advance()
    selector = VectorSelector(text, tuple(matchers), start, tokens.previous_end)
    if text:
        for matcher in matchers:
            if matcher.name == NAME:
                tokens.note(
                    start,
                    f"metric name must not be set twice: {go_quoted(text)} or "
                    f"{go_quoted(matcher.value)}",
                )
    elif all(matcher.matches_empty() for matcher in matchers):
        tokens.note(start, "vector selector must contain at least one non-empty matcher")
    return selector


def _matcher(tokens: TokenStream) -> Matcher:
    label = tokens.current
    if label.kind not in {Kind.IDENTIFIER, Kind.STRING}:
        raise tokens.unexpected("label matching", 'identifier or "}"')
    tokens.advance()
    name = unquoted(label.text) if label.kind is Kind.STRING else label.text
    if label.kind is Kind.STRING and (tokens.is_punctuation(",") or tokens.is_punctuation("}")):
        return Matcher(NAME, "=", name)
    operator = tokens.current
    if operator.kind is not Kind.OPERATOR:
        raise tokens.unexpected("label matching", "label matching operator")
    tokens.advance()
    value = tokens.current
    if value.kind is not Kind.STRING:
        raise tokens.unexpected("label matching", "string")
    tokens.advance()
    try:
        return Matcher(name, operator.text, unquoted(value.text))
    except InvalidRegexError as error:
        raise tokens.fail_at(label.start, str(error)) from None


def read_postfix(tokens: TokenStream, node: Expression) -> Expression:
    """``node`` with every range, offset and ``@`` that follows it."""
    has_offset = False
    while True:
        token = tokens.current
        if token.kind is Kind.PUNCTUATION and token.text == "[":
            node = _range(tokens, node, has_offset=has_offset)
            has_offset = False
        elif token.kind is Kind.KEYWORD and token.text.lower() == "offset":
            node = _offset(tokens, node, has_offset=has_offset)
            has_offset = True
        elif token.kind is Kind.OPERATOR and token.text == "@":
            node = _at(tokens, node)
        else:
            return node


def _range(tokens: TokenStream, node: Expression, *, has_offset: bool) -> Expression:
    bracket = tokens.advance()
    range_ms = duration_of(tokens, "subquery or range selector", is_positive=True)
    if tokens.is_punctuation(":"):
        tokens.advance()
        step_ms = None
        if not tokens.is_punctuation("]"):
            step_ms = duration_of(tokens, "subquery selector", is_positive=True)
        end = tokens.expect("]", "subquery selector", '"]"').end
        if node.type is not ValueType.VECTOR:
            tokens.note(
                node.start, f"subquery is only allowed on instant vector, got {node.type} instead"
            )
        return Subquery(node, range_ms, step_ms, end)
    end = tokens.expect("]", "subquery or range", '":" or "]"').end
    if not isinstance(node, VectorSelector):
        raise tokens.fail_at(bracket.start, "ranges only allowed for vector selectors")
    if has_offset:
        raise tokens.fail_at(bracket.start, "no offset modifiers allowed before range")
    if node.at is not None:
        raise tokens.fail_at(bracket.start, "no @ modifiers allowed before range")
    return MatrixSelector(node, range_ms, end)


def _offset(tokens: TokenStream, node: Expression, *, has_offset: bool) -> Expression:
    tokens.advance()
    sign = 1
    if tokens.current.kind is Kind.OPERATOR and tokens.current.text in "+-":
        sign = -1 if tokens.advance().text == "-" else 1
    offset_ms = sign * duration_of(tokens, "offset", is_positive=False)
    if has_offset:
        tokens.note(node.start, "offset may not be set multiple times")
    end = tokens.previous_end
    if isinstance(node, VectorSelector | Subquery):
        return replace(node, offset_ms=offset_ms, end=end)
    if isinstance(node, MatrixSelector):
        return replace(node, selector=replace(node.selector, offset_ms=offset_ms), end=end)
    raise tokens.fail_at(node.start, f"offset {_OFFSET_PLACE}")


def _at(tokens: TokenStream, node: Expression) -> Expression:
    tokens.advance()
    token = tokens.current
    if token.kind is Kind.PREPROCESSOR and token.text.lower() in {"start", "end"}:
        tokens.advance()
        tokens.expect("(", "@", "timestamp")
        tokens.expect(")", "@", "timestamp")
        at = At(edge=token.text.lower())
    else:
        at = At(timestamp_ms=_timestamp_ms(tokens, node))
    end = tokens.previous_end
    target = node.selector if isinstance(node, MatrixSelector) else node
    if not isinstance(target, VectorSelector | Subquery):
        raise tokens.fail_at(node.start, f"@ {_OFFSET_PLACE}")
    if target.at is not None:
        tokens.note(node.start, "@ <timestamp> may not be set multiple times")
    if isinstance(node, MatrixSelector):
        return replace(node, selector=replace(node.selector, at=at), end=end)
    return replace(target, at=at, end=end)


def _timestamp_ms(tokens: TokenStream, node: Expression) -> int:
    sign = 1.0
    if tokens.current.kind is Kind.OPERATOR and tokens.current.text in "+-":
        sign = -1.0 if tokens.advance().text == "-" else 1.0
    token = tokens.current
    if token.kind is Kind.NUMBER:
        tokens.advance()
        seconds = sign * parse_number(tokens, token)
    elif token.kind is Kind.DURATION:
        tokens.advance()
        seconds = sign * seconds_of(tokens, token)
    else:
        raise tokens.unexpected("@", "timestamp")
    if not math.isfinite(seconds) or abs(seconds * 1000) >= _MAX_TIMESTAMP_MS:
        raise tokens.fail_at(node.start, f"timestamp out of bounds for @ modifier: {seconds:f}")
    return math.floor(abs(seconds) * 1000 + 0.5) * (-1 if seconds < 0 else 1)
