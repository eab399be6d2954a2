"""Which parts of an expression have the same value at every step, and so are evaluated once.

That is so where every selector is pinned by ``@`` and no function asks for the time of the step.
"""

from __future__ import annotations

from typing import Final

from collector.promql.nodes import (
    Call,
    Expression,
    Number,
    String,
    Subquery,
    VectorSelector,
    children,
)

__all__ = ["invariant_nodes"]

#: Functions that look at the step's own time.
_TIME_DEPENDENT: Final = frozenset(
    {
        "days_in_month", "day_of_month", "day_of_week", "day_of_year", "hour", "minute", "month",
        "year", "predict_linear", "time", "timestamp",
    }
)  # fmt: skip


def invariant_nodes(root: Expression) -> frozenset[int]:
    """``id`` of every node of the tree that does not change from step to step."""
    ordered: list[Expression] = []
    waiting = [root]
    while waiting:  # a chain of operators is deeper than the interpreter's stack
        node = waiting.pop()
        ordered.append(node)
        waiting.extend(children(node))
    found: set[int] = set()
    for node in reversed(ordered):
        if _is_invariant(node, found):
            found.add(id(node))
    return frozenset(found)


def _is_invariant(node: Expression, found: set[int]) -> bool:
    if isinstance(node, Number | String):
        return True
    if isinstance(node, VectorSelector | Subquery):
        return node.at is not None
    if isinstance(node, Call) and node.function.name in _TIME_DEPENDENT:
        return False
    return all(id(child) in found for child in children(node))
