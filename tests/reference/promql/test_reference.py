"""Cases of others: Prometheus' own test suite, and the expressions of Sloth's and Pyrra's rules."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.slo.notation import source_of
from bench.slo.promql import engine_of, run
from collector.promql.errors import ExecutionError
from collector.promql.parser import parse
from collector.promql.selecting import QueryTimes

ROOT = Path(__file__).parents[3]
DATA = Path(os.environ.get("DAVYLAMP_REFERENCE_DATA", ROOT.parent / "shared" / "data")) / "slo"
CASES, RULES = DATA / "promql_open.json", DATA / "cases_open.json"


@pytest.mark.skipif(not CASES.exists(), reason=f"no {CASES}; set DAVYLAMP_REFERENCE_DATA")
def test_every_case_of_prometheus_passes():
    """Prometheus 3 semantics, all of them."""
    outcomes = list(run(CASES, 3))
    assert [outcome for outcome in outcomes if outcome[2] is not None] == []
    assert len(outcomes) == 251


@pytest.mark.skipif(not CASES.exists(), reason=f"no {CASES}; set DAVYLAMP_REFERENCE_DATA")
def test_the_closed_edge_fails_some_of_them():
    """The replay can tell: under Prometheus 2 semantics these very cases do not all pass."""
    failed = [outcome for outcome in run(CASES, 2) if outcome[2] is not None]
    assert 10 < len(failed) < 200


def expressions(part) -> Iterator[str]:
    """Texts of rules and expected queries, wherever they stand."""
    if isinstance(part, dict):
        for key, value in part.items():
            if isinstance(value, str) and key in {"expr", "expected"}:
                yield value
            yield from expressions(value)
    elif isinstance(part, list):
        for value in part:
            yield from expressions(value)


@pytest.mark.skipif(not RULES.exists(), reason=f"no {RULES}; set DAVYLAMP_REFERENCE_DATA")
def test_every_rule_of_sloth_and_pyrra_is_evaluated():
    """Parsed, evaluated as instant and as range query, in both dialects, without an error."""
    document = json.loads(RULES.read_text(encoding="utf-8"))
    sections = ("sloth_rules", "pyrra_rules", "pyrra_queries")
    found = {text for name in sections for text in expressions(document[name])} - {""}
    assert len(found) == 343
    lines = [
        'http_requests_total{job="thanos-receive-default",code="200",handler="x"} 0+60x60',
        'http_requests_total{job="thanos-receive-default",code="500",handler="x"} 0+1x60',
        'http_request_duration_seconds_count{job="myservice",code="200"} 0+60x60',
        'http_request_duration_seconds_count{job="myservice",code="500"} 0+3x60',
    ]
    source = source_of([(60_000, lines)])
    answered = 0
    for query in sorted(found):
        parse(query)
        for dialect in (2, 3):
            engine = engine_of(source, dialect)
            try:
                answered += bool(engine.instant(query, 3_600_000).series)
                engine.range(query, QueryTimes(3_000_000, 3_600_000, 60_000))
            except ExecutionError as error:
                pytest.fail(f"{query}: {error}")
    assert answered > 50
