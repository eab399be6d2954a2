"""The command's body says what the receiver checks, in bytes that do not depend on the day."""

from __future__ import annotations

import json
from dataclasses import replace

from analysis.decisions.records import Arm, Declaration
from analysis.decisions.states import Action
from analysis.webhooks.events import (
    MAX_BODY_BYTES,
    MAX_SUMMARY_CHARS,
    Addressing,
    render,
    rfc3339,
)

DECLARATION = Declaration(
    "d-1",
    "demo",
    "playback",
    Arm("1.0.0", "sha256:a", ("b1",)),
    Arm("1.1.0", "sha256:b", ("c1",)),
    1,
    2,
)
ADDRESSING = Addressing("deployer", "http://127.0.0.1:7000/hook", "http://127.0.0.1:4320", 900.0)

EXPECTED = {
    "specversion": "1.0",
    "id": "dec_01JGFJJZ00000000000000000A",
    "source": "/davylamp/analysis/demo",
    "type": "davylamp.rollback.requested",
    "subject": "demo/playback",
    "time": "2025-01-01T00:00:00.000001Z",
    "datacontenttype": "application/json",
    "data": {
        "decision_id": "dec_01JGFJJZ00000000000000000A",
        "sequence": 7,
        "audience": {"endpoint_id": "deployer", "environment": "demo"},
        "mode": "act",
        "issued_at": "2025-01-01T00:00:00.000001Z",
        "expires_at": "2025-01-01T00:15:00.000001Z",
        "release": {
            "deployment_id": "d-1",
            "service": "playback",
            "digest": "sha256:b",
            "version": "1.1.0",
        },
        "target": {"digest": "sha256:a", "version": "1.0.0"},
        "reason": {
            "verdict": "fail",
            "summary": "The canary is worse.",
            "culprit_metric": "start_failures",
            "culprit_split": None,
        },
        "evidence_sha256": "e" * 64,
        "rule_sha256": "f" * 64,
        "confirm_url": (
            "http://127.0.0.1:4320/api/v1/decisions/dec_01JGFJJZ00000000000000000A/status"
        ),
        "supersedes": None,
    },
}


def test_a_rollback_in_full(decision):
    """Every field of a rollback command; its target is the baseline."""
    assert json.loads(render(decision, DECLARATION, ADDRESSING)) == EXPECTED


def test_a_promotion_aims_at_the_canary(decision):
    """Type and target change with the action, the release stays the canary's."""
    body = json.loads(render(replace(decision, action=Action.PROMOTION), DECLARATION, ADDRESSING))
    assert body["type"] == "davylamp.promotion.requested"
    assert body["data"]["target"] == {"digest": "sha256:b", "version": "1.1.0"}
    assert body["data"]["release"] == EXPECTED["data"]["release"]


def test_the_receiver_reads_what_we_write(decision):
    """The sample deployer's own reader understands the body and finds it addressed to itself."""
    from sample_services.controller.commands import Addressee, check_address, read_command

    body = render(decision, DECLARATION, ADDRESSING)
    command = read_command("msg_1", body)
    check_address(body, command, Addressee("deployer", "demo", "http://127.0.0.1:4320"))
    assert (command.action, command.sequence) == ("rollback", 7)
    assert command.expires_unix_nano == decision.expires_unix_nano
    assert (command.release.version, command.target.version) == ("1.1.0", "1.0.0")
    assert (command.release.digest, command.target.digest) == ("sha256:b", "sha256:a")


def test_times_keep_their_microseconds():
    """Nanoseconds are cut, never rounded up: a command does not live longer than it says."""
    assert rfc3339(1_735_689_599_999_999_999) == "2024-12-31T23:59:59.999999Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000000Z"


def test_no_body_is_larger_than_receivers_must_read(decision):
    """Every label as long as a declaration may have it, in letters of four bytes, and a novel."""
    label = "\N{FIRE}" * 128
    long = replace(
        decision,
        deployment_id=label,
        environment=label,
        service=label,
        summary="\x00" * 1_000_000,
        culprit_metric=label,
        culprit_split=label,
    )
    arm = Arm(label, label, ())
    addressing = replace(ADDRESSING, analysis_url="http://" + "a" * 2_000)
    body = render(long, Declaration(label, label, label, arm, arm, 1, 2), addressing)
    assert len(body) <= MAX_BODY_BYTES
    assert len(json.loads(body)["data"]["reason"]["summary"]) == MAX_SUMMARY_CHARS
