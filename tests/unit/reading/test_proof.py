"""Silence proves something only beside other voices."""

from __future__ import annotations

import pytest

from analysis.reading.answers import HeardInstance, SeriesAnswer
from analysis.reading.proof import canary_is_silent, canary_is_stable

SECOND_NS = 1_000_000_000
SINCE = 1_790_000_000 * SECOND_NS
SILENT_S = 5.0


def _heard(instance: str, version: str, second: float, service: str = "playback"):
    return HeardInstance(service, version, instance, SINCE + round(second * SECOND_NS))


def _series(counts, **attributes):
    points = {SINCE + i * SECOND_NS: count for i, count in counts.items()}
    return SeriesAnswer(((attributes, points),), SINCE, SINCE + 60 * SECOND_NS, SECOND_NS)


@pytest.mark.parametrize(
    ("is_proven", "heard"),
    [
        (True, [_heard("b-0", "2.3.0", 6)]),
        (True, [_heard("b-0", "2.3.0", 9), _heard("c-0", "2.4.0", 4)]),
        (False, [_heard("b-0", "2.3.0", 8), _heard("c-0", "2.4.0", 4)]),  # it spoke 4 s before
        (False, [_heard("b-0", "2.3.0", 4)]),  # the witness is not newer than the silence
        (False, []),  # nobody is heard: perhaps the collector is down
        (False, [_heard("c-0", "2.4.0", -30)]),  # silent for long, but without a witness
        (True, [_heard("edge-a", "5.1.0", 6, "edge")]),  # another service may testify
    ],
)
def test_a_rollback_is_proven_by_silence_beside_a_witness(roster, is_proven, heard):
    """The witness' newest point must be newer than the canary's by the whole silence."""
    proof = canary_is_silent(roster, heard, None, since_unix_nano=SINCE, silent_s=SILENT_S)
    assert is_proven == proof.is_proven
    assert proof.detail


@pytest.mark.parametrize(("is_proven", "last_s"), [(True, 3), (False, 5)])
def test_viewers_seen_by_others_break_the_silence(roster, is_proven, last_s):
    """Its instances hide, but the edge still counts the canary's viewers."""
    witness = [_heard("edge-a", "5.1.0", 9, "edge")]
    starts = _series({last_s: 1, last_s + 1: 0})
    proof = canary_is_silent(roster, witness, starts, since_unix_nano=SINCE, silent_s=SILENT_S)
    assert is_proven == proof.is_proven


NEW = _heard("n-0", "2.4.0", 9)


@pytest.mark.parametrize(
    ("is_proven", "server", "requests", "heard"),
    [
        (True, "n-0", 3, [NEW]),
        (True, "n-0", 3, [NEW, _heard("b-0", "2.3.0", 2), _heard("c-0", "2.4.0", 3)]),
        (False, "n-0", 3, [NEW, _heard("b-0", "2.3.0", 8)]),  # an old one still speaks
        (False, "n-0", 3, [NEW, _heard("c-0", "2.4.0", 8)]),  # the canary still speaks
        (False, "n-0", 0, [NEW]),  # it is there, but serves nobody
        (False, "c-0", 3, [NEW]),  # only the canary itself serves
        (False, "b-0", 3, [NEW]),
        (False, "n-0", 3, []),  # no witness
    ],
)
def test_a_promotion_is_proven_by_new_ones_serving_and_old_ones_silent(
    roster, is_proven, server, requests, heard
):
    """Both halves are needed."""
    served = _series({1: requests}, **{"service.instance.id": server})
    proof = canary_is_stable(roster, heard, served, since_unix_nano=SINCE, silent_s=SILENT_S)
    assert is_proven == proof.is_proven
