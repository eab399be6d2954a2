"""Who may make a proposed change, and until when: pure rules.

A person is the token that was shown. Names inside a body are only words: whoever holds one token
can say any of them, so they never make two people out of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

from analysis.decisions.records import Signed
from collector.access.desk import OWNER, Caller

#: Proposals that wait at once, all together and of one person; one more is refused.
MAX_OPEN: Final = 100
MAX_OPEN_PER_PERSON: Final = 20
#: Those that are over are forgotten then; the audit log keeps them.
KEPT_S: Final = 90 * 86_400
#: What rows have room for: one person of the audit log, two people, and what both said.
MAX_ACTOR_CHARS: Final = 128
MAX_WHO_CHARS: Final = 200
MAX_REASON_CHARS: Final = 2_000


class ChangeKind(StrEnum):
    """What loosens the guards. What tightens them is never proposed: it acts at once."""

    CLEAR_BAR = "clear_bar"
    RELEASE_LOCK = "release_lock"
    KNOWN_GOOD = "known_good"
    REPLAY_COMMAND = "replay_command"
    REPLAY_NOTICE = "replay_notice"
    SUSPEND_POLICY = "suspend_policy"
    EXCLUDE_TIME = "exclude_time"
    APPROVE_SETTINGS = "approve_settings"


_ASKED_AS_JSON: Final = frozenset(
    {ChangeKind.SUSPEND_POLICY, ChangeKind.EXCLUDE_TIME, ChangeKind.APPROVE_SETTINGS}
)


class ProposalState(StrEnum):
    """Only ``open`` may be approved."""

    OPEN = "open"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class TwoPersons:
    """Whether one person alone may loosen, and how long a proposal waits for another."""

    is_required: bool
    lifetime_s: float


@dataclass(frozen=True, slots=True)
class Change:
    """One loosening; ``*`` where it is about every environment or service."""

    kind: ChangeKind
    environment: str
    service: str
    #: A digest, the id of a delivery, or what the API was asked for as canonical JSON; empty for a
    #: lock, which is its environment.
    what: str

    @property
    def about(self) -> dict[str, Any] | None:
        """``what``, where it is JSON."""
        return orjson.loads(self.what) if self.kind in _ASKED_AS_JSON else None

    @property
    def title(self) -> str:
        """In words for people."""
        if self.kind is ChangeKind.APPROVE_SETTINGS:
            return f"approve settings: {'; '.join((self.about or {})['looser'])}"
        of = f"{self.what} of {self.service} in {self.environment}"
        return {
            ChangeKind.CLEAR_BAR: f"end the bar of {of}",
            ChangeKind.RELEASE_LOCK: f"release the lock of {self.environment}",
            ChangeKind.KNOWN_GOOD: f"let rollbacks lead to {of}",
            ChangeKind.REPLAY_COMMAND: f"send the command {of} again",
            ChangeKind.REPLAY_NOTICE: f"send the notice {of} again",
            ChangeKind.SUSPEND_POLICY: f"suspend a budget policy: {self.what}",
            ChangeKind.EXCLUDE_TIME: f"exclude time from budgets: {self.what}",
        }[self.kind]


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever shows a token."""

    #: The token's name, which nobody can choose in a request: two people have two of them.
    token: str
    #: What the audit log calls them.
    says: str

    @classmethod
    def of(cls, caller: Caller, said: str) -> Person:
        """``said``: a name in the body, which counts as words and only for the owner's token."""
        return cls(caller.name, said if caller is OWNER else caller.name)

    @property
    def words(self) -> str:
        """Never what could be taken for another's token: names of tokens have no colon."""
        return f"{OWNER.name}:{self.says}" if self.token == OWNER.name else self.says

    @property
    def actor(self) -> str:
        """The same, as long as the audit log takes it."""
        return self.words[:MAX_ACTOR_CHARS]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that waits for a second person, or did."""

    proposal_id: str
    change: Change
    by: Person
    reason: str
    #: Digest of what it was about when it was proposed.
    state_sha256: str
    created_unix_nano: int
    expires_unix_nano: int
    approved_by: Person | None = None
    approval_reason: str = ""
    #: When it was approved or withdrawn.
    ended_unix_nano: int | None = None

    def state(self, now_unix_nano: int) -> ProposalState:
        """As of now: nothing has to be written for a proposal to expire."""
        if self.approved_by is not None:
            return ProposalState.APPROVED
        if self.ended_unix_nano is not None:
            return ProposalState.WITHDRAWN
        is_over = now_unix_nano >= self.expires_unix_nano
        return ProposalState.EXPIRED if is_over else ProposalState.OPEN

    def signed(self, by: Person, reason: str) -> Signed:
        """Both people, when ``by`` approves."""
        who = f"{self.by.words} and {by.words}"[:MAX_WHO_CHARS]
        why = f"{self.proposal_id}: {self.reason} / {reason}"[:MAX_REASON_CHARS]
        return Signed(who, why, by.actor)

    def to_json(self, now_unix_nano: int) -> dict[str, Any]:
        """For the API."""
        approved = self.approved_by
        return {
            "proposal_id": self.proposal_id,
            "state": str(self.state(now_unix_nano)),
            "kind": str(self.change.kind),
            "environment": self.change.environment,
            "service": self.change.service,
            "what": self.change.about or self.change.what,
            "title": self.change.title,
            "proposed_by": self.by.words,
            "reason": self.reason,
            "created_unix_nano": self.created_unix_nano,
            "expires_unix_nano": self.expires_unix_nano,
            "approved_by": None if approved is None else approved.words,
            "approval_reason": self.approval_reason,
            "ended_unix_nano": self.ended_unix_nano,
        }


class Objection(StrEnum):
    """Why an approval has no effect."""

    USED = "used"
    EXPIRED = "expired"
    SAME_PERSON = "same_person"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One objection, in one sentence."""

    objection: Objection
    text: str


def refusal(
    proposal: Proposal, by: Person, state_sha256: str, now_unix_nano: int
) -> Refusal | None:
    """Why ``by`` cannot approve now, or None. ``state_sha256``: of what it is about, now."""
    name, state = proposal.proposal_id, proposal.state(now_unix_nano)
    if state is ProposalState.EXPIRED:
        return Refusal(Objection.EXPIRED, f"{name} has expired; propose it anew")
    if state is not ProposalState.OPEN:
        return Refusal(Objection.USED, f"{name} is {state} already")
    if by.token == proposal.by.token:
        text = f"{name} was proposed with the token {by.token!r}; another person approves it"
        return Refusal(Objection.SAME_PERSON, text)
    if state_sha256 != proposal.state_sha256:
        text = f"what {name} is about has changed since it was proposed; propose it anew"
        return Refusal(Objection.CHANGED, text)
    return None
