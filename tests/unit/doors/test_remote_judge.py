"""Kayenta's remote judge: its shapes, its own judge's verdicts, bad bodies."""

from __future__ import annotations

import json

import numpy as np
import pytest

from analysis.doors.remote_judge import judge_remotely
from analysis.errors import BadRequestError


def body(control, experiment, *, mode=None, critical=False, thresholds=None):
    configurations = {} if mode is None else {"mode": mode}
    metric = {
        "name": "latency",
        "groups": ["g"],
        "analysisConfigurations": {"canary": {"direction": "increase", "critical": critical}},
    }
    return json.dumps(
        {
            "canaryConfig": {
                "name": "c",
                "judge": {"name": "RemoteJudge-v1.0", "judgeConfigurations": configurations},
                "metrics": [metric],
                "classifier": {"groupWeights": {"g": 100}},
            },
            "scoreThresholds": thresholds or {"pass": 90, "marginal": 50},
            "metricSetPairList": [
                {
                    "name": "latency",
                    "id": "pair-1",
                    "tags": {"zone": "a"},
                    "values": {"control": control, "experiment": experiment},
                    "scopes": {},
                }
            ],
        }
    ).encode()


def points(scale=1.0, seed=0):
    return (scale * np.random.default_rng(seed).normal(100, 5, 60)).tolist()


@pytest.mark.parametrize("mode", [None, "kayenta", "exact"])
def test_the_same_passes_and_a_shift_fails(mode):
    """In both modes; the answer has all fields that Orca and Deck read."""
    good = judge_remotely(body(points(), points(seed=1), mode=mode))
    assert good["judgeName"] == "RemoteJudge-v1.0"
    assert good["score"] == {"score": 100.0, "classification": "Pass", "classificationReason": ""}
    bad = judge_remotely(body(points(), points(2.0, seed=1), mode=mode))
    assert bad["score"]["classification"] == "Fail"
    (result,) = bad["results"]
    assert (result["id"], result["classification"], result["tags"]) == (
        "pair-1", "High", {"zone": "a"},
    )  # fmt: skip
    assert result["controlMetadata"]["stats"]["count"] == 60


def test_no_data_is_not_a_pass():
    """Empty, NaN as Kayenta writes it, null."""
    for experiment in ([], ["NaN"] * 5, [None] * 5):
        found = judge_remotely(body(points(), experiment))
        assert found["score"]["classification"] == "Fail"
        assert found["results"][0]["classification"].startswith("Nodata")


def test_the_exact_mode_leaves_few_points_undecided():
    """Where Kayenta's would pass three equal-looking points."""
    few = body([1.0, 2.0, 3.0], [1.5, 2.5, 3.5], mode="exact")
    assert judge_remotely(few)["results"][0]["classification"] == "Nodata"
    assert "too few points" in judge_remotely(few)["results"][0]["classificationReason"]


def test_the_same_bytes_give_the_same_answer():
    """Noise for constant sides is drawn from the body's digest."""
    constant = body([5.0] * 30, [5.0] * 29 + [6.0])
    assert judge_remotely(constant) == judge_remotely(constant)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"{", "not JSON"),
        (b"[]", "not an object"),
        (b"{}", "canaryConfig"),
        (b'{"canaryConfig":{},"metricSetPairList":5}', "metricSetPairList"),
        (b'{"canaryConfig":{},"metricSetPairList":[1]}', r"metricSetPairList\[0\]"),
        (body(["x"], [1]), "values.control"),
        (body([1], [1], mode="magic"), "magic"),
        (body([1], [1], thresholds={"pass": "high"}), "scoreThresholds.pass"),
        (body([1], [1]).replace(b'"name": "latency", "id"', b'"name": "other", "id"'), "other"),
    ],
)
def test_a_bad_body_says_what_is_wrong(raw, words):
    """A typed error, never a traceback."""
    with pytest.raises(BadRequestError, match=words):
        judge_remotely(raw)
