"""What may stand between a binary operator and its right side: bool, on, group_left, fill, ..."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from collector.promql.lexer import Kind
from collector.promql.nodes import Cardinality, VectorMatching
from collector.promql.numbers import parse_number
from collector.promql.tokens import TokenStream

__all__ = ["NO_MODIFIERS", "BinaryModifiers", "read_binary_modifiers"]


@dataclass(frozen=True, slots=True)
class BinaryModifiers:
    """``has_matching``: some word about matching was written."""

    is_bool: bool = False
    has_matching: bool = False
    matching: VectorMatching = field(default_factory=VectorMatching)


NO_MODIFIERS: Final = BinaryModifiers()


def read_binary_modifiers(tokens: TokenStream) -> BinaryModifiers:
    """Take the modifiers that stand here, in the grammar's order."""
    if tokens.current.kind is not Kind.KEYWORD:
        return NO_MODIFIERS
    is_bool = False
    matching = VectorMatching()
    has_matching = False
    if _word(tokens) == "bool":
        tokens.advance()
        is_bool = True
    if _word(tokens) in {"on", "ignoring"}:
        is_on = tokens.advance().text.lower() == "on"
        matching = replace(matching, is_on=is_on, labels=tokens.read_labels())
        has_matching = True
        if _word(tokens) in {"group_left", "group_right"}:
            is_left = tokens.advance().text.lower() == "group_left"
            include = tokens.read_labels() if tokens.is_punctuation("(") else ()
            cardinality = Cardinality.MANY_TO_ONE if is_left else Cardinality.ONE_TO_MANY
            matching = replace(matching, cardinality=cardinality, include=include)
    while _word(tokens) in {"fill", "fill_left", "fill_right"}:
        side = tokens.advance().text.lower()
        value = _fill_value(tokens)
        has_matching = True
        if side != "fill_right":
            matching = replace(matching, fill_left=value)
        if side != "fill_left":
            matching = replace(matching, fill_right=value)
    return BinaryModifiers(is_bool, has_matching, matching)


def _word(tokens: TokenStream) -> str:
    return tokens.current.text.lower() if tokens.current.kind is Kind.KEYWORD else ""


def _fill_value(tokens: TokenStream) -> float:
    tokens.expect("(", "fill modifier", '"("')
    sign = 1.0
    if tokens.current.kind is Kind.OPERATOR and tokens.current.text in "+-":
        sign = -1.0 if tokens.advance().text == "-" else 1.0
    token = tokens.current
    if token.kind is not Kind.NUMBER:
        raise tokens.unexpected("fill modifier", "number")
    tokens.advance()
    value = sign * parse_number(tokens, token)
    tokens.expect(")", "fill modifier", '")"')
    return value
