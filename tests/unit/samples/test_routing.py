"""The split of the accounts and the choice of an instance."""

from __future__ import annotations

from collections import Counter

import pytest

from sample_services.routing import (
    Endpoint,
    RoutingTable,
    Split,
    build_table,
    table_from_json,
    unit_interval,
)

ACCOUNTS = [f"acc-{number:06d}" for number in range(20_000)]


def table_of(split, *endpoints):
    return RoutingTable(version=3, split=split, endpoints=endpoints)


def endpoint(instance_id, arm="stable", zone="a", service="playback"):
    return Endpoint(service, arm, zone, instance_id, f"http://127.0.0.1/{instance_id}")


@pytest.mark.parametrize("deployment_id", ["d-1", "playback-1790000000-0a1b2c", "d-3"])
@pytest.mark.parametrize("share_ratio", [0.05, 0.25, 0.5])
def test_both_arms_get_the_same_share(deployment_id, share_ratio):
    """Each arm's count lies within four deviations of its share of 20 000 accounts."""
    table = table_of(Split(deployment_id, "playback", share_ratio))
    counted = Counter(map(table.arm_of, ACCOUNTS))
    deviation = (len(ACCOUNTS) * share_ratio * (1.0 - share_ratio)) ** 0.5
    for arm in ("baseline", "canary"):
        assert abs(counted[arm] - len(ACCOUNTS) * share_ratio) < 4.0 * deviation


def test_an_account_stays_and_is_dealt_anew_next_time():
    """Sticky within a deployment, independent between two."""
    first, second = (table_of(Split(name, "playback", 0.25)) for name in ("d-1", "d-2"))
    assert [first.arm_of(a) for a in ACCOUNTS[:500]] == [first.arm_of(a) for a in ACCOUNTS[:500]]
    both = sum(first.arm_of(a) == second.arm_of(a) == "canary" for a in ACCOUNTS)
    assert 0.05 < both / len(ACCOUNTS) < 0.075  # 1/16 when independent


def test_devices_are_spread_alike_over_the_arms():
    """The hash of the arm says nothing about the hash of the device."""
    table = table_of(Split("d-1", "playback", 0.25))
    legacy = [a for a in ACCOUNTS if unit_interval("device", a) >= 0.8]
    counted = Counter(map(table.arm_of, legacy))
    assert abs(counted["baseline"] - counted["canary"]) < 4.0 * (len(legacy) / 2) ** 0.5


def test_nobody_is_in_an_arm_without_a_deployment():
    """No split, no arm."""
    assert table_of(None).arm_of("acc-000001") is None


def test_candidates_are_of_the_arm_and_nearest_first():
    """Own zone before others, without those to avoid; None means stable."""
    table = table_of(
        Split("d-1", "playback", 0.25),
        endpoint("p-b", zone="b"),
        endpoint("p-a"),
        endpoint("c-a", arm="canary"),
        endpoint("s-a", service="steering"),
    )

    def found(**options):
        return [e.instance_id for e in table.candidates("playback", zone="a", **options)]

    assert found(arm=None) == ["p-a", "p-b"]
    assert found(arm="canary") == ["c-a"]
    assert found(arm="baseline") == []
    assert found(arm=None, avoid=["p-a"]) == ["p-b"]


def test_a_table_survives_its_published_form():
    """What readers decode is what was built."""
    table = table_of(Split("d-1", "playback", 0.25), endpoint("p-a"), endpoint("c", arm="canary"))
    assert table_from_json(table.to_json()) == table
    assert table_from_json(table_of(None).to_json()) == table_of(None)


def test_hidden_positions_and_arms_without_a_split_are_not_published(instance):
    """Arms are routable only while the deployment is on."""
    instances = [
        instance("playback/a/stable"),
        instance("playback/b/stable"),
        instance("playback/a/d-1/canary", arm="canary"),
    ]

    def slots(split, hidden):
        table = build_table(1, instances, split=split, hidden_slots=hidden, host="127.0.0.1")
        return {(e.arm, e.zone) for e in table.endpoints}

    split = Split("d-1", "playback", 0.25)
    assert slots(split, ()) == {("stable", "a"), ("stable", "b"), ("canary", "a")}
    assert slots(None, ()) == {("stable", "a"), ("stable", "b")}
    assert slots(split, {"playback/a/d-1/canary", "playback/b/stable"}) == {("stable", "a")}
