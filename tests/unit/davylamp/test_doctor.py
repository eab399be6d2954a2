"""The doctor: each complaint from what it is about, and nothing said without one."""

from __future__ import annotations

import copy
import socket
from dataclasses import replace

import pytest

from davylamp import doctor_cli
from davylamp.config import collector_config, load_settings
from davylamp.doctor import Level, examine, file_system_of, health_answers, sync_s

BOOKS = {
    "is_ready": True,
    "lag_s": 0.2,
    "signals": {"traces": {"rejected": {}}, "metrics": {"rejected": {}}},
    "quarantined": 0,
    "is_safe_mode": False,
    "shed": "nothing",
    "skew": [{"service": "web", "behind_s": 0.3}],
    "scrape": {"targets": [{"health": "up"}], "problems": []},
}


@pytest.fixture
def settings(tmp_path):
    """A state folder of the test's own, every port any free one."""
    found = load_settings(environ={}).with_values({"davylamp": {"state_dir": str(tmp_path)}})
    ports = {
        "collector": {"otlp_grpc_port": 0, "otlp_http_port": 0, "api_port": 0},
        "analysis": {"api_port": 0},
        "dashboards": {"port": 0},
        "samples": {"controller_port": 0, "edge_port": 0},
    }
    return found.with_values(ports)


def complaints(answers):
    return [(answer.level, answer.text) for answer in answers if answer.level is not Level.OK]


def test_a_healthy_collector_is_told_so():
    """One sentence, no complaint."""
    assert complaints(health_answers(BOOKS)) == []


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({"is_ready": False}, Level.BAD, "takes no requests"),
        ({"lag_s": 31.0}, Level.BAD, "31.0 s ago"),
        ({"quarantined": 3}, Level.WARNING, "3 items could not be stored"),
        ({"is_safe_mode": True}, Level.WARNING, "safe mode"),
        ({"shed": "new_series"}, Level.WARNING, "new series are refused"),
        (
            {"skew": [{"service": "a", "behind_s": 3600}]},
            Level.WARNING,
            "'a' is about 3600 s behind",
        ),
        ({"skew": [{"service": "a", "behind_s": -130}]}, Level.WARNING, "130 s ahead"),
        (
            {"signals": {"traces": {"rejected": {"invalid_id": 4}}}},
            Level.WARNING,
            "4 invalid_id",
        ),
        (
            {
                "scrape": {
                    "targets": [{"health": "down", "url": "http://x", "last_error": "gone"}],
                    "problems": [],
                }
            },
            Level.WARNING,
            "http://x is down: gone",
        ),
        ({"scrape": {"targets": [], "problems": ["t.json:1: bad"]}}, Level.WARNING, "t.json:1"),
    ],
)
def test_every_ill_has_a_sentence(change, level, words):
    """And only that one."""
    ((found, text),) = complaints(health_answers({**copy.deepcopy(BOOKS), **change}))
    assert found is level
    assert words in text


def test_an_installation_before_its_first_start(settings, tmp_path):
    """Nothing bad; the folder stays as it was."""
    answers = list(examine(settings, collector_config(settings)))
    assert not [answer for answer in answers if answer.level is Level.BAD], answers
    assert list(tmp_path.iterdir()) == []
    assert any("does not run here" in answer.text for answer in answers)


def test_a_full_disk_open_secrets_and_data_set_aside(settings, tmp_path):
    """What the folder tells."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/api.token").write_text("x")
    (tmp_path / "secrets/api.token").chmod(0o644)
    (tmp_path / "wal/quarantine").mkdir(parents=True)
    (tmp_path / "wal/quarantine/x").write_text("x")
    config = collector_config(settings)
    config = replace(config, wal=replace(config.wal, min_free_bytes=2**60))
    texts = [text for _, text in complaints(examine(settings, config))]
    assert any("chmod 600" in text for text in texts)
    assert any("never stored" in text for text in texts)
    assert any("nothing is acknowledged" in text for text in texts)


def test_a_taken_port_is_named_with_its_setting(settings, capsys):
    """A warning, since nothing is lost by it yet."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = settings.with_values({"dashboards": {"port": port}})
        assert doctor_cli.run(found) == 0
    said = capsys.readouterr().out
    assert f"port {port} for the dashboards cannot be used" in said
    assert "DAVYLAMP_DASHBOARDS__PORT" in said


def test_syncs_are_measured_where_the_data_lies(tmp_path):
    """And leave nothing behind."""
    assert 0 < sync_s(tmp_path) < 60
    assert list(tmp_path.iterdir()) == []
    assert file_system_of(tmp_path)
