"""Starts by zone from the increases the collector answers."""

from __future__ import annotations

import pytest

from dashboards.answers import collector
from dashboards.playback import place_name, starts_of

T0_S = 1_790_000_000


def answer(groups, *, end_s=60, step_s=10):
    """``groups``: (zone, outcome) -> increases per step."""
    return collector.series(
        {
            "groups": [
                {
                    "attributes": {
                        "cloud.region": "eu",
                        "cloud.availability_zone": zone,
                        "playback.outcome": outcome,
                    },
                    "points": [[T0_S + i * step_s, v] for i, v in enumerate(values)],
                }
                for (zone, outcome), values in groups.items()
            ],
            "to_unix_nano": (T0_S + end_s) * 1_000_000_000,
            "step_s": step_s,
            "truncated": False,
        }
    )


def test_success_is_a_ratio_of_sums_and_only_technical_failures_count():
    """Refusals and abandoned starts are load, not failures."""
    found = starts_of(
        answer(
            {
                ("eu-a", "success"): [90, 90],
                ("eu-a", "failure_technical"): [10, 0],
                ("eu-a", "failure_business"): [50, 0],
                ("eu-a", "abandoned"): [50, 10],
            }
        ),
        settle_s=2.0,
    )
    (zone,) = found.zones
    assert zone.zone == "eu-a"
    assert zone.rates_per_s == (20.0, 10.0)
    assert zone.success_ratios == (0.9, 1.0)
    assert found.rate_per_s == pytest.approx(15.0)
    assert found.success_ratio == pytest.approx(180 / 190)


def test_a_step_nobody_reported_is_a_gap_and_never_zero():
    """None, for rate and share alike; the headline looks at what was heard."""
    found = starts_of(answer({("eu-a", "success"): [5, None, 5]}), settle_s=2.0)
    assert found.zones[0].rates_per_s == (0.5, None, 0.5)
    assert found.zones[0].success_ratios == (1.0, None, 1.0)


def test_a_step_that_still_fills_is_not_drawn():
    """Else every chart would end in a dive."""
    found = starts_of(answer({("eu-a", "success"): [9] * 6}, end_s=60), settle_s=2.0)
    assert len(found.zones[0].times_unix_s) == 5
    found = starts_of(answer({("eu-a", "success"): [9] * 6}, end_s=62), settle_s=2.0)
    assert len(found.zones[0].times_unix_s) == 6


def test_the_headline_is_the_last_minute_of_all_zones():
    """Older steps do not count."""
    found = starts_of(
        answer(
            {("eu-a", "success"): [1000] + [10] * 6, ("eu-b", "success"): [1000] + [20] * 6},
            end_s=72,
        ),
        settle_s=2.0,
    )
    assert found.rate_per_s == pytest.approx(3.0)


def test_no_series_means_no_numbers():
    """Not zero plays per second."""
    found = starts_of(answer({}), settle_s=2.0)
    assert (found.zones, found.rate_per_s, found.success_ratio) == ((), None, None)


@pytest.mark.parametrize(
    ("region", "zone", "expected"),
    [
        ("eu-west", "eu-west-1a", "eu-west-1a"),
        ("eu-west", "b", "eu-west / b"),
        ("", "b", "b"),
        ("eu", "", "eu"),
        ("", "", "no zone"),
    ],
)
def test_places_say_nothing_twice(region, zone, expected):
    """The region is named only when the zone does not contain it."""
    assert place_name(region, zone) == expected
