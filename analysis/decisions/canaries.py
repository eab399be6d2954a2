"""Rows of canaries: declarations, states, looks, and what a killed judge needs to go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from analysis.decisions import commands
from analysis.decisions.records import CanaryRecord, Declaration, Event
from analysis.decisions.states import TERMINAL_CANARY_STATES, CanaryState, move_canary
from analysis.decisions.tables import canaries, judge_states, looks
from analysis.decisions.timeline import add_event, dumps
from analysis.errors import ConflictError, LedgerFullError, UnknownRecordError

#: Canaries that may be open at once; one more declaration is refused with 429.
MAX_OPEN_CANARIES: Final = 64

#: Canaries beyond the limit that are looked after with every declaration.
THINNED_AT_ONCE: Final = 8
#: Ended canaries whose every look is kept; of older ones the last look stays, which the decision's
#: digest covers. A canary has a few hundred looks of about 10 kB.
MAX_CANARIES_WITH_LOOKS: Final = 200

_OPEN: Final = [str(state) for state in CanaryState if state not in TERMINAL_CANARY_STATES]


@dataclass(frozen=True, slots=True)
class JudgedLook:
    """One look as it is stored: its JSON, the judge's new state, the canary's new state.

    Without ``look`` the state changes for a reason outside the evidence (``verdict`` says which).
    """

    look: Mapping[str, Any] | None
    judge_state: Mapping[str, Any] | None
    next_state: CanaryState
    verdict: Mapping[str, Any] | None
    #: What the judge was given (:mod:`analysis.canary.tape`).
    tape: bytes | None = None


def declare(connection: Connection, declaration: Declaration, now: int) -> bool:
    """Store a declaration; False when this very one is known. Raises ConflictError."""
    text = dumps(declaration.to_json())
    query = select(canaries.c.declaration_json).where(
        canaries.c.deployment_id == declaration.deployment_id
    )
    stored = connection.scalar(query)
    if stored is not None:
        if stored != text:
            raise ConflictError(f"{declaration.deployment_id} was declared with other content")
        return False
    is_open = canaries.c.state.in_(_OPEN)
    count = connection.scalar(select(func.count()).select_from(canaries).where(is_open))
    if (count or 0) >= MAX_OPEN_CANARIES:
        raise LedgerFullError(f"{count} canaries are open, at most {MAX_OPEN_CANARIES}")
    connection.execute(
        insert(canaries).values(
            deployment_id=declaration.deployment_id,
            environment=declaration.environment,
            service=declaration.service,
            declaration_json=text,
            declared_unix_nano=now,
            state=str(CanaryState.DECLARED),
            reason="declared",
            summary="Declared; nothing has been looked at yet.",
            looks=0,
        )
    )
    _thin_looks(connection)
    title = f"Canary of {declaration.service} {declaration.canary.version} declared"
    detail = f"against {declaration.baseline.version}, {declaration.environment}"
    _note(connection, declaration, now, "canary_declared", title, detail)
    return True


def load(connection: Connection, deployment_id: str) -> CanaryRecord:
    """One canary. Raises UnknownRecordError."""
    query = _query().where(canaries.c.deployment_id == deployment_id)
    found = _records(connection, query)
    if not found:
        raise UnknownRecordError(f"no canary {deployment_id!r}")
    return found[0]


def list_canaries(
    connection: Connection, state: CanaryState | None, limit: int
) -> list[CanaryRecord]:
    """Newest first."""
    query = _query().order_by(canaries.c.declared_unix_nano.desc(), canaries.c.deployment_id.desc())
    if state is not None:
        query = query.where(canaries.c.state == str(state))
    return _records(connection, query.limit(limit))


def list_open(connection: Connection) -> list[CanaryRecord]:
    """Canaries whose state is not final, oldest first."""
    query = _query().where(canaries.c.state.in_(_OPEN))
    return _records(connection, query.order_by(canaries.c.declared_unix_nano))


def start_judging(
    connection: Connection, deployment_id: str, config_text: str, rule_digest: str, now: int
) -> None:
    """Fix the rule a canary is judged by. The same rule again is no news; another is refused."""
    record = load(connection, deployment_id)
    if record.rule_digest:
        if record.rule_digest != rule_digest:
            raise ConflictError(f"{deployment_id} is judged by rule {record.rule_digest}")
        return
    connection.execute(
        insert(judge_states).values(
            deployment_id=deployment_id,
            config_text=config_text,
            rule_digest=rule_digest,
            saved_unix_nano=now,
        )
    )
    if record.state is CanaryState.DECLARED:
        _set_state(connection, record, CanaryState.WARMING, now)


def judge_state(connection: Connection, deployment_id: str) -> dict[str, Any] | None:
    """The newest saved state of the judge, or None before its first look."""
    query = select(judge_states.c.state_json).where(judge_states.c.deployment_id == deployment_id)
    text = connection.scalar(query)
    return None if text is None else orjson.loads(text)


def add_look(connection: Connection, deployment_id: str, step: JudgedLook, now: int) -> str:
    """Store one look and its consequences for the canary; returns the look's SHA-256.

    Raises IllegalMoveError (the state is final, or goes back) and ConflictError (a look of this
    index is stored).
    """
    record = load(connection, deployment_id)
    if record.is_over:
        # Raises: a canary is judged once, whatever comes later.
        move_canary(deployment_id, record.state, step.next_state)
    digest = _insert_look(connection, deployment_id, step)
    if step.judge_state is not None:
        connection.execute(
            update(judge_states)
            .where(judge_states.c.deployment_id == deployment_id)
            .values(state_json=dumps(step.judge_state), saved_unix_nano=now)
        )
    verdict = step.verdict
    reason = str((verdict or step.look or {}).get("reason", record.reason))
    summary = str((verdict or step.look or {}).get("summary", record.summary))
    connection.execute(
        update(canaries)
        .where(canaries.c.deployment_id == deployment_id)
        .values(
            reason=reason,
            summary=summary,
            looks=record.looks + (step.look is not None),
            verdict_json=None if verdict is None else dumps(verdict),
        )
    )
    if verdict is not None and not verdict["final"] and reason != record.reason:
        title = f"Canary on hold: {verdict['kind']}, {reason}"
        _note(connection, record.declaration, now, "hold", title, summary)
    if step.next_state is not record.state:
        _set_state(connection, record, step.next_state, now)
    return digest


def list_looks(
    connection: Connection, deployment_id: str, after_index: int, limit: int
) -> list[dict[str, Any]]:
    """Looks with an index above ``after_index``, oldest first. Raises UnknownRecordError."""
    load(connection, deployment_id)
    query = (
        select(looks.c.look_json)
        .where(looks.c.deployment_id == deployment_id, looks.c.look_index > after_index)
        .order_by(looks.c.look_index)
        .limit(limit)
    )
    return [orjson.loads(text) for text in connection.scalars(query)]


def last_look(connection: Connection, deployment_id: str) -> dict[str, Any] | None:
    """The newest look."""
    query = (
        select(looks.c.look_json)
        .where(looks.c.deployment_id == deployment_id)
        .order_by(looks.c.look_index.desc())
        .limit(1)
    )
    text = connection.scalar(query)
    return None if text is None else orjson.loads(text)


def _insert_look(connection: Connection, deployment_id: str, step: JudgedLook) -> str:
    if step.look is None:
        return commands.sha256_text(dumps(step.verdict))
    text = dumps(step.look)
    index = int(step.look["index"])
    known = select(looks.c.look_index).where(
        looks.c.deployment_id == deployment_id, looks.c.look_index == index
    )
    if connection.scalar(known) is not None:
        raise ConflictError(f"look {index} of {deployment_id} is stored")
    connection.execute(
        insert(looks).values(
            deployment_id=deployment_id,
            look_index=index,
            unix_nano=int(step.look["unix_nano"]),
            look_json=text,
            tape=step.tape,
        )
    )
    return commands.sha256_text(text)


def taped_looks(connection: Connection, deployment_id: str) -> list[tuple[int, str, bytes | None]]:
    """Index, JSON and tape of every look that is kept, oldest first. Raises UnknownRecordError."""
    load(connection, deployment_id)
    query = (
        select(looks.c.look_index, looks.c.look_json, looks.c.tape)
        .where(looks.c.deployment_id == deployment_id)
        .order_by(looks.c.look_index)
    )
    return [(int(index), str(text), tape) for index, text, tape in connection.execute(query)]


def _thin_looks(connection: Connection) -> None:
    """Of ended canaries beyond the limit keep only the last look; each passes by here 8 times."""
    query = (
        select(canaries.c.deployment_id)
        .order_by(canaries.c.declared_unix_nano.desc(), canaries.c.deployment_id.desc())
        .offset(MAX_CANARIES_WITH_LOOKS)
        .limit(THINNED_AT_ONCE)
    )
    is_over = canaries.c.state.in_([str(state) for state in TERMINAL_CANARY_STATES])
    for deployment_id in connection.scalars(query.where(is_over)).all():
        of_canary = looks.c.deployment_id == deployment_id
        last = connection.scalar(select(func.max(looks.c.look_index)).where(of_canary))
        connection.execute(delete(looks).where(of_canary, looks.c.look_index < last))


def _set_state(connection: Connection, record: CanaryRecord, wanted: CanaryState, now: int) -> None:
    state = move_canary(record.deployment_id, record.state, wanted)
    connection.execute(
        update(canaries)
        .where(canaries.c.deployment_id == record.deployment_id)
        .values(state=str(state))
    )
    if state not in TERMINAL_CANARY_STATES:
        _note(connection, record.declaration, now, "canary_state", f"Canary is {state}", "")


def _note(
    connection: Connection, declaration: Declaration, now: int, kind: str, title: str, detail: str
) -> None:
    event = Event(now, kind, declaration.service, declaration.deployment_id, title, detail)
    add_event(connection, event)


def _query() -> Select[Any]:
    return select(canaries, judge_states.c.config_text, judge_states.c.rule_digest).outerjoin(
        judge_states, judge_states.c.deployment_id == canaries.c.deployment_id
    )


def _records(connection: Connection, query: Select[Any]) -> list[CanaryRecord]:
    rows: Sequence[Row[Any]] = connection.execute(query).all()
    found = commands.of_deployments(connection, [row.deployment_id for row in rows])
    return [
        CanaryRecord(
            declaration=Declaration.from_json(orjson.loads(row.declaration_json)),
            declared_unix_nano=row.declared_unix_nano,
            state=CanaryState(row.state),
            reason=row.reason,
            summary=row.summary,
            looks=row.looks,
            verdict=None if row.verdict_json is None else orjson.loads(row.verdict_json),
            config_text=row.config_text or "",
            rule_digest=row.rule_digest or "",
            decision=found.get(row.deployment_id),
        )
        for row in rows
    ]
