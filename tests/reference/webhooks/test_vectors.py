"""All vectors that are about what we do, replayed as the benchmark does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from analysis.webhooks.schedule import COMMAND_DELAYS_S, next_due
from bench.rollback.vectors import SECTIONS, replay

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


COUNTS = {
    "hmac": 6, "ed25519": 3, "signatures v1": 14, "signatures v1a": 3, "rotation": 1,
    "http message signature": 1, "verdicts": 43, "addresses": 60, "urls": 26, "rebinding": 4,
    "answers": 30, "retry-after": 16, "command schedule": 20,
}  # fmt: skip


@pytest.mark.parametrize("name", SECTIONS)
def test_every_case_of_a_section(vectors, name):
    """All of them, and none went missing."""
    results = list(replay(SECTIONS[name], vectors))
    assert len(results) == COUNTS[name]
    assert [(case, wrong) for case, wrong in results if wrong] == []


def test_a_wrong_answer_counts_as_wrong(vectors):
    """The replay can fail: a turned verdict, another signature, a public address refused."""
    good = vectors["verification"]["cases"][0]
    assert SECTIONS["verdicts"].judge({**good, "expected": "reject"})
    signed = vectors["standard_webhooks"]["v1_hmac_sha256"][0]
    assert SECTIONS["signatures v1"].judge({**signed, "webhook-signature": "v1,AAAA"})
    assert SECTIONS["addresses"].judge({"address": "8.8.8.8", "expected": "block"})


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
