"""Settings that cannot work are refused before anything starts."""

from __future__ import annotations

import pytest

from sample_services.config import check
from sample_services.errors import SettingError


def test_the_defaults_work(config):
    """What the tests and the project use passes."""
    check(config())
    check(config(host="localhost", profile="demo", plays_per_s=0.0, temporality="delta"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", "0.0.0.0"),
        ("host", "192.168.0.7"),
        ("host", "example"),
        ("profile", "huge"),
        ("temporality", "lowmemory"),
        ("plays_per_s", -1.0),
        ("plays_per_s", float("nan")),
        ("browse_per_s", float("inf")),
        ("accounts", 0),
        ("titles", 0),
        ("share_ratio", 0.0),
        ("share_ratio", 0.51),
        ("export_interval_s", 0.0),
        ("canary_lifetime_s", float("nan")),
    ],
)
def test_nonsense_is_refused_by_name(config, field, value):
    """The message names the setting."""
    with pytest.raises(SettingError, match=field):
        check(config(**{field: value}))
