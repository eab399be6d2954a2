"""``davylamp canary plan``: figures for people and machines, exit codes that mean something."""

from __future__ import annotations

import json

import pytest

from davylamp.cli import main

FAILURES = ["canary", "plan", "failures", "--requests-per-min", "600", "--runs", "40"]
DURATIONS = ["canary", "plan", "durations", "--requests-per-min", "600", "--runs", "20"]


def test_people_read_minutes_and_requests(capsys):
    words = [*FAILURES, "--baseline-ratio", "0.02", "--canary-ratio", "0.08"]
    assert main([*words, "--horizon-min", "10"]) == 0
    told = capsys.readouterr().out
    assert "50% FAIL within" in told
    assert "requests on the canary" in told


def test_machines_read_json(capsys):
    words = [*DURATIONS, "--median-s", "0.1", "--p99-s", "0.4", "--certify", "0.5", "--json"]
    assert main(words) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["decided_ratio"] == 1.0
    assert plan["canary_requests"]["0.5"] <= plan["canary_requests"]["0.9"]
    assert plan["minutes"]["0.5"] > 0


def test_what_is_not_found_in_time_is_one(capsys):
    words = [*FAILURES, "--baseline-ratio", "0.02", "--horizon-min", "3"]
    assert main(words) == 1
    assert "do not FAIL within 3 min" in capsys.readouterr().out


@pytest.mark.parametrize("values", [["0.1", "0.05"], ["0", "1"], ["nan", "1"]])
def test_what_cannot_be_is_two(capsys, values):
    assert main([*DURATIONS, "--median-s", values[0], "--p99-s", values[1]]) == 2
    assert "needs to be" in capsys.readouterr().err
