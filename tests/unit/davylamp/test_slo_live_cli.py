"""Words of the command line that never reach the analysis, and lines for people."""

from __future__ import annotations

import pytest

from davylamp.cli import main
from davylamp.slo_live_cli import what_if

EXCLUDE = ["slo", "exclude", "--reason", "x", "--who", "ada"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "say --from and --to, or --rule"),
        (["--from", "2026-11-25T10:00:00Z"], "say --from and --to, or --rule"),
        (["--from", "2026-11-25T10:00:00", "--to", "2026-11-25T11:00:00Z"], "with a zone"),
        (["--from", "soon", "--to", "2026-11-25T11:00:00Z"], "with a zone"),
        (["--rule", "FREQ=DAILY"], "say --from and --to, or --rule"),
        (
            ["--rule", "FREQ=DAILY", "--start", "2026-01-01T02:00:00", "--duration-s", "60",
             "--from", "2026-11-25T10:00:00Z"],
            "say --from and --to, or --rule",
        ),
    ],
)  # fmt: skip
def test_which_time_must_be_clear(tmp_path, monkeypatch, capsys, words, complaint):
    monkeypatch.setenv("DAVYLAMP_DAVYLAMP__STATE_DIR", str(tmp_path))
    assert main([*EXCLUDE, *words]) == 1
    assert complaint in capsys.readouterr().err


def test_an_analysis_that_does_not_answer_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DAVYLAMP_DAVYLAMP__STATE_DIR", str(tmp_path))
    assert main(["slo", "explain", "x"]) == 1
    assert "cannot be asked" in capsys.readouterr().err


def test_a_what_if_reads_as_two_lines_and_a_suggestion():
    def outcome(target, left, alerts):
        return {
            "objective_ratio": target,
            "budget_projected_remaining_ratio": None,
            "budget_remaining_ratio": left,
            "bad": 3,
            "total": 1_000,
            "alert_counts": {"page": len(alerts)} if alerts else {},
            "alerts": alerts,
            "data_state": "covered",
        }

    alert = {
        "severity": "page",
        "from_unix_nano": 0,
        "to_unix_nano": 60 * 10**9,
        "factor": 14.4,
        "long_window_s": 3_600,
    }
    lines = what_if(
        {
            "from_unix_nano": 0,
            "to_unix_nano": 10**12,
            "as_it_is": outcome(0.99, 0.7, []),
            "what_if": outcome(0.999, -2.0, [alert]),
            "suggested_objective_ratio": 0.995,
        }
    )
    text = "\n".join(lines)
    assert "as it is 99.000%: 70% of the budget left" in text
    assert "with 99.900%: -200% of the budget left, 3 bad of 1000, alerts: 1 page" in text
    assert "page 1970-01-01 00:00:00 to 1970-01-01 00:01:00, 14.4x over 3600 s" in text
    assert "Suggested: 99.500%" in text
