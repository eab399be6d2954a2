"""All vectors: 43 verdicts, 14 signatures, 30 answers, 16 hints, the command's schedule."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from analysis.webhooks.outcome import OutcomeKind, of_status
from analysis.webhooks.schedule import (
    COMMAND_DELAYS_S,
    MAX_RETRY_AFTER_S,
    next_due,
    parse_retry_after,
)
from analysis.webhooks.signing import parse_secret, sign
from analysis.webhooks.verify import VerificationError, verify

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("DAVYLAMP_REFERENCE_DATA", ROOT.parent / "shared" / "data"))
FILE = DATA / "webhooks_vectors.json"
NOW = 1_735_689_600_000_000_000

pytestmark = pytest.mark.skipif(
    not FILE.exists(), reason=f"no reference data at {FILE}; set DAVYLAMP_REFERENCE_DATA"
)


@pytest.fixture(scope="module")
def vectors():
    return json.loads(FILE.read_text(encoding="utf-8"))


def verdict(case):
    try:
        verify(
            case["headers"],
            base64.b64decode(case["body_b64"]),
            [case["secret"]],
            case["now_unix"],
            case["tolerance_seconds"],
        )
    except VerificationError:
        return "reject"
    return "accept"


def test_verification_verdicts(vectors):
    """43 of 43; that a replayed id is a duplicate is the receiver's register's business."""
    cases = vectors["verification"]["cases"]
    wanted = {c["name"]: c["expected"].replace("-first-then-duplicate", "") for c in cases}
    assert len(wanted) == 43
    assert {c["name"]: verdict(c) for c in cases} == wanted


def test_signing_vectors(vectors):
    """14 of 14."""
    cases = vectors["standard_webhooks"]["v1_hmac_sha256"]
    assert len(cases) == 14
    for case in cases:
        body = base64.b64decode(case["body_b64"])
        key = parse_secret(case["secret"])
        assert key.hex() == case["secret_hex"]
        signed = sign([key], case["webhook-id"], int(case["webhook-timestamp"]), body)
        assert signed == case["webhook-signature"], case["name"]


def test_the_rotation_header(vectors):
    """New secret first, then the old: our part of the published example."""
    example = vectors["standard_webhooks"]["rotation_header_example"]
    secrets = [one for one in example["verifies_with"] if one.startswith("whsec_")]
    symmetric = [e for e in example["webhook-signature"].split(" ") if e.startswith("v1,")]
    case = next(
        c
        for c in vectors["standard_webhooks"]["v1_hmac_sha256"]
        if c["name"] == "rollback-request-32-byte-secret"
    )
    body = base64.b64decode(case["body_b64"])
    keys = [parse_secret(one) for one in secrets]
    both = {sign([key], case["webhook-id"], int(case["webhook-timestamp"]), body) for key in keys}
    assert both == set(symmetric)


def test_answers(vectors):
    """What each status leads to."""
    kinds = {"success": OutcomeKind.DELIVERED, "endpoint-disabled": OutcomeKind.DEAD}
    cases = [c for c in vectors["response_handling"]["cases"] if "status" in c]
    assert len(cases) == 25
    for case in cases:
        otherwise = OutcomeKind.DEAD if case.get("dead_letter") else OutcomeKind.RETRY
        outcome = of_status(case["status"])
        assert outcome.kind is kinds.get(case["outcome"], otherwise), case
        assert outcome.wants_retry_after is (case["outcome"] == "throttled"), case


def test_retry_after(vectors):
    """16 of 16, with the vectors' base delay of 10 s and cap of an hour."""
    cases = vectors["retry_after"]["cases"]
    assert len(cases) == 16
    assert MAX_RETRY_AFTER_S == 3600
    for case in cases:
        hint = parse_retry_after(case["value"], NOW)
        assert max(10, hint or 0) == case["wait_s"], case


def test_the_commands_schedule(vectors):
    """Delays and starts of all 20 attempts."""

    class Middle:
        def uniform(self, low, high):
            return (low + high) / 2

    table = vectors["retry_schedules"]["davylamp_rollback_command"]["attempts"]
    due = NOW
    for attempt in table:
        assert round((due - NOW) / 1e9) == attempt["since_start_s"]
        made = attempt["attempt"]
        delay = COMMAND_DELAYS_S[min(made - 1, len(COMMAND_DELAYS_S) - 1)]
        assert delay == attempt["delay_s"]
        due = next_due(made, due, NOW + 900 * 10**9, None, Middle())
    assert due == NOW + 900 * 10**9
