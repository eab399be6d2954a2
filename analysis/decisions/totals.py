"""How many of what: the counts the process tells about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, func, select

from analysis.decisions.states import CanaryState, DecisionState, DeliveryState
from analysis.decisions.tables import canaries, decisions, outbox

#: The verdict behind a final state.
_VERDICTS: Mapping[str, str] = {
    "passed": "pass",
    "failed": "fail",
    "inconclusive": "inconclusive",
    "invalid": "invalid",
}


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts by state; every state is there, also with 0."""

    canaries: Mapping[str, int]
    decisions: Mapping[str, int]
    deliveries: Mapping[str, int]
    looks: int

    @property
    def pending(self) -> int:
        """Commands still to be delivered."""
        return self.deliveries["pending"]

    @property
    def verdicts(self) -> Mapping[str, int]:
        """Final verdicts by kind."""
        return {kind: self.canaries[state] for state, kind in _VERDICTS.items()}


def count(connection: Connection) -> Totals:
    """Read all counts in one view."""
    return Totals(
        canaries=_by_state(connection, canaries, CanaryState),
        decisions=_by_state(connection, decisions, DecisionState),
        deliveries=_by_state(connection, outbox, DeliveryState),
        looks=int(connection.scalar(select(func.sum(canaries.c.looks))) or 0),
    )


def _by_state(
    connection: Connection,
    table: Table,
    states: type[CanaryState | DecisionState | DeliveryState],
) -> dict[str, int]:
    column: Column[Any] = table.c.state
    rows = connection.execute(select(column, func.count()).group_by(column))
    return dict.fromkeys(map(str, states), 0) | {row[0]: row[1] for row in rows}
