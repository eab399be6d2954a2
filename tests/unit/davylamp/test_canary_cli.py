"""``davylamp canary plan``: figures for people and machines, exit codes that mean something."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from analysis.canary.config import load_canary_config
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


PAGE = (Path(__file__).parents[3] / "docs/howto/canary-rules.md").read_text()
RULE = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1]


def test_the_pages_rule_is_good(tmp_path, capsys):
    file = tmp_path / "rule.yaml"
    file.write_text(RULE)
    assert main(["canary", "validate", str(file)]) == 0
    assert "http.server.request.duration, checkout.payments" in capsys.readouterr().out


def test_the_pages_rule_of_a_mode_is_good():
    fragment = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1]
    rule = load_canary_config(f"apiVersion: davylamp/v1\nkind: CanaryRule\n{fragment}")
    assert [(m.mode, m.point_s, m.statistic) for m in rule.metrics] == [("exact", 30, "p90")]


def test_the_pages_rule_that_stands_without_one_instance_is_good():
    fragment = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[2]
    rule = load_canary_config(f"apiVersion: davylamp/v1\nkind: CanaryRule\n{fragment}")
    assert rule.robust_to_one_instance
    assert all(metric.service_scoped for metric in rule.metrics)


def test_what_is_judged_once_is_said(tmp_path, capsys):
    """And what Kayenta's error is not part of."""
    file = tmp_path / "rule.yaml"
    file.write_text(RULE.replace("weight: 0.5", "weight: 0.5\n      mode: exact"))
    assert main(["canary", "validate", str(file)]) == 0
    said = capsys.readouterr().out
    assert "http.server.errors (exact, once, at 1800 s), http.server.request.duration, " in said
    assert "Kayenta" not in said
    file.write_text(RULE.replace("weight: 0.5", "weight: 0.5\n      mode: kayenta"))
    assert main(["canary", "validate", str(file)]) == 0
    assert "not part of alpha" in capsys.readouterr().out


def test_every_problem_of_a_rule_has_its_place(tmp_path, capsys):
    file = tmp_path / "rule.yaml"
    file.write_text(RULE.replace("weight: 0.5", "weight: none").replace("alpha: 0.005", "alpha: 5"))
    assert main(["canary", "validate", str(file)]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{file}: line 7, column 3: alpha: got 5, accepted: a number in (0, 1)")
    assert "metrics[http.server.errors].weight: got none, accepted: a number" in second


def test_the_shipped_rule_and_the_schema_are_printed(capsys):
    assert main(["canary", "default"]) == 0
    assert load_canary_config(capsys.readouterr().out).metrics
    assert main(["canary", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["kind"] == {"const": "CanaryRule"}


def test_a_config_of_kayenta_becomes_a_rule(tmp_path, capsys):
    file = tmp_path / "kayenta.json"
    query = {"type": "prometheus", "metricName": "request_duration_seconds"}
    file.write_text(json.dumps({"name": "x", "metrics": [{"name": "l", "query": query}]}))
    assert main(["canary", "import-kayenta", str(file)]) == 0
    said = capsys.readouterr()
    assert load_canary_config(said.out).metric("l").kind == "histogram"
    assert "only slower is worse" in said.err
    file.write_text("{")
    assert main(["canary", "import-kayenta", str(file)]) == 2
    assert main(["canary", "import-kayenta", str(tmp_path / "none")]) == 1
