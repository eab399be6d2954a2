"""Legal moves are exactly the listed ones; every other is refused by name."""

from __future__ import annotations

import itertools

import pytest

from analysis.decisions import states
from analysis.decisions.states import CanaryState, DecisionState, DeliveryState
from analysis.errors import IllegalMoveError

LEGAL_CANARY = """
declared warming | declared observing | declared passed | declared failed
declared inconclusive | declared invalid
warming observing | warming passed | warming failed | warming inconclusive | warming invalid
observing passed | observing failed | observing inconclusive | observing invalid
"""
LEGAL_DECISION = """
requested acknowledged | requested completed | requested confirmed | requested expired
requested unconfirmed
acknowledged completed | acknowledged confirmed | acknowledged unconfirmed
completed confirmed | completed unconfirmed
expired acknowledged | expired completed | expired requested
unconfirmed confirmed
"""
LEGAL_DELIVERY = "pending delivered | pending dead | dead delivered | dead pending"


def pairs(text: str) -> set[tuple[str, str]]:
    return {tuple(part.split()) for part in text.replace("\n", "|").split("|") if part.strip()}


CASES = (
    (CanaryState, states.move_canary, pairs(LEGAL_CANARY)),
    (DecisionState, states.move_decision, pairs(LEGAL_DECISION)),
    (DeliveryState, states.move_delivery, pairs(LEGAL_DELIVERY)),
)


@pytest.mark.parametrize(("kind", "move", "legal"), CASES)
def test_only_listed_moves_are_legal(kind, move, legal):
    """Every pair of states either moves or raises, as the table above says."""
    found = set()
    for present, wanted in itertools.product(kind, kind):
        try:
            assert move("x", present, wanted) is wanted
        except IllegalMoveError:
            continue
        found.add((str(present), str(wanted)))
    assert found == legal


@pytest.mark.parametrize(("kind", "move", "legal"), CASES)
def test_every_state_can_be_reached(kind, move, legal):
    """From the first state every other one can be reached, but for advice, which starts there."""
    reached = {str(next(iter(kind)))} | ({"requested"} if kind is DecisionState else set())
    for _ in kind:
        reached |= {wanted for present, wanted in legal if present in reached}
    assert reached == {str(state) for state in kind}


def test_a_refused_move_says_what_would_be_accepted():
    """The error names the subject, both states and the way out."""
    with pytest.raises(IllegalMoveError) as refused:
        states.move_canary("d-1", CanaryState.PASSED, CanaryState.FAILED)
    assert str(refused.value) == "canary d-1 is passed and cannot become failed"
    assert refused.value.accepted == "nothing: the state is final"
    with pytest.raises(IllegalMoveError) as refused:
        states.move_decision("dec_1", DecisionState.COMPLETED, DecisionState.EXPIRED)
    assert refused.value.accepted == "confirmed, unconfirmed"


def test_final_canary_states_are_those_without_moves():
    """What counts as over and what cannot move are the same states."""
    stuck = {state for state, moves in states.CANARY_MOVES.items() if not moves}
    assert stuck == set(states.TERMINAL_CANARY_STATES)
