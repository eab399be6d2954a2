"""Values out of Debian's ``promtool test rules``, which only knows expectations.

An expectation of *nothing* makes every answer a failure, and a failure is printed with its value in
full precision; an expression without an answer passes. So one expression a run gives its value.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_GOT = re.compile(r"^\s*got: \{[^{}]*\} (\S+)$", re.MULTILINE)
#: Longer than the slowest run by far; a promtool that hangs is ended.
_TIMEOUT_S = 300


class PromtoolError(Exception):
    """Promtool gave no single value; the text is what it said."""


def promtool() -> str | None:
    """Path of the program, if it is installed."""
    return shutil.which("promtool")


def value_of(
    expression: str,
    *,
    folder: Path,
    rules: Sequence[Mapping[str, Any]],
    series: Mapping[str, str],
    at_min: int,
    evaluate_every_min: int,
    sample_every_min: int = 1,
) -> float | None:
    """The value of an expression at a minute, ``None`` if it has none. Raises PromtoolError.

    ``rules`` are evaluated in order from minute 0 on. ``series``: name with labels -> samples
    so far apart, in promtool's notation. ``folder`` takes the two files.
    """
    test = {
        "interval": f"{sample_every_min}m",
        "input_series": [{"series": name, "values": text} for name, text in series.items()],
        "promql_expr_test": [{"expr": expression, "eval_time": f"{at_min}m", "exp_samples": []}],
    }
    groups = [{"name": "rules", "rules": list(rules)}]
    # JSON is YAML.
    (folder / "rules.yml").write_text(json.dumps({"groups": groups}), encoding="utf-8")
    (folder / "test.yml").write_text(
        json.dumps(
            {
                "rule_files": ["rules.yml"],
                "evaluation_interval": f"{evaluate_every_min}m",
                "tests": [test],
            }
        ),
        encoding="utf-8",
    )
    done = subprocess.run(
        [promtool() or "promtool", "test", "rules", "test.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    return read_value(done.returncode, done.stdout + done.stderr)


def read_value(status: int, output: str) -> float | None:
    """What a run for one expression said. Raises PromtoolError."""
    if status == 0 and "SUCCESS" in output:
        return None
    found = _GOT.findall(output)
    if status != 1 or len(found) != 1 or "err:" in output:
        raise PromtoolError(output[:2_000])
    return float(found[0])
