"""Which processes a profile consists of."""

from __future__ import annotations

from collections import Counter

from sample_services import layout


def test_demo_runs_every_service_in_both_zones(config):
    """Five services, two zones."""
    specs = layout.service_specs(config(profile="demo"))
    assert {(spec.service, spec.zone) for spec in specs} == {
        (service, zone) for service in layout.SERVICES for zone in ("a", "b")
    }
    assert layout.arm_zones(config(profile="demo")) == ("a", "b")


def test_tiny_runs_one_of_each_and_playback_twice(config):
    """Small, and still with somewhere to go when a playback dies."""
    counted = Counter(spec.service for spec in layout.service_specs(config()))
    assert counted == {
        "edge": 1,
        "playback": 2,
        "profiles": 1,
        "recommendations": 1,
        "steering": 1,
    }


def test_only_the_first_edge_has_the_configured_port(config):
    """Everyone else is found through the routes."""
    specs = layout.service_specs(config(profile="demo", edge_port=7001))
    assert [spec.slot for spec in specs if spec.port] == ["edge/a/stable"]


def test_a_slot_tells_its_label():
    """Also when the label itself has a slash."""
    assert layout.slot_label(layout.slot_name("playback", "a")) == "stable"
    assert layout.slot_label(layout.slot_name("playback", "a", "d-1/canary")) == "d-1/canary"
