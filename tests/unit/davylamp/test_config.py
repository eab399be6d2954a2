"""Settings: what wins over what, and what a wrong one says."""

from __future__ import annotations

import pytest

from davylamp import config
from davylamp.errors import ConfigError


def test_defaults_are_complete_and_consistent():
    """The shipped file alone configures everything; addresses follow from ports."""
    settings = config.load_settings(environ={})
    assert settings.url("collector", "api_port") == "http://127.0.0.1:4319"
    assert settings.webhook_secret_file.parts[-2:] == ("secrets", "webhook.secret")


def test_environment_wins_over_file_wins_over_defaults(tmp_path):
    """defaults.toml, then files in order, then variables."""
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text("[dashboards]\nport = 1\n[samples]\nseed = 1\n")
    second.write_text("[dashboards]\nport = 2\n[samples]\nseed = 2\n")
    environ = {"DAVYLAMP_SAMPLES__SEED": "3", "HOME": "unrelated"}
    settings = config.load_settings([first, second], environ)
    assert settings.port("dashboards", "port") == 2
    assert settings.section("samples")["seed"] == 3


def test_variables_reach_a_child_unchanged():
    """environment_of and load_settings are inverse."""
    values = {"samples": {"seed": 9, "plays_per_s": 1.5}, "davylamp": {"state_dir": "some where"}}
    settings = config.load_settings(environ=config.environment_of(values))
    assert settings.section("samples")["seed"] == 9
    assert settings.section("samples")["plays_per_s"] == 1.5
    assert str(settings.state_dir) == "some where"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[dashboard]\nport = 1\n", "one of access, analysis, collector"),
        ("[dashboards]\nprot = 1\n", "prot"),
        ("dashboards = 1\n", "a table"),
        ("[dashboards\n", "TOML"),
    ],
)
def test_a_wrong_file_names_the_place_and_what_is_accepted(tmp_path, text, said):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        config.load_settings([path], {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DAVYLAMP_NOBODY__PORT", "1"),
        ("DAVYLAMP_SAMPLES__NOTHING", "1"),
        ("DAVYLAMP_SAMPLES", "1"),
        ("DAVYLAMP_SAMPLES__SEED", "one and a half"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=name):
        config.load_settings(environ={name: value})


@pytest.mark.parametrize("port", [-1, 65_536, "8050", True, 1.5])
def test_a_port_is_a_port(port):
    settings = config.load_settings(environ={}).with_values({"dashboards": {"port": port}})
    with pytest.raises(ConfigError, match=r"dashboards\.port"):
        settings.port("dashboards", "port")


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", "1"), ("seed", 1.5), ("profile", "huge"), ("plays_per_s", True), ("surplus", 1)],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(key, value):
    settings = config.load_settings(environ={}).with_values({"samples": {key: value}})
    with pytest.raises(ConfigError, match=f"samples.{key}"):
        config.samples_config(settings)


def test_whole_numbers_serve_as_fractions():
    """plays_per_s = 48 is as good as 48.0."""
    settings = config.load_settings(environ={}).with_values({"samples": {"plays_per_s": 48}})
    assert config.samples_config(settings).plays_per_s == 48.0
