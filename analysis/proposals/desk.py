"""Proposals, from outside: made, approved, withdrawn, listed; one transaction a method.

An approval and what it changes are one transaction, with rows of the audit log that name both
people. A process that dies between proposal and approval loses neither: both are in the ledger.
"""

from __future__ import annotations

import os
from typing import Any, Final

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from analysis.decisions.database import Transactions
from analysis.decisions.ids import ENTROPY_BYTES, new_id
from analysis.decisions.records import Event
from analysis.decisions.tables import proposals
from analysis.decisions.timeline import add_event
from analysis.errors import ConflictError, ForbiddenError, LedgerFullError, UnknownRecordError
from analysis.proposals.changes import Changes
from analysis.proposals.policy import (
    KEPT_S,
    MAX_OPEN,
    MAX_OPEN_PER_PERSON,
    Change,
    ChangeKind,
    Objection,
    Person,
    Proposal,
    ProposalState,
    Refusal,
    TwoPersons,
    refusal,
)
from telemetry.clock import Clock

_S: Final = 1_000_000_000


class ProposalDesk:
    """Of one ledger. Thread-safe; all raise LedgerUnavailableError."""

    def __init__(
        self, database: Transactions, clock: Clock, changes: Changes, two_persons: TwoPersons
    ) -> None:
        self._database = database
        self._clock = clock
        self._changes = changes
        self._two_persons = two_persons

    @property
    def is_required(self) -> bool:
        """Whether a change that loosens must be proposed."""
        return self._two_persons.is_required

    def propose(self, change: Change, by: Person, reason: str) -> Proposal:
        """It changes nothing. The same again by the same person is the same proposal.

        Raises UnknownRecordError, ConflictError (nothing to change, or somebody else has proposed
        it), BadRequestError, CorrectionError and LedgerFullError.
        """
        with self._database.write() as connection:
            return self._propose(connection, change, by, reason, self._clock.wall_unix_nano())

    def approve(self, proposal_id: str, by: Person, reason: str) -> Proposal:
        """Make the proposed change. Raises UnknownRecordError, ConflictError, ForbiddenError."""
        with self._database.write() as connection:
            now = self._clock.wall_unix_nano()
            proposal = _one(connection, proposal_id)
            _raise(self._refusal(connection, proposal, by, now))
            _end(connection, proposal_id, now, by, reason)
            change = proposal.change
            title = f"{by.words} approves what {proposal.by.words} proposed: {change.title}"
            _note(connection, "proposal_approved", proposal, by, (now, title, reason))
            self._changes.apply(connection, change, proposal.signed(by, reason), now)
            approved = _one(connection, proposal_id)
        self._changes.applied(change)
        return approved

    def withdraw(self, proposal_id: str, by: Person, reason: str) -> Proposal:
        """It cannot be approved any more; one person is enough. Raises as approve() does."""
        with self._database.write() as connection:
            now = self._clock.wall_unix_nano()
            proposal = _one(connection, proposal_id)
            state = proposal.state(now)
            if state is not ProposalState.OPEN:
                raise ConflictError(f"{proposal_id} is {state} already")
            _end(connection, proposal_id, now, None, "")
            title = f"{by.words} takes a proposal back: {proposal.change.title}"
            _note(connection, "proposal_withdrawn", proposal, by, (now, title, reason))
            return _one(connection, proposal_id)

    def one(self, proposal_id: str) -> Proposal:
        """Raises UnknownRecordError."""
        with self._database.read() as connection:
            return _one(connection, proposal_id)

    def listed(self, state: ProposalState | None, limit: int) -> list[Proposal]:
        """Newest first; None = of any state."""
        now = self._clock.wall_unix_nano()
        query = select(proposals).order_by(
            proposals.c.created_unix_nano.desc(), proposals.c.proposal_id.desc()
        )
        if state is not None:
            query = query.where(_is_in(state, now))
        with self._database.read() as connection:
            return [_read(row) for row in connection.execute(query.limit(limit))]

    def open_count(self) -> int:
        """How many wait for a second person."""
        now = self._clock.wall_unix_nano()
        query = select(func.count()).select_from(proposals)
        with self._database.read() as connection:
            return connection.scalar(query.where(_is_in(ProposalState.OPEN, now))) or 0

    def _propose(
        self, connection: Connection, change: Change, by: Person, reason: str, now: int
    ) -> Proposal:
        state = self._changes.state_sha256(connection, change, now)
        over = proposals.c.created_unix_nano < now - KEPT_S * _S
        connection.execute(delete(proposals).where(over))
        query = select(proposals).where(_is_in(ProposalState.OPEN, now))
        waiting = [_read(row) for row in connection.execute(query)]
        for other in waiting:
            if (other.change, other.state_sha256) != (change, state):
                continue
            if other.by.token == by.token:
                return other
            raise ConflictError(
                f"{other.by.words} has proposed this already: approve {other.proposal_id}"
            )
        _refuse_too_many(waiting, by)
        ends = now + round(self._two_persons.lifetime_s * _S)
        name = new_id("prp", now, os.urandom(ENTROPY_BYTES))
        made = Proposal(name, change, by, reason, state, now, ends)
        connection.execute(insert(proposals).values(**_row(made)))
        title = f"{by.words} proposes to {change.title}; another person approves {name}"
        _note(connection, "proposal", made, by, (now, title, reason))
        return made

    def _refusal(
        self, connection: Connection, proposal: Proposal, by: Person, now: int
    ) -> Refusal | None:
        # Who may not, and when it is over, comes before what it is about, which may be gone.
        found = refusal(proposal, by, proposal.state_sha256, now)
        if found is not None:
            return found
        try:
            state = self._changes.state_sha256(connection, proposal.change, now)
        except (UnknownRecordError, ConflictError) as error:
            return Refusal(Objection.CHANGED, f"{proposal.proposal_id}: {error}")
        return refusal(proposal, by, state, now)


def _raise(found: Refusal | None) -> None:
    if found is None:
        return
    if found.objection is Objection.SAME_PERSON:
        accepted = "a token of another name with the scope admin"
        raise ForbiddenError(found.text, accepted=accepted)
    raise ConflictError(found.text)


def _refuse_too_many(waiting: list[Proposal], by: Person) -> None:
    own = sum(one.by.token == by.token for one in waiting)
    for count, most, whose in (
        (len(waiting), MAX_OPEN, ""),
        (own, MAX_OPEN_PER_PERSON, f" of {by.token!r}"),
    ):
        if count >= most:
            raise LedgerFullError(f"{count} proposals{whose} wait for approval, at most {most}")


def _end(
    connection: Connection, proposal_id: str, now: int, approver: Person | None, reason: str
) -> None:
    connection.execute(
        update(proposals)
        .where(proposals.c.proposal_id == proposal_id)
        .values(
            ended_unix_nano=now,
            approver_token=None if approver is None else approver.token,
            approver_says=None if approver is None else approver.says,
            approval_reason=reason,
        )
    )


def _is_in(state: ProposalState, now: int) -> Any:
    """The rows of a state, as ``Proposal.state`` has it."""
    columns = proposals.c
    pending = columns.ended_unix_nano.is_(None)
    return {
        ProposalState.OPEN: and_(pending, columns.expires_unix_nano > now),
        ProposalState.EXPIRED: and_(pending, columns.expires_unix_nano <= now),
        ProposalState.APPROVED: columns.approver_token.is_not(None),
        ProposalState.WITHDRAWN: and_(
            columns.ended_unix_nano.is_not(None), columns.approver_token.is_(None)
        ),
    }[state]


def _one(connection: Connection, proposal_id: str) -> Proposal:
    query = select(proposals).where(proposals.c.proposal_id == proposal_id)
    row = connection.execute(query).first()
    if row is None:
        raise UnknownRecordError(f"no proposal {proposal_id!r}")
    return _read(row)


def _note(
    connection: Connection, kind: str, about: Proposal, by: Person, words: tuple[int, str, str]
) -> None:
    now, title, reason = words
    change = about.change
    service = "" if change.service == "*" else change.service
    named = {"proposal_id": about.proposal_id, "environment": change.environment}
    add_event(connection, Event(now, kind, service, None, title, reason, named), by.actor)


def _row(one: Proposal) -> dict[str, Any]:
    return {
        "proposal_id": one.proposal_id,
        "kind": str(one.change.kind),
        "environment": one.change.environment,
        "service": one.change.service,
        "what": one.change.what,
        "state_sha256": one.state_sha256,
        "proposer_token": one.by.token,
        "proposer_says": one.by.says,
        "reason": one.reason,
        "created_unix_nano": one.created_unix_nano,
        "expires_unix_nano": one.expires_unix_nano,
        "approval_reason": "",
    }


def _read(row: Row[Any]) -> Proposal:
    approver = None
    if row.approver_token is not None:
        approver = Person(row.approver_token, row.approver_says)
    return Proposal(
        proposal_id=row.proposal_id,
        change=Change(ChangeKind(row.kind), row.environment, row.service, row.what),
        by=Person(row.proposer_token, row.proposer_says),
        reason=row.reason,
        state_sha256=row.state_sha256,
        created_unix_nano=row.created_unix_nano,
        expires_unix_nano=row.expires_unix_nano,
        approved_by=approver,
        approval_reason=row.approval_reason,
        ended_unix_nano=row.ended_unix_nano,
    )
