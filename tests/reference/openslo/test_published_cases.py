"""Every reference case about objectives, through the benchmark that replays them."""

from __future__ import annotations

import pytest

from bench.slo.cases import SECTIONS, replay

#: Official verdicts have a test of their own; the simulation is the benchmark's.
ELSEWHERE = {"openslo_sdk_cases", "openslo_v1_mutations", "openslo_examples", "low_traffic_sim"}


@pytest.mark.parametrize("section", sorted(set(SECTIONS) - ELSEWHERE))
def test_reference_cases(cases, section):
    """Nothing is wrong with any answer."""
    wrong = {case["id"]: replay(section, case) for case in cases[section]}
    assert {name: problems for name, problems in wrong.items() if problems} == {}


def test_every_section_is_known(cases):
    """None is passed over."""
    assert set(cases) - {"meta"} == set(SECTIONS)


def test_a_wrong_answer_is_found():
    """The replay can fail."""
    case = {"slo": 0.999, "window_min": 60, "burn": 36, "expected": {"detection_min": 2.2}}
    assert replay("sre_workbook", case) == ["detection_min: 2.16, expected 2.2"]
    assert replay("nothing", {}) == ["no replay for section nothing"]
