"""The page for receivers and the code say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from analysis.bodies import read_status
from analysis.decisions.policy import MODES
from analysis.webhooks import attempt, schedule, signing, verify
from analysis.webhooks.outcome import DEAD_STATUSES, THROTTLED_STATUSES

PAGE = Path(__file__).parents[2] / "docs/reference/webhooks.md"


@pytest.fixture(scope="module")
def text():
    return PAGE.read_text(encoding="utf-8")


def test_the_example_runs(text):
    """The Python on the page verifies a message and refuses a changed one."""
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["refused"] == "no signature matches"


def test_the_report_on_the_page_is_accepted(text):
    """The JSON on the page is what the API reads."""
    (body,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert read_status(body.encode()).status == "acknowledged"
    assert json.loads(body)["detail"] == "draining"


def test_statuses_delays_and_limits_are_the_codes(text):
    """Numbers on the page are compared with the constants, so that neither can change alone."""
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", text, re.MULTILINE))
    dead = ", ".join(map(str, DEAD_STATUSES))
    throttled = ", ".join(map(str, sorted(THROTTLED_STATUSES)))
    assert rows[dead] == "dead letter at once"
    assert "Retry-After" in rows[throttled]
    starts = [
        round(sum(schedule.COMMAND_DELAYS_S[: n + 1]))
        for n in range(len(schedule.COMMAND_DELAYS_S))
    ]
    assert f"{', '.join(map(str, starts[:-1]))} and {starts[-1]} s" in text
    assert schedule.JITTER_RATIO == 0.2
    assert f"no answer in {attempt.TOTAL_TIMEOUT_S:.0f} s" in text
    assert f"no connection in {attempt.CONNECT_TIMEOUT_S:.0f} s" in text
    assert f"{attempt.MAX_ANSWER_BYTES // 1024} KiB are read" in text
    assert f"{attempt.MAX_EXCERPT_CHARS} characters kept" in text
    assert f"within {verify.TOLERANCE_S} seconds" in text
    assert f"first {verify.MAX_SIGNATURES} signatures" in text
    assert f"at most {signing.MAX_SECRETS}, newest first" in text
    assert [mode for mode in MODES if f"`{mode}`" not in rows and f"| `{mode}` |" not in text] == []
