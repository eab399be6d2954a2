"""What is checked before anything starts."""

from __future__ import annotations

import socket
import stat

import pytest

from davylamp import config, preflight
from davylamp.credentials import ensure_credentials
from davylamp.errors import PreflightError

FREE = {
    "collector": {"otlp_grpc_port": 0, "otlp_http_port": 0, "api_port": 0},
    "analysis": {"api_port": 0},
    "dashboards": {"port": 0},
    "samples": {"controller_port": 0, "edge_port": 0},
}


def test_port_zero_becomes_a_free_port_of_its_own():
    settings = config.load_settings(environ={}).with_values(FREE)
    chosen = preflight.choose_ports(settings)
    ports = [port for keys in chosen.values() for port in keys.values()]
    assert len(set(ports)) == len(preflight.LISTENERS)
    assert all(port in preflight.FREE_PORTS for port in ports)


def test_a_taken_port_is_named_with_the_setting_that_moves_it():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = config.load_settings(environ={}).with_values(
            FREE | {"dashboards": {"port": port}}
        )
        with pytest.raises(PreflightError, match=rf"{port} .*DAVYLAMP_DASHBOARDS__PORT"):
            preflight.choose_ports(settings)


def test_one_owner_of_a_state_folder(tmp_path):
    with (
        preflight.state_lock(tmp_path / "state"),
        pytest.raises(PreflightError, match="another davylamp"),
        preflight.state_lock(tmp_path / "state"),
    ):
        pass
    with preflight.state_lock(tmp_path / "state"):
        pass


def test_an_unusable_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(PreflightError, match="cannot be used"),
        preflight.state_lock(tmp_path / "file" / "state"),
    ):
        pass


def test_the_busy_share_is_a_share():
    busy = preflight.busy_ratio(0.05)
    assert busy is None or 0.0 <= busy <= 1.0


def test_secrets_are_made_once_and_for_the_owner_only(tmp_path):
    settings = config.load_settings(environ={}).with_values(
        {"davylamp": {"state_dir": str(tmp_path)}}
    )
    ensure_credentials(settings)
    secret, token = settings.webhook_secret_file, settings.api_token_file
    first = secret.read_text(), token.read_text()
    ensure_credentials(settings)
    assert (secret.read_text(), token.read_text()) == first
    assert first[0].startswith("whsec_")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (secret, token)] == [0o600, 0o600]
