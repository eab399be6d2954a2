"""A file stops commands, whatever else works; what cannot be looked at counts as stopped."""

from __future__ import annotations

from analysis.decisions.kill_switch import MAX_REASON_CHARS, KillSwitch


def test_a_file_stops_everything_and_says_why(tmp_path):
    switch = KillSwitch(tmp_path / "stop")
    assert switch.thrown("playback") is None
    switch.path.write_text("incident 12\nsee chat.\n")
    assert switch.thrown("playback") == "incident 12 see chat"
    switch.path.unlink()
    assert switch.thrown("playback") is None


def test_an_empty_file_counts(tmp_path):
    (tmp_path / "stop").touch()
    assert "exists" in KillSwitch(tmp_path / "stop").thrown("playback")


def test_one_service_is_stopped_alone(tmp_path):
    switch = KillSwitch(tmp_path / "stop")
    switch.of_service("playback").write_text("x" * 10_000)
    assert switch.thrown("playback") == "x" * MAX_REASON_CHARS
    assert switch.thrown("home") is None


def test_what_cannot_be_looked_at_counts_as_thrown(tmp_path):
    (tmp_path / "stop").mkdir()
    assert "cannot be looked at" in KillSwitch(tmp_path / "stop").thrown("playback")
    (tmp_path / "file").touch()
    assert "cannot be looked at" in KillSwitch(tmp_path / "file" / "stop").thrown("playback")
