"""Two people in the settings: off unless asked for, bounded, and what they would approve."""

from __future__ import annotations

import pytest

from analysis.config import check
from analysis.errors import StartError
from davylamp.config import analysis_config, load_settings

PROD = """
[[analysis.endpoints]]
endpoint_id = "prod"
url = "https://deploy.example/"
secret_file = "here/webhook.secret"
allowed_networks = ["10.0.0.0/8", "10.9.0.0/16"]
plain_http = false
lanes = ["prod/*"]
"""
CHAT = """
[[analysis.notices]]
endpoint_id = "chat"
url = "https://chat.example/"
secret_file = "here/webhook.secret"
allowed_networks = []
plain_http = false
format = "{form}"
kinds = ["decision", "proposal"]
"""


@pytest.fixture
def configured(tmp_path):
    """Settings with a text over the defaults."""

    def read(text):
        path = tmp_path / "davylamp.toml"
        path.write_text(text)
        return analysis_config(load_settings([path], environ={}))

    return read


def test_one_person_is_enough_by_default(configured):
    config = configured("")
    check(config)
    assert not config.guards.two_persons
    watch = config.guarding().settings
    assert watch is not None
    assert not watch.is_required


@pytest.mark.parametrize("lifetime_s", ["0.0", "-1.0", "nan", "86401.0"])
def test_a_proposal_waits_within_a_day(configured, lifetime_s):
    text = f"[analysis.guards]\ntwo_persons = true\nproposal_lifetime_s = {lifetime_s}\n"
    with pytest.raises(StartError, match="proposal_lifetime_s"):
        check(configured(text))


def test_what_is_approved_is_what_commands_follow(configured):
    config = configured(
        f'[analysis.guards]\ntwo_persons = true\nservice_modes = ["a=observe"]\n{PROD}'
    )
    own = config.guarded
    assert (own.general_mode, own.service_modes) == ("act", {"a": "observe"})
    assert own.limits == config.guards.limits
    prod, rest = own.destinations
    assert (prod.lanes, rest.lanes) == (("prod/*",), ("*/*",))
    assert (prod.url, rest.url) == ("https://deploy.example/", config.endpoint.url)
    again = configured(
        "[analysis.guards]\ntwo_persons = true\nservice_modes = ['a=observe']\n"
        + PROD.replace('"10.0.0.0/8", "10.9.0.0/16"', '"10.9.0.0/16", "10.0.0.0/8"')
    )
    assert again.guarded.sha256 == own.sha256, "an order that means nothing"


def test_a_pager_is_not_told_of_proposals(configured):
    check(configured(CHAT.format(form="standard")))
    for form in ("pagerduty", "alertmanager"):
        with pytest.raises(StartError, match=r"accepted: decision, .*, slo_ticket$"):
            check(configured(CHAT.format(form=form)))
