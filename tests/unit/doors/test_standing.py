"""What every state of a canary is called, and what each door makes of it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from analysis.canary.evidence import Reason
from analysis.decisions.records import Arm, CanaryRecord, Declaration
from analysis.decisions.states import CanaryState
from analysis.doors import argo, flagger
from analysis.doors.standing import Standing, chosen, standing_of
from analysis.errors import BadRequestError


def record(state, *, name="d-1", service="playback", environment="prod", version="2"):
    arms = Arm("1", "sha256:a", ("b",)), Arm(version, "sha256:c", ("c",))
    told = Declaration(name, environment, service, *arms, 1, 2)
    return CanaryRecord(told, 1, state, "why", "A sentence.", 3, None, "", "", None)


def look(verdict="observing", reason=Reason.OBSERVING, log_e=0.0):
    return {
        "verdict": verdict, "reason": reason, "max_log_e_value": log_e, "culprit_metric": None,
    }  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A state, and the answers: standing, Argo's verdict, Flagger's statuses in HOOKS' order."""

    state: CanaryState | None
    look: dict | None
    standing: Standing
    flagger: tuple[int, ...]


C, R = CanaryState, Reason
ROWS = [
    Row(None, None, Standing.NO_DATA, (200, 404, 404, 404, 404, 200)),
    Row(C.DECLARED, None, Standing.NO_DATA, (200, 409, 409, 409, 409, 200)),
    Row(C.WARMING, look(reason=R.WARMING), Standing.CONTINUE, (200, 200, 409, 409, 409, 200)),
    Row(C.OBSERVING, look(), Standing.CONTINUE, (200, 200, 200, 409, 409, 200)),
    Row(C.OBSERVING, look(reason=R.BAKING), Standing.CONTINUE, (200, 200, 200, 409, 409, 200)),
    Row(C.OBSERVING, look(reason=R.SUSPECT), Standing.CONTINUE, (200, 200, 409, 409, 409, 200)),
    Row(
        C.OBSERVING, look("inconclusive", R.CANARY_SILENT), Standing.NO_DATA,
        (200, 409, 409, 409, 409, 200),
    ),
    Row(C.PASSED, look("pass"), Standing.PASS, (200, 200, 200, 200, 409, 200)),
    Row(C.FAILED, look("fail"), Standing.FAIL, (409, 409, 409, 409, 200, 200)),
    Row(C.INCONCLUSIVE, look("inconclusive"), Standing.NO_DATA, (200, 409, 409, 409, 409, 200)),
    Row(C.INVALID, look("invalid"), Standing.NO_DATA, (200, 409, 409, 409, 409, 200)),
]  # fmt: skip


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: f"{row.state}-{row.look and row.look['reason']}"
)
def test_every_state_in_every_door(row):
    """Only shown harm rolls back, only shown safety promotes, silence does neither."""
    known = standing_of(None if row.state is None else record(row.state), row.look)
    assert known.standing is row.standing
    assert argo.answer(known)["verdict"] == row.standing
    answers = tuple(flagger.answer(hook, known)[0] for hook in flagger.HOOKS)
    assert answers == row.flagger


def test_argo_sees_numbers():
    """Score and evidence; p is 1/E, never above 1."""
    failed = argo.answer(standing_of(record(C.FAILED), look("fail", log_e=6.0)))
    assert failed["score"] == 0
    assert failed["p_value"] == pytest.approx(1 / failed["e_value"])
    calm = argo.answer(standing_of(record(C.OBSERVING), look(log_e=-2.0)))
    assert (calm["score"], calm["p_value"]) == (60, 1.0)
    assert argo.answer(standing_of(None, None))["e_value"] is None


def test_the_newest_canary_that_fits_is_chosen():
    """Newest first; version and environment only narrow down."""
    records = [
        record(C.OBSERVING, name="new", version="3"),
        record(C.PASSED, name="old", version="2"),
        record(C.PASSED, name="other", service="search"),
    ]

    def name(**wanted):
        asked = {"deployment_id": None, "service": None, "environment": None, **wanted}
        found = chosen(records, **asked)
        return found and found.deployment_id

    assert name(service="playback") == "new"
    assert name(service="playback", version="2") == "old"
    assert name(service="playback", version="sha256:c") == "new"
    assert name(service="playback", environment="test") is None
    assert name(deployment_id="other", service="playback") == "other"


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"name": 1}', b'{"name":"a","metadata":[1]}',
                                 b'{"name":"a","metadata":{"service":5}}'])  # fmt: skip
def test_a_hook_that_is_not_flaggers_is_refused(raw):
    """With what would be accepted."""
    with pytest.raises(BadRequestError) as caught:
        flagger.read_hook(raw)
    assert "metadata" in caught.value.accepted
