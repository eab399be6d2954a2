"""PromQL as text: whether it is PromQL, where it stops being so, one spelling for equal queries.

Parsing is promql-parser's (the grammar of Prometheus); evaluating is not done here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import promql_parser

#: Characters of one expression; generated rules have some hundreds.
EXPRESSION_CHARS_MAX: Final = 65_536
_MATCH_OPS: Final = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.Re": "=~",
    "MatchOp.NotRe": "!~",
}
#: One to one and many to many are what the operator implies.
_CARDINALITIES: Final = {
    "VectorMatchCardinality.ManyToOne": "group_left",
    "VectorMatchCardinality.OneToMany": "group_right",
}
_IN_BRACES: Final = re.compile(r"unexpected character inside braces: '(?P<what>.+)'", re.DOTALL)
_ANYWHERE: Final = re.compile(r"unexpected character: '(?P<what>.+)'", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PromqlProblem:
    """Why a text is no PromQL. Line and column count from 1; both 0 if nobody can say."""

    message: str
    line: int
    column: int

    def __str__(self) -> str:
        where = f"{self.line}:{self.column}: " if self.line else ""
        return f"{where}parse error: {self.message}"


def problem_of(expression: str) -> PromqlProblem | None:
    """What is wrong with an expression; None if it is PromQL."""
    if len(expression) > EXPRESSION_CHARS_MAX:
        return PromqlProblem(f"longer than {EXPRESSION_CHARS_MAX} characters", 0, 0)
    try:
        promql_parser.parse(expression)
    except ValueError as error:
        message = re.sub(r"(unterminated quoted string).*", r"\1", str(error), flags=re.DOTALL)
        offset = _offset(expression, message)
        if offset is None:
            return PromqlProblem(message, 0, 0)
        before = expression[:offset]
        return PromqlProblem(message, before.count("\n") + 1, offset - before.rfind("\n"))
    return None


def _offset(expression: str, message: str) -> int | None:
    """Where the lexer stopped: the first place, read from the left, that fits what it says."""
    inside, outside = _IN_BRACES.fullmatch(message), _ANYWHERE.fullmatch(message)
    depth, at = 0, 0
    while at < len(expression):
        char = expression[at]
        if char in "\"'`":
            end = _string_end(expression, at)
            if end is None:
                return at if message == "unterminated quoted string" else None
            at = end
            continue
        if (inside and depth and char == inside["what"]) or (outside and char == outside["what"]):
            return at
        depth += (char == "{") - (char == "}")
        at += 1
    return len(expression) if message.startswith("unexpected end of input") else None


def _string_end(expression: str, start: int) -> int | None:
    quote, at = expression[start], start + 1
    while at < len(expression):
        if expression[at] == quote:
            return at + 1
        at += 2 if expression[at] == "\\" and quote != "`" else 1
    return None


def normalised(expression: str) -> str:
    """One spelling for expressions that differ in spaces, brackets and the order of names only.

    A text that is no PromQL (some dialects add functions) is compared with single spaces.
    """
    try:
        return _spell(promql_parser.parse(expression))
    except ValueError:
        return " ".join(expression.split())


def selector_of(expression: str) -> tuple[str, tuple[tuple[str, str, str], ...]] | None:
    """Metric name and matchers (name, operator, value) of a plain selector, else None.

    Raises ValueError if it is no PromQL.
    """
    parsed: Any = promql_parser.parse(expression)
    if not isinstance(parsed, promql_parser.VectorSelector):
        return None
    matchers = tuple(
        (one.name, _MATCH_OPS[str(one.op)], one.value) for one in parsed.matchers.matchers
    )
    return parsed.name or "", matchers


def _spell(node: Any) -> str:  # one case per kind of node
    if isinstance(node, promql_parser.ParenExpr):
        return _spell(node.expr)
    if isinstance(node, promql_parser.NumberLiteral):
        return repr(float(node.val))
    if isinstance(node, promql_parser.StringLiteral):
        return repr(node.val)
    if isinstance(node, promql_parser.VectorSelector):
        return _selector(node, "")
    if isinstance(node, promql_parser.MatrixSelector):
        return _selector(node.vector_selector, f"[{_seconds(node.range)}]")
    if isinstance(node, promql_parser.SubqueryExpr):
        span = f"[{_seconds(node.range)}:{_seconds(node.step)}]"
        return f"({_spell(node.expr)}){span}{_shift(node)}"
    if isinstance(node, promql_parser.Call):
        return f"{node.func.name}({','.join(_spell(one) for one in node.args)})"
    if isinstance(node, promql_parser.UnaryExpr):
        return f"-({_spell(node.expr)})"
    if isinstance(node, promql_parser.AggregateExpr):
        return _aggregation(node)
    return f"({_spell(node.lhs)} {_operator(node)} {_spell(node.rhs)})"


def _selector(node: Any, window: str) -> str:
    matchers = [f"{m.name}{_MATCH_OPS[str(m.op)]}{m.value!r}" for m in node.matchers.matchers]
    alternatives = [
        "|" + ",".join(sorted(f"{m.name}{_MATCH_OPS[str(m.op)]}{m.value!r}" for m in group))
        for group in node.matchers.or_matchers
    ]
    return f"{node.name or ''}{{{','.join(sorted(matchers) + alternatives)}}}{window}{_shift(node)}"


def _shift(node: Any) -> str:
    at = "" if node.at is None else f" {node.at}"
    offset = "" if node.offset is None else f" offset {_seconds(node.offset)}"
    return at + offset


def _aggregation(node: Any) -> str:
    grouping = ""
    if node.modifier is not None:
        word = "by" if node.modifier.type == promql_parser.AggModifierType.By else "without"
        labels = sorted(set(node.modifier.labels))
        # Aggregating by nothing is what no modifier means.
        grouping = f" {word}({','.join(labels)})" if labels or word == "without" else ""
    param = "" if node.param is None else f"{_spell(node.param)},"
    return f"{node.op}{grouping}({param}{_spell(node.expr)})"


def _operator(node: Any) -> str:
    modifier = node.modifier
    text = str(node.op)
    if modifier is None:
        return text
    if modifier.return_bool:
        text += " bool"
    if modifier.matching is not None:
        is_on = modifier.matching.type == promql_parser.LabelModifierType.Include
        labels = ",".join(sorted(modifier.matching.labels))
        if is_on or labels:
            text += f" {'on' if is_on else 'ignoring'}({labels})"
    cardinality = _CARDINALITIES.get(str(modifier.card))
    if cardinality:
        text += f" {cardinality}({','.join(sorted(modifier.group_labels or ()))})"
    return text


def _seconds(duration: timedelta | None) -> str:
    if duration is None:
        return ""
    return f"{duration.total_seconds():g}s"
