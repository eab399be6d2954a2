"""Every test the page names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/limits-and-faults.md").read_text()


def test_every_row_names_tests_that_exist():
    """By file and function; every row has at least one."""
    rows = [line for line in PAGE.splitlines() if re.match(r"\| [BF]\d", line)]
    names = {row.split("|")[1].strip() for row in rows}
    every = {f"B{number}" for number in range(1, 34)} | {
        f"F{number}" for number in (*range(1, 9), 10)
    }
    assert names == every
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, row
        for path, function in named:
            assert f"def {function}(" in (ROOT / path).read_text(), (path, function)


def test_every_benchmark_it_names_exists():
    """Modules that can be run."""
    for module in re.findall(r"`python -m ([\w.]+)`", PAGE):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module
