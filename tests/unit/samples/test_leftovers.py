"""What a deployer that died in the middle of something leaves behind."""

from __future__ import annotations

from sample_services.controller.leftovers import leftovers

OLD = ["playback/a/stable", "playback/b/stable"]
NEW = [
    "playback/a/playback-1790000000-abc123/stable",
    "playback/b/playback-1790000000-abc123/stable",
]
NEWER = [slot.replace("1790000000", "1790000100") for slot in NEW]


def found(instance, *slots):
    return leftovers([instance(slot) for slot in slots], "playback")


def test_one_generation_is_left_alone(instance):
    """Also a half one: its other instance is being restarted."""
    assert found(instance, *OLD, "edge/a/stable", "edge/b/stable") == []
    assert found(instance, OLD[0]) == []
    assert found(instance, *NEW) == []
    assert found(instance) == []


def test_arms_without_a_deployment_go(instance):
    """Both arms, whatever the service."""
    arms = [
        instance("playback/a/d-1/baseline", arm="baseline"),
        instance("playback/a/d-1/canary", arm="canary"),
    ]
    stable = [instance(slot) for slot in OLD]
    assert leftovers([*stable, *arms], "playback") == [
        "playback/a/d-1/baseline",
        "playback/a/d-1/canary",
    ]


def test_the_newest_complete_generation_stays(instance):
    """A promotion cut short after its instances came up is finished, before that it is undone."""
    assert found(instance, *OLD, *NEW) == OLD
    assert found(instance, *NEW, *NEWER) == NEW
    assert found(instance, *OLD, NEW[0]) == [NEW[0]]
    assert found(instance, OLD[0], *NEW) == [OLD[0]]
