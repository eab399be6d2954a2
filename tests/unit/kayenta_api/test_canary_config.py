"""Configurations: what is kept, and what each refused one is told."""

from __future__ import annotations

import pytest

from analysis.kayenta_api.canary_config import checked, iso, stamped, summary
from analysis.kayenta_api.errors import KayentaApiError

QUERY = {"type": "prometheus", "metricName": "latency"}


def config(**changes):
    made = {
        "name": "playback-canary",
        "applications": ["playback"],
        "metrics": [{"name": "latency", "query": QUERY, "groups": ["all"]}],
        "classifier": {"groupWeights": {"all": 100}},
    }
    return {name: value for name, value in {**made, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": "a,b"},
        {"id": "my-config_1"},
        {"metrics": None},
        {"templates": {"t": "PromQL: up"}},
        {"classifier": None},
        {"metrics": [{"name": "x", "query": {"serviceType": "prometheus"}}]},
    ],
)
def test_what_kayenta_takes_is_taken(changes):
    """As it came."""
    assert checked(config(**changes)) == config(**changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None}, "must specify a name"),
        ({"name": "a b"}, "cannot be named 'a b'"),
        ({"applications": []}, "at least one application"),
        ({"applications": "x"}, "at least one application"),
        ({"id": "../x"}, "id: up to 100"),
        ({"metrics": {}}, "metrics: a list"),
        ({"metrics": [{"query": QUERY}]}, r"metrics\[0\]: an object with a name"),
        ({"metrics": [{"name": "x", "query": QUERY}] * 2}, "'x' is used twice"),
        ({"metrics": [{"name": "x"}]}, r"metrics\[0\].query: an object"),
        (
            {"metrics": [{"name": "x", "query": {"type": "datadog"}}]},
            "'datadog' is not known here; accepted: 'prometheus'",
        ),
        (
            {"metrics": [{"name": "x", "query": {**QUERY, "customFilter": "y"}}]},
            "customFilter is deprecated",
        ),
        (
            {"metrics": [{"name": "x", "query": {**QUERY, "labelBindings": "y"}}]},
            "labelBindings: a list of texts",
        ),
        (
            {
                "metrics": [
                    {
                        "name": "x",
                        "query": QUERY,
                        "analysisConfigurations": {
                            "canary": {"effectSize": {"allowedIncrease": "much"}}
                        },
                    }
                ]
            },
            "allowedIncrease must be a number",
        ),
        ({"templates": {"t": 1}}, "templates: an object of texts"),
        ({"classifier": {"groupWeights": {"all": "x"}}}, "groupWeights: an object of numbers"),
        ({"classifier": []}, "groupWeights: an object of numbers"),
    ],
)
def test_what_is_wrong_is_said(changes, words):
    """Where, and what would be taken."""
    with pytest.raises(KayentaApiError, match=words):
        checked(config(**changes))


@pytest.mark.parametrize("raw", [None, [], "x", 3])
def test_anything_but_an_object_is_refused(raw):
    """Also a list of configurations."""
    with pytest.raises(KayentaApiError, match="a JSON object"):
        checked(raw)


def test_times_and_the_list_entry():
    """What Gate shows in its list."""
    made = stamped(config(), "c1", 1_000, 61_500)
    assert (made["createdTimestampIso"], made["updatedTimestamp"]) == (
        "1970-01-01T00:00:01.000Z",
        61_500,
    )
    assert summary(made) == {
        "id": "c1",
        "name": "playback-canary",
        "updatedTimestamp": 61_500,
        "updatedTimestampIso": "1970-01-01T00:01:01.500Z",
        "applications": ["playback"],
    }
    assert iso(0) == "1970-01-01T00:00:00.000Z"
