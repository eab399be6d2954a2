"""Alertmanager's silences in JSON: read strictly where it matters, shown as it shows them."""

from __future__ import annotations

import json

import pytest

from analysis.alerts.wire import read_silence, silence_json
from analysis.errors import BadRequestError

NOW = 1_767_571_200_000_000_000
# As amtool 0.25 posts it.
BODY = {
    "comment": "the database moves",
    "createdBy": "ada",
    "endsAt": "2026-01-05T02:00:00.000Z",
    "matchers": [{"isEqual": True, "isRegex": False, "name": "severity", "value": "page"}],
    "startsAt": "2026-01-05T00:30:00.000Z",
}
RULE = {
    "start_time": "2026-01-05T02:00:00",
    "time_zone": "Europe/Berlin",
    "duration_s": 1_800,
    "rule": "FREQ=DAILY",
}


def read(**changes):
    return read_silence(json.dumps(BODY | changes).encode(), "sil_1", NOW)


def test_what_is_read_is_shown():
    replaced, found = read()
    assert replaced == ""
    shown = silence_json(found, NOW)
    assert shown["status"] == {"state": "pending"}
    for name in ("comment", "createdBy", "matchers"):
        assert shown[name] == BODY[name]
    assert (shown["startsAt"], shown["endsAt"]) == (
        "2026-01-05T00:30:00.000000Z",
        "2026-01-05T02:00:00.000000Z",
    )
    # What is shown may be posted back, as amtool does to change it.
    again, same = read_silence(json.dumps(shown).encode(), "sil_2", NOW)
    assert again == "sil_1"
    assert same.matchers == found.matchers


@pytest.mark.parametrize("is_equal", [True, False])
@pytest.mark.parametrize("is_regex", [True, False])
def test_operators(is_equal, is_regex):
    more = {"isEqual": is_equal, "isRegex": is_regex, "name": "slo", "value": "a|b"}
    _, found = read(matchers=[*BODY["matchers"], more])
    assert silence_json(found, NOW)["matchers"][1] == more


def test_a_silence_begins_now_at_the_earliest():
    _, found = read(startsAt="2020-01-01T00:00:00Z")
    assert found.starts_unix_nano == NOW


def test_a_rule():
    _, found = read(recurring=RULE)
    assert silence_json(found, NOW)["recurring"] == RULE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"matchers": []}, "matchers"),
        ({"matchers": [{"name": "a", "value": "(", "isRegex": True}]}, "regexp"),
        ({"matchers": [{"name": "a", "value": "b"}]}, "isRegex"),
        ({"endsAt": "2026-01-04T00:00:00Z"}, "past"),
        ({"endsAt": "2026-01-05T02:00:00"}, "offset"),
        ({"endsAt": "tomorrow"}, "endsAt"),
        ({"createdBy": ""}, "createdBy"),
        ({"recurring": RULE | {"start_time": "x"}}, "recurring"),
        ({"recurring": RULE | {"time_zone": "Mars"}}, "Mars"),
    ],
)  # fmt: skip
def test_what_is_refused(changes, words):
    with pytest.raises(BadRequestError) as caught:
        read(**changes)
    assert words in f"{caught.value} {caught.value.accepted}"


def test_what_is_not_json():
    with pytest.raises(BadRequestError):
        read_silence(b"{", "sil_1", NOW)
