"""Receivers in the settings: read from tables, checked before anything is started."""

from __future__ import annotations

import pytest

from analysis.config import check
from analysis.errors import StartError
from davylamp.config import analysis_config, load_settings
from davylamp.errors import ConfigError

ENDPOINT = """
[[analysis.endpoints]]
endpoint_id = "{name}"
url = "{url}"
secret_file = "here/webhook.secret"
allowed_networks = ["10.0.0.0/8"]
plain_http = false
lanes = {lanes}
"""


@pytest.fixture
def configured(tmp_path):
    """Settings with one more endpoint per given dict."""

    def read(*changes):
        text = ""
        for change in changes:
            values = {"name": "prod", "url": "https://deploy.example/", "lanes": '["prod/*"]'}
            text += ENDPOINT.format(**values | change)
        path = tmp_path / "davylamp.toml"
        path.write_text(text)
        return analysis_config(load_settings([path], environ={}))

    return read


def test_receivers_of_lanes_are_read(configured):
    """As many as there are tables; the routes follow their order."""
    config = configured({}, {"name": "tests", "lanes": '["test-*/*", "dev/search"]'})
    check(config)
    assert [route.endpoint_id for route in config.routes] == ["prod", "tests"]
    assert config.routes[1].lanes == ("test-*/*", "dev/search")
    assert config.endpoints[0].secret_file.name == "webhook.secret"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([{"lanes": '["playback"]'}], "accepted: such as"),
        ([{"lanes": "[]"}], "accepted: such as"),
        ([{"name": "a b"}], "endpoint_id must be"),
        ([{}, {}], "must be another"),
        ([{"name": "deploy-controller"}], "must be another"),
        ([{"url": "http://deploy.example/"}], "prod"),
    ],
)
def test_a_receiver_that_cannot_work_is_refused_by_name(configured, changes, said):
    """Before the process listens."""
    with pytest.raises(StartError, match=said):
        check(configured(*changes))


def test_a_table_with_a_wrong_key_is_refused(tmp_path):
    """As everywhere in the settings."""
    path = tmp_path / "davylamp.toml"
    path.write_text('[[analysis.endpoints]]\nurll = "x"\n')
    with pytest.raises(ConfigError, match="urll"):
        analysis_config(load_settings([path], environ={}))
