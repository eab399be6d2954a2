"""What was accepted survives a restart; what was torn was never answered."""

from __future__ import annotations

import pytest

from sample_services.controller.commands import Artifact, Command
from sample_services.controller.ledger import AdmissionLedger


def command(number, action="rollback", subject="test/playback"):
    return Command(
        webhook_id=f"msg_{number}",
        decision_id=f"dec_{number}",
        subject=subject,
        sequence=number,
        action=action,
        deployment_id=f"playback-1-{number}",
        service="playback",
        release=Artifact("2.4.0", "sha256:1"),
        target=Artifact("2.3.0", "sha256:0"),
        summary="worse",
        confirm_url="http://127.0.0.1:4320/api/v1/decisions/x/status",
        expires_unix_nano=1,
    )


def test_an_accepted_command_is_known_after_a_restart(tmp_path):
    """Its message id, its sequence, and that it is not done yet."""
    path = tmp_path / "commands.jsonl"
    AdmissionLedger(path).admit(command(4))
    ledger = AdmissionLedger(path)
    assert ledger.seen("msg_4")
    assert not ledger.seen("msg_5")
    assert (ledger.last_sequence("test/playback"), ledger.last_sequence("test/edge")) == (4, -1)
    (open_one,) = ledger.unfinished()
    assert (open_one.deployment_id, open_one.action) == ("playback-1-4", "rollback")


def test_a_finished_command_is_not_taken_up_again(tmp_path):
    """It stays known, to be refused."""
    path = tmp_path / "commands.jsonl"
    first = AdmissionLedger(path)
    for number in (1, 2):
        first.admit(command(number))
    first.finish("dec_1")
    assert [c.decision_id for c in first.unfinished()] == ["dec_2"]
    again = AdmissionLedger(path)
    assert [c.decision_id for c in again.unfinished()] == ["dec_2"]
    assert again.seen("msg_1")


def test_sequences_only_grow(tmp_path):
    """The newest counts, also when an older subject's line comes later."""
    ledger = AdmissionLedger(tmp_path / "commands.jsonl")
    ledger.admit(command(7))
    ledger.admit(command(3, subject="test/edge"))
    assert (ledger.last_sequence("test/playback"), ledger.last_sequence("test/edge")) == (7, 3)


@pytest.mark.parametrize("kept_bytes", [1, 20, -1])
def test_a_torn_last_line_is_ignored_and_does_not_spoil_the_next(tmp_path, kept_bytes):
    """The machine died while writing; the command comes again and is written whole."""
    path = tmp_path / "commands.jsonl"
    AdmissionLedger(path).admit(command(1))
    whole = path.read_bytes()
    AdmissionLedger(path).admit(command(2))
    torn = path.read_bytes()[len(whole) :].rstrip(b"\n")
    path.write_bytes(whole + torn[:kept_bytes])

    ledger = AdmissionLedger(path)
    assert (ledger.seen("msg_1"), ledger.seen("msg_2")) == (True, False)
    ledger.admit(command(2))
    assert AdmissionLedger(path).seen("msg_2")
