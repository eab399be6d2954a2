"""From the bytes of a webhook to a command: what is refused, and as what."""

from __future__ import annotations

import json

import pytest

from sample_services.controller.commands import (
    Addressee,
    check_address,
    check_fresh,
    read_command,
)
from sample_services.errors import CommandRefusedError

ADDRESSEE = Addressee("deployer", "test", "http://127.0.0.1:4320")
EXPIRES_UNIX_NANO = 1_790_000_000_000_000_000
GONE = object()


def event(**changes):
    """A rollback; ``changes`` name places such as ``data__sequence``."""
    body = {
        "specversion": "1.0",
        "id": "dec_1",
        "source": "/davylamp/analysis/test",
        "type": "davylamp.rollback.requested",
        "subject": "test/playback",
        "data": {
            "decision_id": "dec_1",
            "sequence": 3,
            "audience": {"endpoint_id": "deployer", "environment": "test"},
            "mode": "act",
            "expires_at": "2026-09-21T14:13:20.000000Z",
            "release": {
                "deployment_id": "playback-1-a",
                "service": "playback",
                "digest": "sha256:1",
                "version": "2.4.0",
            },
            "target": {"digest": "sha256:0", "version": "2.3.0"},
            "reason": {"verdict": "fail", "summary": "worse"},
            "confirm_url": "http://127.0.0.1:4320/api/v1/decisions/dec_1/status",
        },
    }
    for place, value in changes.items():
        *path, last = place.split("__")
        inside = body
        for key in path:
            inside = inside[key]
        if value is GONE:
            del inside[last]
        else:
            inside[last] = value
    return json.dumps(body).encode()


def test_a_command_is_read():
    """Every field lands in its place; the time has a zone."""
    command = read_command("msg_1", event())
    assert (command.webhook_id, command.decision_id, command.sequence) == ("msg_1", "dec_1", 3)
    assert (command.action, command.deployment_id) == ("rollback", "playback-1-a")
    assert (command.release.version, command.target.digest) == ("2.4.0", "sha256:0")
    assert command.expires_unix_nano == EXPIRES_UNIX_NANO
    check_address(event(), command, ADDRESSEE)
    promotion = event(type="davylamp.promotion.requested")
    assert read_command("msg_1", promotion).action == "promotion"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b"[" * 60_000,
        event(specversion="0.3"),
        event(id="dec_2"),
        event(data=GONE),
        event(data=[]),
        event(type=GONE),
        event(type={}),
        event(data__sequence="3"),
        event(data__sequence=True),
        event(data__sequence=3.5),
        event(data__release="playback"),
        event(data__release__deployment_id=GONE),
        event(data__target__digest=GONE),
        event(data__reason=GONE),
        event(data__expires_at="tomorrow"),
        event(data__expires_at="2026-09-21T14:13:20"),
        event(data__expires_at=17),
        event(data__confirm_url=GONE),
    ],
    ids=range(22),
)
def test_what_is_no_command_is_malformed(body):
    """A genuine sender's mistake is answered 422, never with a crash."""
    with pytest.raises(CommandRefusedError) as refused:
        read_command("msg_1", body)
    assert (refused.value.status, refused.value.code) == (422, "malformed")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"data__audience": GONE}, "wrong_audience"),
        ({"data__audience__endpoint_id": "another"}, "wrong_audience"),
        ({"data__audience__environment": "production"}, "wrong_audience"),
        ({"data__audience__more": 1}, "wrong_audience"),
        ({"subject": "production/playback"}, "wrong_subject"),
        ({"subject": "test/edge"}, "wrong_subject"),
        ({"data__release__service": "edge"}, "wrong_subject"),
        ({"data__mode": "advise"}, "not_act"),
        ({"data__mode": GONE}, "not_act"),
        ({"data__confirm_url": "http://127.0.0.1:4321/x"}, "foreign_confirm_url"),
        ({"data__confirm_url": "https://127.0.0.1:4320/x"}, "foreign_confirm_url"),
        ({"data__confirm_url": "http://127.0.0.1.example:4320/x"}, "foreign_confirm_url"),
        ({"data__confirm_url": "http://127.0.0.1:4320@example/x"}, "foreign_confirm_url"),
        ({"data__confirm_url": "http://127.0.0.1:port/x"}, "foreign_confirm_url"),
        ({"data__confirm_url": "/api"}, "foreign_confirm_url"),
    ],
)
def test_what_is_meant_for_others_is_refused(changes, code):
    """Audience, subject, mode, and an address our token must not be sent to."""
    body = event(**changes)
    with pytest.raises(CommandRefusedError) as refused:
        check_address(body, read_command("msg_1", body), ADDRESSEE)
    assert (refused.value.status, refused.value.code) == (422, code)


def test_without_an_analysis_no_confirmation_address_is_good():
    """An empty address must not match an empty address."""
    body = event(data__confirm_url="")
    with pytest.raises(CommandRefusedError, match="confirmations"):
        check_address(body, read_command("m", body), Addressee("deployer", "test", ""))


def test_an_unknown_type_is_told_apart_from_a_malformed_one():
    """A newer sender may ask for what this receiver cannot do."""
    with pytest.raises(CommandRefusedError) as refused:
        read_command("msg_1", event(type="davylamp.hold.requested"))
    assert refused.value.code == "unknown_type"


@pytest.mark.parametrize(
    ("last_sequence", "now_unix_nano", "status"),
    [
        (2, EXPIRES_UNIX_NANO - 1, None),
        (-1, 0, None),
        (3, 0, 409),
        (4, 0, 409),
        (2, EXPIRES_UNIX_NANO, 410),
    ],
)
def test_late_and_overtaken_commands_are_refused(last_sequence, now_unix_nano, status):
    """Expired is gone (410), a sequence that is not newer is a conflict (409)."""
    found = None
    try:
        check_fresh(read_command("msg_1", event()), last_sequence, now_unix_nano)
    except CommandRefusedError as refused:
        found = refused.status
    assert found == status


def test_a_rehearsal_is_ours_and_is_told_apart():
    """Its environment is its own; who else's it is, and what else it says, is checked as ever."""
    rehearsal = {"subject": "conformance/playback", "data__audience__environment": "conformance"}
    body = event(**rehearsal)
    command = read_command("msg_1", body)
    check_address(body, command, ADDRESSEE)
    assert ADDRESSEE.is_rehearsal(command)
    assert not ADDRESSEE.is_rehearsal(read_command("msg_1", event()))
    others = event(**rehearsal, data__audience__endpoint_id="other")
    with pytest.raises(CommandRefusedError, match="addressed to"):
        check_address(others, read_command("msg_1", others), ADDRESSEE)
    # A real command's audience does not make a rehearsal of it, nor the other way round.
    for part, value in rehearsal.items():
        mixed = event(**{part: value})
        with pytest.raises(CommandRefusedError, match="subject is"):
            check_address(mixed, read_command("msg_1", mixed), ADDRESSEE)
