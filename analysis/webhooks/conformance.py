"""What a receiver of commands must do, as messages to send and the answers that are right. Pure.

Every message is a rehearsal: its environment is ``conformance`` unless another is asked for, its
service ``conformance-check``, and its summary says so. They are rendered and signed by the code
that renders and signs commands, so a receiver that takes these takes those.

A status cannot show whether a receiver acted, only what it says; :func:`judge_acted` looks at
what it wrote down.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from analysis.decisions.ids import ENTROPY_BYTES, new_id
from analysis.decisions.records import Arm, Decision, Declaration
from analysis.decisions.states import Action, DecisionState
from analysis.webhooks import signing
from analysis.webhooks.events import MAX_BODY_BYTES, Addressing, render
from analysis.webhooks.signing import SigningKey
from analysis.webhooks.verify import TOLERANCE_S

ENVIRONMENT: Final = "conformance"
SERVICE: Final = "conformance-check"
SUMMARY: Final = "A rehearsal by davylamp webhooks conformance: nothing is wrong, act on nothing."
UNKNOWN_TYPE: Final = "davylamp.conformance.unknown"
LIFETIME_S: Final = 900
#: How far outside the tolerance the stale timestamps are, for clocks that do not quite agree.
BEYOND_S: Final = 60

_NS_PER_S: Final = 1_000_000_000
#: Timed out and throttled: the receiver refused to look, which is no proof that it would refuse.
_NOT_LOOKED_AT: Final = frozenset({408, 429})


class Expected(StrEnum):
    """Statuses that are right; the value is for people."""

    ACCEPTED = "2xx"
    REFUSED = "4xx, but 408 and 429"
    ENDED = "2xx or 422"

    def holds(self, status: int | None) -> bool:
        """Whether the status is one of them; None, no answer at all, never is."""
        if status is None:
            return False
        if self is Expected.REFUSED:
            return 400 <= status <= 499 and status not in _NOT_LOOKED_AT
        return 200 <= status <= 299 or (self is Expected.ENDED and status == 422)


@dataclass(frozen=True, slots=True)
class Check:
    """One request. ``headers`` makes its headers, given Unix seconds at the time of sending.

    ``meaning``: what a wrong answer leads to. ``acts``: the decision is to be acted upon.
    ``copies``: how often it is sent at the same moment; then one right answer is enough.
    """

    name: str
    expected: Expected
    meaning: str
    decision_id: str
    body: bytes
    headers: Callable[[int], dict[str, str]]
    acts: bool = False
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Audience:
    """Who the receiver takes itself for, and where it believes confirmations go to."""

    endpoint_id: str
    environment: str = ENVIRONMENT
    analysis_url: str = "http://127.0.0.1:4320"


@dataclass(frozen=True, slots=True)
class Message:
    """An event with the id it is sent under, which repeats keep."""

    webhook_id: str
    decision_id: str
    body: bytes


@dataclass
class Messages:
    """Makes messages of one run; each has a new id and, unless told, the next sequence.

    Sequences begin at a hundred times the milliseconds of the clock, so that a later run's are
    newer, and stay below 2^53.
    """

    audience: Audience
    now_unix_nano: int
    entropy: Callable[[int], bytes]
    _made: int = field(default=0)

    def make(
        self,
        *,
        sequence: int | None = None,
        age_s: int = 0,
        event: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        size_bytes: int | None = None,
    ) -> Message:
        """``age_s``: how long ago it was decided. ``event``, ``data``: members to replace."""
        self._made += 1
        decision = self._decision(
            self.now_unix_nano // 1_000_000 * 100 + self._made if sequence is None else sequence,
            self.now_unix_nano - age_s * _NS_PER_S,
        )
        document = orjson.loads(render(decision, _declaration(decision), self._addressing()))
        document.update(event or {})
        document["data"].update(data or {})
        body = orjson.dumps(document)
        if size_bytes is not None:
            document["data"]["conformance_padding"] = ""
            missing_bytes = size_bytes - len(orjson.dumps(document))
            document["data"]["conformance_padding"] = "x" * missing_bytes
            body = orjson.dumps(document)
        webhook_id = new_id("msg", self.now_unix_nano, self.entropy(ENTROPY_BYTES))
        return Message(webhook_id, decision.decision_id, body)

    def sequence_of(self, message: Message) -> int:
        """What a message counts as in its lane."""
        return int(orjson.loads(message.body)["data"]["sequence"])

    def _addressing(self) -> Addressing:
        audience = self.audience
        return Addressing(audience.endpoint_id, "", audience.analysis_url, LIFETIME_S)

    def _decision(self, sequence: int, created_unix_nano: int) -> Decision:
        decision_id = new_id("dec", created_unix_nano, self.entropy(ENTROPY_BYTES))
        return Decision(
            decision_id=decision_id,
            deployment_id=f"conformance-{self._made}",
            environment=self.audience.environment,
            service=SERVICE,
            action=Action.ROLLBACK,
            mode="act",
            sequence=sequence,
            state=DecisionState.REQUESTED,
            verdict="fail",
            summary=SUMMARY,
            culprit_metric=None,
            culprit_split=None,
            evidence_sha256=hashlib.sha256(b"").hexdigest(),
            rule_sha256=hashlib.sha256(b"").hexdigest(),
            supersedes=None,
            created_unix_nano=created_unix_nano,
            expires_unix_nano=created_unix_nano + LIFETIME_S * _NS_PER_S,
            delivered_unix_nano=None,
            acknowledged_unix_nano=None,
            completed_unix_nano=None,
            confirmed_unix_nano=None,
            history=(),
        )


def _declaration(decision: Decision) -> Declaration:
    return Declaration(
        decision.deployment_id,
        decision.environment,
        decision.service,
        Arm("0.0.1-conformance", f"sha256:{hashlib.sha256(b'baseline').hexdigest()}", ()),
        Arm("0.0.2-conformance", f"sha256:{hashlib.sha256(b'canary').hexdigest()}", ()),
        decision.created_unix_nano,
        decision.expires_unix_nano,
    )


def checks(messages: Messages, keys: Sequence[SigningKey]) -> tuple[Check, ...]:
    """All of them, in the order they are to be sent: later ones count on earlier sequences."""
    genuine = messages.make()
    signed = _signed(keys, genuine)
    # The boundary: a receiver that refuses only what is older would act twice on one sequence.
    overtaken = messages.make(sequence=messages.sequence_of(genuine))
    return (
        _accepted("genuine command", "no command of ours would be obeyed", genuine, signed),
        _accepted(
            "the same again: same id, same bytes",
            "when your first answer is lost, the repeat must not count as an error",
            genuine,
            signed,
        ),
        _refused(
            "another id, a sequence that is not newer",
            "an overtaken command would be acted upon after the newer one",
            overtaken,
            _signed(keys, overtaken),
        ),
        *_forgeries(messages, keys),
        *_not_to_be_acted_on(messages, keys),
        *_unusual(messages, keys),
        _accepted(
            "the first one again, after newer ones",
            "ids are to be remembered as long as a command lives, not only the last one",
            genuine,
            signed,
        ),
    )


def _forgeries(messages: Messages, keys: Sequence[SigningKey]) -> tuple[Check, ...]:
    """What anybody on the network could send."""
    message = messages.make()
    strangers = tuple(_stranger(key, messages.entropy) for key in keys)
    changed = message.body.replace(b"0.0.1-conformance", b"0.0.9-conformance", 1)
    stale_s = TOLERANCE_S + BEYOND_S
    anybody = "anybody who reaches the address could command you"
    replayed = "whoever recorded a command could send it again"
    signed = _signed(keys, message)
    return (
        _refused("signed with another secret", anybody, message, _signed(strangers, message)),
        _refused(
            "one byte of the body changed",
            "the target of a command could be changed on its way; verify the raw bytes",
            Message(message.webhook_id, message.decision_id, changed),
            signed,
        ),
        _refused(f"timestamp {stale_s} s old", replayed, message, _signed(keys, message, -stale_s)),
        _refused(
            f"timestamp {stale_s} s ahead", replayed, message, _signed(keys, message, stale_s)
        ),
        *(
            _refused(f"no {name} header", anybody, message, _without(name, signed))
            for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        ),
        _refused(
            "signature header without a signature",
            "a stranger's nonsense must not end in an error of yours",
            message,
            lambda now_unix_s: {**signed(now_unix_s), "webhook-signature": "v1 v1,%% ,,"},
        ),
    )


def _not_to_be_acted_on(messages: Messages, keys: Sequence[SigningKey]) -> tuple[Check, ...]:
    """Genuine, and yet not for this receiver, or not now."""
    environment = messages.audience.environment
    elsewhere = {"endpoint_id": "conformance-somebody-else", "environment": environment}
    expired = messages.make(age_s=LIFETIME_S + BEYOND_S)
    foreign = messages.make(data={"audience": elsewhere})
    rehearsed = messages.make(data={"mode": "dry_run"})
    unknown = messages.make(event={"type": UNKNOWN_TYPE})
    return (
        _refused(
            "expired command",
            "an old rollback would hit whatever runs by now",
            expired,
            _signed(keys, expired),
        ),
        _refused(
            "addressed to another endpoint",
            "a command for another deployer would be obeyed here",
            foreign,
            _signed(keys, foreign),
        ),
        _refused(
            "mode is not act",
            "what was only advised would be done",
            rehearsed,
            _signed(keys, rehearsed),
        ),
        Check(
            "event of an unknown type",
            Expected.ENDED,
            "anything else is sent again and again until it expires; do nothing for it",
            unknown.decision_id,
            unknown.body,
            _signed(keys, unknown),
        ),
    )


def _unusual(messages: Messages, keys: Sequence[SigningKey]) -> tuple[Check, ...]:
    """Genuine, and not like most."""
    rotated = messages.make()
    hasty = messages.make()
    strangers = tuple(_stranger(key, messages.entropy) for key in keys)
    others = (*strangers, *(_stranger(key, messages.entropy) for key in keys))
    large = messages.make(size_bytes=MAX_BODY_BYTES)
    return (
        _accepted(
            "a valid signature among others (rotation)",
            "commands would be lost while a secret is rotated",
            rotated,
            _signed((*others, *keys), rotated),
        ),
        replace(
            _accepted(
                "the same one twice at the same moment",
                "a repeat may come while you still work on the first: act once, then say yes",
                hasty,
                _signed(keys, hasty),
            ),
            copies=2,
        ),
        _accepted(
            f"body of {MAX_BODY_BYTES} bytes, with a member you do not know",
            "a command with much to say would be lost",
            large,
            _signed(keys, large),
        ),
    )


def _accepted(
    name: str, meaning: str, message: Message, headers: Callable[[int], dict[str, str]]
) -> Check:
    return Check(
        name, Expected.ACCEPTED, meaning, message.decision_id, message.body, headers, acts=True
    )


def _refused(
    name: str, meaning: str, message: Message, headers: Callable[[int], dict[str, str]]
) -> Check:
    return Check(name, Expected.REFUSED, meaning, message.decision_id, message.body, headers)


def _signed(
    keys: Sequence[SigningKey], message: Message, shift_s: int = 0
) -> Callable[[int], dict[str, str]]:
    def headers(now_unix_s: int) -> dict[str, str]:
        return signing.headers(keys, message.webhook_id, now_unix_s + shift_s, message.body)

    return headers


def _without(
    name: str, headers: Callable[[int], dict[str, str]]
) -> Callable[[int], dict[str, str]]:
    return lambda now_unix_s: {k: v for k, v in headers(now_unix_s).items() if k != name}


def _stranger(key: SigningKey, entropy: Callable[[int], bytes]) -> SigningKey:
    """A secret of the same kind that nobody knows."""
    secret = entropy(signing.SEED_BYTES)
    if isinstance(key, Ed25519PrivateKey):
        return Ed25519PrivateKey.from_private_bytes(secret)
    return secret


def judge_acted(sent: Sequence[Check], lines: Sequence[str]) -> list[str]:
    """What is wrong with what a receiver says it did; ``lines``: one for each command it obeyed.

    A decision is in a line if its id stands there as a word. Empty = each that was to be acted
    upon is there once, and no other.
    """
    wanted = {check.decision_id for check in sent if check.acts}
    names: dict[str, str] = {}
    for check in sent:
        names.setdefault(check.decision_id, check.name)
    wrong = []
    for decision_id, name in names.items():
        word = re.compile(rf"(?<!\w){re.escape(decision_id)}(?!\w)")
        times = sum(word.search(line) is not None for line in lines)
        most = int(decision_id in wanted)
        if times != most:
            wrong.append(f"{name}: {decision_id} is there {times} x, expected {most} x")
    return wrong
