"""The steps of a deployment."""

from __future__ import annotations

import pytest

from sample_services.controller import domain
from sample_services.controller.domain import Deployment, release_of
from sample_services.errors import DeploymentError
from sample_services.playback.builds import build_of


@pytest.fixture
def deployment():
    return Deployment(
        deployment_id="playback-1-a",
        service="playback",
        share_ratio=0.25,
        baseline=release_of("playback", "stable", build_of("stable")),
        canary=release_of("playback", "F01", build_of("F01")),
        started_unix_nano=1,
        expires_unix_nano=2,
    )


@pytest.mark.parametrize(
    "states",
    [
        ("observing", "draining", "rolled_back"),
        ("observing", "draining", "promoted"),
        ("refused",),
    ],
)
def test_the_ways_a_deployment_may_go(deployment, states):
    """Every step leaves a line with its time."""
    for number, state in enumerate(states):
        deployment.step(state, number, f"to {state}")
    assert deployment.state == states[-1]
    assert [line["unix_nano"] for line in deployment.history] == list(range(len(states)))


@pytest.mark.parametrize("state", sorted(domain.STEPS))
def test_what_is_over_stays_over(deployment, state):
    """Nothing follows an end."""
    deployment.state = "rolled_back"
    with pytest.raises(DeploymentError):
        deployment.step(state, 1, "again")


def test_the_first_canary_request_is_the_earliest_report(deployment):
    """Two edges report; the earlier one is kept."""
    assert [deployment.saw_canary_request(at) for at in (50, 60, 40)] == [True, False, True]
    assert deployment.first_canary_request_unix_nano == 40


def test_the_published_form_does_not_tell_the_builds(deployment):
    """An ordinary version and a digest, nothing else."""
    assert "F01" not in str(deployment.to_json())
    assert deployment.to_json()["canary"].keys() == {"version", "digest", "instances"}
