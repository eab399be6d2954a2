"""Rows of decisions: made once, with their outbox row, then only reported on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, insert, select, update

from analysis.decisions.records import Decision, Event
from analysis.decisions.states import (
    Action,
    DecisionState,
    can_move_decision,
    move_decision,
)
from analysis.decisions.tables import decision_history, decisions, lanes
from analysis.decisions.timeline import add_event
from analysis.errors import ConflictError, UnknownRecordError

#: Longest detail of a report that is kept.
MAX_DETAIL_CHARS: Final = 500

_DAY_NS: Final = 86_400 * 1_000_000_000

#: Decisions somebody may be acting on.
AWAITING: Final = (
    DecisionState.REQUESTED,
    DecisionState.ACKNOWLEDGED,
    DecisionState.COMPLETED,
)


def sha256_text(text: str) -> str:
    """Hex digest of canonical JSON."""
    return hashlib.sha256(text.encode()).hexdigest()


def next_sequence(connection: Connection, lane: str) -> int:
    """One more than the lane's last, starting with 1. Rolled back with its transaction."""
    query = select(lanes.c.sequence).where(lanes.c.lane == lane).with_for_update()
    last = connection.scalar(query)
    if last is None:
        connection.execute(insert(lanes).values(lane=lane, sequence=1))
        return 1
    connection.execute(update(lanes).where(lanes.c.lane == lane).values(sequence=last + 1))
    return int(last) + 1


def insert_decision(connection: Connection, decision: Decision) -> None:
    """Store a new decision with its history."""
    row = {field: getattr(decision, field) for field in _FIELDS}
    row |= {"action": str(decision.action), "state": str(decision.state), "lane": decision.lane}
    connection.execute(insert(decisions).values(row))
    for at, what in decision.history:
        add_history(connection, decision.decision_id, at, what)


def load(connection: Connection, decision_id: str) -> Decision:
    """One decision. Raises UnknownRecordError."""
    found = _read(connection, select(decisions).where(decisions.c.decision_id == decision_id))
    if not found:
        raise UnknownRecordError(f"no decision {decision_id!r}")
    return found[0]


def list_decisions(connection: Connection, limit: int) -> list[Decision]:
    """Newest first."""
    order = (decisions.c.created_unix_nano.desc(), decisions.c.decision_id.desc())
    return _read(connection, select(decisions).order_by(*order).limit(limit))


def delivered_since(connection: Connection, action: Action, unix_nano: int) -> list[Decision]:
    """Decisions of one action delivered after a moment, made at most a day before; in no order."""
    query = select(decisions).where(
        # Of what was made lately, which has an index; asked for every few seconds.
        decisions.c.created_unix_nano > unix_nano - _DAY_NS,
        decisions.c.action == str(action),
        decisions.c.delivered_unix_nano > unix_nano,
    )
    return _read(connection, query)


def of_deployments(connection: Connection, deployment_ids: Sequence[str]) -> dict[str, Decision]:
    """The decisions about these canaries."""
    wanted = decisions.c.deployment_id.in_(list(deployment_ids))
    return {d.deployment_id: d for d in _read(connection, select(decisions).where(wanted))}


def awaiting_confirmation(connection: Connection) -> list[Decision]:
    """Delivered or reported on, not yet confirmed nor given up; oldest first."""
    query = select(decisions).where(
        decisions.c.state.in_([str(state) for state in AWAITING]),
        decisions.c.delivered_unix_nano.is_not(None)
        | decisions.c.acknowledged_unix_nano.is_not(None)
        | decisions.c.completed_unix_nano.is_not(None),
    )
    return _read(connection, query.order_by(decisions.c.created_unix_nano))


def report(
    connection: Connection,
    decision_id: str,
    status: DecisionState,
    claimed_unix_nano: int,
    detail: str,
    now: int,
) -> Decision:
    """Take a receiver's report. The same again changes nothing; an older one only fills its time.

    The receiver's clock is believed between the decision and now. Raises UnknownRecordError,
    ConflictError (nobody was commanded).
    """
    decision = load(connection, decision_id)
    unix_nano = max(decision.created_unix_nano, min(claimed_unix_nano, now))
    if decision.state is DecisionState.ADVISED:
        raise ConflictError(f"{decision_id} was advice; no command was sent that could be done")
    column = f"{status}_unix_nano"
    if getattr(decision, column) is not None:
        return decision
    values: dict[str, Any] = {column: unix_nano}
    if can_move_decision(decision.state, status):
        values["state"] = str(status)
    _update(connection, decision_id, values)
    what = f"{status}: {detail}" if detail else str(status)
    add_history(connection, decision_id, unix_nano, what)
    _note(
        connection,
        decision,
        unix_nano,
        str(status),
        f"Receiver: {decision.action} {status}",
        detail,
    )
    return load(connection, decision_id)


def move(
    connection: Connection, decision_id: str, wanted: DecisionState, unix_nano: int, detail: str
) -> Decision:
    """Move to ``wanted``; already there changes nothing. Raises IllegalMoveError."""
    decision = load(connection, decision_id)
    if decision.state is wanted:
        return decision
    values: dict[str, Any] = {"state": str(move_decision(decision_id, decision.state, wanted))}
    if wanted is DecisionState.CONFIRMED:
        values["confirmed_unix_nano"] = unix_nano
    _update(connection, decision_id, values)
    add_history(connection, decision_id, unix_nano, f"{wanted}: {detail}")
    _note(connection, decision, unix_nano, str(wanted), f"{_word(decision)} {wanted}", detail)
    return load(connection, decision_id)


def mark_delivered(connection: Connection, decision_id: str, unix_nano: int, detail: str) -> None:
    """Note the first accepted delivery; the state waits for the receiver's own word."""
    decision = load(connection, decision_id)
    if decision.delivered_unix_nano is not None:
        return
    _update(connection, decision_id, {"delivered_unix_nano": unix_nano})
    add_history(connection, decision_id, unix_nano, f"delivered: {detail}")
    _note(connection, decision, unix_nano, "delivered", f"{_word(decision)} delivered", detail)


def add_history(connection: Connection, decision_id: str, unix_nano: int, what: str) -> None:
    """Append one line to what became of a decision."""
    connection.execute(
        insert(decision_history).values(
            decision_id=decision_id, unix_nano=unix_nano, what=what[:MAX_DETAIL_CHARS]
        )
    )


def _word(decision: Decision) -> str:
    return str(decision.action).capitalize()


def _note(
    connection: Connection, decision: Decision, unix_nano: int, kind: str, title: str, detail: str
) -> None:
    event = Event(unix_nano, kind, decision.service, decision.deployment_id, title, detail)
    add_event(connection, event)


def _update(connection: Connection, decision_id: str, values: dict[str, Any]) -> None:
    same = decisions.c.decision_id == decision_id
    connection.execute(update(decisions).where(same).values(values))


#: Columns that carry the name of their field in Decision.
_FIELDS: Final = (
    "decision_id",
    "deployment_id",
    "environment",
    "service",
    "action",
    "mode",
    "sequence",
    "state",
    "verdict",
    "summary",
    "culprit_metric",
    "culprit_split",
    "evidence_sha256",
    "rule_sha256",
    "supersedes",
    "created_unix_nano",
    "expires_unix_nano",
    "delivered_unix_nano",
    "acknowledged_unix_nano",
    "completed_unix_nano",
    "confirmed_unix_nano",
)


def _read(connection: Connection, query: Select[Any]) -> list[Decision]:
    rows = connection.execute(query).all()
    histories: dict[str, list[tuple[int, str]]] = {row.decision_id: [] for row in rows}
    lines = (
        select(decision_history)
        .where(decision_history.c.decision_id.in_(list(histories)))
        .order_by(decision_history.c.unix_nano, decision_history.c.id)
    )
    for line in connection.execute(lines):
        histories[line.decision_id].append((line.unix_nano, line.what))
    found = []
    for row in rows:
        values = {field: getattr(row, field) for field in _FIELDS}
        values["action"] = Action(row.action)
        values["state"] = DecisionState(row.state)
        found.append(Decision(**values, history=tuple(histories[row.decision_id])))
    return found
