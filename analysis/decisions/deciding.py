"""One decision, committed: guards asked, sequence taken, body rendered, row in the outbox."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from analysis.decisions import commands, guard_store, outbox
from analysis.decisions.guard_store import Guarding
from analysis.decisions.guards import Guard, Wish
from analysis.decisions.ids import ENTROPY_BYTES, new_id
from analysis.decisions.records import CanaryRecord, Decision, DecisionDraft, Event
from analysis.decisions.states import DecisionState
from analysis.decisions.timeline import add_event
from analysis.errors import ConflictError
from analysis.webhooks.events import Addressing, render


def decide(
    connection: Connection,
    record: CanaryRecord,
    draft: DecisionDraft,
    evidence_sha256: str,
    now_unix_nano: int,
    addressing: Addressing | None,
    guarding: Guarding | None,
) -> Decision:
    """Store what policy chose; a command that a guard holds becomes advice. Raises ConflictError.

    Advice takes nothing off the queue: only a command supersedes a command.
    """
    declaration, lane = record.declaration, record.declaration.lane
    created = now_unix_nano // 1000 * 1000  # microseconds, as in the body
    if draft.mode == "act" and guarding is not None:
        draft = _guarded(connection, record, draft, guarding, now_unix_nano)
    is_command = draft.mode == "act"
    if is_command and addressing is None:
        raise ConflictError("no receiver is configured; a command cannot be committed")
    lifetime_s = addressing.decision_lifetime_s if addressing else 0.0
    decision_id = new_id("dec", created, os.urandom(ENTROPY_BYTES))
    supersedes = outbox.supersede(connection, lane, decision_id, created) if is_command else None
    state = DecisionState.REQUESTED if is_command else DecisionState.ADVISED
    decision = Decision(
        decision_id=decision_id,
        deployment_id=record.deployment_id,
        environment=declaration.environment,
        service=declaration.service,
        action=draft.action,
        mode=draft.mode,
        sequence=commands.next_sequence(connection, lane),
        state=state,
        verdict=draft.verdict,
        summary=draft.summary,
        culprit_metric=draft.culprit_metric,
        culprit_split=draft.culprit_split,
        evidence_sha256=evidence_sha256,
        rule_sha256=record.rule_digest,
        supersedes=supersedes,
        created_unix_nano=created,
        expires_unix_nano=created + round(lifetime_s * 1e6) * 1000,
        delivered_unix_nano=None,
        acknowledged_unix_nano=None,
        completed_unix_nano=None,
        confirmed_unix_nano=None,
        history=((created, f"{state}: {draft.action}"),),
    )
    commands.insert_decision(connection, decision)
    word = "Decided" if is_command else "Advice"
    title = f"{word}: {draft.action} of {declaration.service} {declaration.canary.version}"
    about = {"action": str(draft.action)}
    _note(connection, record, now_unix_nano, "decision", title, draft.summary, about)
    if addressing is not None and is_command:
        webhook_id = new_id("msg", created, os.urandom(ENTROPY_BYTES))
        to = addressing.of(lane)
        body = render(decision, declaration, to)
        outbox.enqueue(connection, webhook_id, decision, body, to)
        if guarding is not None:
            guard_store.committed(connection, decision, declaration, now_unix_nano)
    return decision


def _guarded(
    connection: Connection,
    record: CanaryRecord,
    draft: DecisionDraft,
    guarding: Guarding,
    now: int,
) -> DecisionDraft:
    declaration = record.declaration
    wish = Wish(
        action=draft.action,
        environment=declaration.environment,
        service=declaration.service,
        digest=declaration.canary.digest,
        target_digest=declaration.baseline.digest,
        looks=record.looks,
    )
    found = guarding.refusals(connection, wish, now)
    if not found:
        return draft
    why = " ".join(refusal.text for refusal in found)
    names = ", ".join(refusal.guard for refusal in found)
    title = f"Held for people: {draft.action} of {declaration.service} ({names})"
    _note(connection, record, now, "guard_held", title, why)
    for refusal in found:
        if refusal.guard is Guard.STORM:
            guard_store.hold_storm(connection, refusal.text, now)
    return replace(draft, mode="advise", summary=f"{draft.summary} Held: {why}")


def _note(
    connection: Connection,
    record: CanaryRecord,
    now: int,
    kind: str,
    title: str,
    detail: str,
    about: Mapping[str, Any] | None = None,
) -> None:
    service = record.declaration.service
    add_event(connection, Event(now, kind, service, record.deployment_id, title, detail, about))
