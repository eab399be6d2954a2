"""Canaries through OTLP, store and read API: the same evidence as without them.

In processes of their own: the engine can be bound to one folder per process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def bench(module: str, *arguments: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", f"bench.canary.{module}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_evidence_does_not_depend_on_the_way_of_the_blocks():
    """The bench itself compares; here it has to have compared, and found nothing to fail."""
    figures = bench("aa", "--runs", "2", "--seconds", "60", "--compare", "2", "--seed", "31")
    assert figures["through"] == "otlp, store, read api"
    assert figures["same_as_direct"] == 2
    assert figures["false_alarms"] == 0
    assert figures["looks"] == 120


@pytest.mark.slow
def test_a_bad_release_is_found_through_the_store():
    figures = bench(
        "detect", "--runs", "3", "--no-peers", "--seed", "5", "--release", "F01-legacy-tv-30%-fail"
    )
    (row,) = figures["rows"]
    assert row["fail"] == 3
    assert row["is_reached"]
