"""The reference page and the code name the same things."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from telemetry import semconv, settings
from telemetry.provider import setup

PAGE = Path(__file__).parents[3] / "docs/reference/telemetry.md"


def test_every_metric_variable_and_argument_is_documented():
    """A new metric, variable or setup() argument needs a line on the page."""
    text = PAGE.read_text()
    variables = set(re.findall(r"\b(?:OTEL|DAVYLAMP)_[A-Z_]+\b", inspect.getsource(settings)))
    arguments = set(inspect.signature(setup).parameters) - {"clock"}
    names = set(semconv.METRICS) | variables | arguments
    assert {name for name in names if f"`{name}`" not in text} == set()


@pytest.mark.parametrize("metric", semconv.METRICS.values(), ids=lambda metric: metric.name)
def test_documented_units_are_the_emitted_ones(metric):
    """The table's unit column is the registry's."""
    lines = PAGE.read_text().splitlines()
    (row,) = [line for line in lines if line.startswith(f"| `{metric.name}`")]
    assert row.split("|")[3].strip() == metric.unit
