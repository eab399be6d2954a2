"""Records to start from."""

from __future__ import annotations

import pytest

from analysis.decisions.records import Decision
from analysis.decisions.states import Action, DecisionState


@pytest.fixture
def decision():
    """A rollback that was just decided."""
    return Decision(
        decision_id="dec_01JGFJJZ00000000000000000A",
        deployment_id="d-1",
        environment="demo",
        service="playback",
        action=Action.ROLLBACK,
        mode="act",
        sequence=7,
        state=DecisionState.REQUESTED,
        verdict="fail",
        summary="The canary is worse.",
        culprit_metric="start_failures",
        culprit_split=None,
        evidence_sha256="e" * 64,
        rule_sha256="f" * 64,
        supersedes=None,
        created_unix_nano=1_735_689_600_000_001_000,
        expires_unix_nano=1_735_690_500_000_001_000,
        delivered_unix_nano=None,
        acknowledged_unix_nano=None,
        completed_unix_nano=None,
        confirmed_unix_nano=None,
        history=(),
    )
