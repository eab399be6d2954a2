"""The traffic split that was declared, and one that was not."""

from __future__ import annotations

import math

from analysis.stats.srm import log_e_split

BEYOND_DOUBT = math.log(1e4)


def test_no_traffic_is_no_evidence():
    assert log_e_split(0, 0, 0.5, 0.05) == 0.0


def test_a_fair_split_never_alarms():
    for n in range(10, 20_000, 370):
        assert log_e_split(n, n, 0.5, 0.0) < BEYOND_DOUBT


def test_a_split_off_by_ten_points_is_found():
    assert log_e_split(3000, 2000, 0.5, 0.05) > BEYOND_DOUBT


def test_within_the_tolerance_nothing_is_found_however_long():
    assert log_e_split(5_400_000, 4_600_000, 0.5, 0.05) < BEYOND_DOUBT


def test_only_one_arm_receives():
    assert log_e_split(200, 0, 0.5, 0.05) > BEYOND_DOUBT
    assert log_e_split(0, 200, 0.5, 0.05) > BEYOND_DOUBT
