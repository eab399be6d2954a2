"""States and legal moves of canaries, decisions and deliveries. Pure; everything else asks here."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, TypeVar

from analysis.errors import IllegalMoveError


class CanaryState(StrEnum):
    """Where a declared canary stands."""

    DECLARED = "declared"  # known by name, not looked at yet
    WARMING = "warming"  # looked at, too little traffic to say anything
    OBSERVING = "observing"  # evidence is collected, also while a hold lasts
    PASSED = "passed"  # shown not worse within the margins; final
    FAILED = "failed"  # shown worse; final
    INCONCLUSIVE = "inconclusive"  # ended undecided; final
    INVALID = "invalid"  # ended as not comparable; final


class DecisionState(StrEnum):
    """Where a decision stands, as far as the ledger knows."""

    ADVISED = "advised"  # told to people only, nobody was commanded; final
    REQUESTED = "requested"  # committed, to be delivered or delivered and not yet answered
    ACKNOWLEDGED = "acknowledged"  # the receiver says it has begun
    COMPLETED = "completed"  # the receiver says it is done
    CONFIRMED = "confirmed"  # telemetry shows that it is done; final
    EXPIRED = "expired"  # its delivery ended without success: time over, refused or superseded
    UNCONFIRMED = "unconfirmed"  # delivered, but telemetry did not show it in time: page


class DeliveryState(StrEnum):
    """Where one outbox row stands."""

    PENDING = "pending"  # will be attempted when due
    DELIVERED = "delivered"  # answered 2xx: accepted, not yet done
    DEAD = "dead"  # not sent again by itself; kept for people to read


class Action(StrEnum):
    """What a decision asks for."""

    ROLLBACK = "rollback"  # take the canary away
    PROMOTION = "promotion"  # make the canary's release the stable one


_C = CanaryState
_D = DecisionState
_S = DeliveryState

TERMINAL_CANARY_STATES: Final = frozenset({_C.PASSED, _C.FAILED, _C.INCONCLUSIVE, _C.INVALID})

CANARY_MOVES: Final[Mapping[CanaryState, frozenset[CanaryState]]] = {
    _C.DECLARED: frozenset({_C.WARMING, _C.OBSERVING}) | TERMINAL_CANARY_STATES,
    _C.WARMING: frozenset({_C.OBSERVING}) | TERMINAL_CANARY_STATES,
    _C.OBSERVING: TERMINAL_CANARY_STATES,
    **dict.fromkeys(TERMINAL_CANARY_STATES, frozenset[CanaryState]()),
}

# A receiver's report may overtake the answer to our own request, or come after we gave up: what
# it says happened, happened. So an expired decision can still be acknowledged, and one that was
# not confirmed in time can still be. Expired to requested: a person has the dead letter sent again
# while its time lasts.
DECISION_MOVES: Final[Mapping[DecisionState, frozenset[DecisionState]]] = {
    _D.ADVISED: frozenset(),
    _D.REQUESTED: frozenset(
        {_D.ACKNOWLEDGED, _D.COMPLETED, _D.CONFIRMED, _D.EXPIRED, _D.UNCONFIRMED}
    ),
    _D.ACKNOWLEDGED: frozenset({_D.COMPLETED, _D.CONFIRMED, _D.UNCONFIRMED}),
    _D.COMPLETED: frozenset({_D.CONFIRMED, _D.UNCONFIRMED}),
    _D.EXPIRED: frozenset({_D.ACKNOWLEDGED, _D.COMPLETED, _D.REQUESTED}),
    _D.UNCONFIRMED: frozenset({_D.CONFIRMED}),
    _D.CONFIRMED: frozenset(),
}

# Dead to delivered: the row was superseded while its last request was under way, and that
# request was accepted after all. Dead to pending: a person has it sent again.
DELIVERY_MOVES: Final[Mapping[DeliveryState, frozenset[DeliveryState]]] = {
    _S.PENDING: frozenset({_S.DELIVERED, _S.DEAD}),
    _S.DELIVERED: frozenset(),
    _S.DEAD: frozenset({_S.DELIVERED, _S.PENDING}),
}

State = TypeVar("State", CanaryState, DecisionState, DeliveryState)


def move_canary(name: str, present: CanaryState, wanted: CanaryState) -> CanaryState:
    """``wanted`` if it follows from ``present``. Raises IllegalMoveError."""
    return _move(f"canary {name}", present, wanted, CANARY_MOVES)


def move_decision(name: str, present: DecisionState, wanted: DecisionState) -> DecisionState:
    """``wanted`` if it follows from ``present``. Raises IllegalMoveError."""
    return _move(f"decision {name}", present, wanted, DECISION_MOVES)


def move_delivery(name: str, present: DeliveryState, wanted: DeliveryState) -> DeliveryState:
    """``wanted`` if it follows from ``present``. Raises IllegalMoveError."""
    return _move(f"delivery {name}", present, wanted, DELIVERY_MOVES)


def can_move_decision(present: DecisionState, wanted: DecisionState) -> bool:
    """Whether ``wanted`` follows from ``present``."""
    return wanted in DECISION_MOVES[present]


def _move(
    subject: str, present: State, wanted: State, moves: Mapping[State, frozenset[State]]
) -> State:
    if wanted not in moves[present]:
        accepted = ", ".join(sorted(moves[present])) or "nothing: the state is final"
        raise IllegalMoveError(subject, present, wanted, accepted)
    return wanted
