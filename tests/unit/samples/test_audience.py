"""The audience: reproducible, of the stated mix, and fair in what it blames on whom."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from sample_services.traffic.domain import (
    DEVICE_SHARES,
    DEVICES,
    Audience,
    Luck,
    Viewer,
    refused,
    start_of,
)

MANIFEST = {
    "locations": [{"site": "aurora-1"}],
    "start": {"rendition": "720p-avc", "first_segment_megabits": 4.8},
}


def audience(seed=3):
    return Audience(np.random.default_rng(seed), accounts=20_000, titles=500)


def viewer(trouble=None, segment_s=0.6, patience=0.99):
    luck = Luck(trouble=trouble, segment_s=segment_s, patience=patience)
    return Viewer("play-0001", "acc-1", "tv", "aurora", "title-0001", "a", luck)


def start(who, status=200, body=MANIFEST, request_s=0.04):
    return start_of(who, status=status, body=body, request_s=request_s)


def test_the_same_seed_brings_the_same_people_whatever_becomes_of_them():
    """Outcomes draw nothing: slow or failing services meet the same crowd."""
    calm, troubled = audience(), audience()
    expected = [(calm.gap_s(40.0), calm.next_viewer()) for _ in range(200)]
    found = []
    for number in range(200):
        found.append((troubled.gap_s(40.0), troubled.next_viewer()))
        start(found[-1][1], status=500 if number % 3 else 200, body={} if number % 3 else MANIFEST)
    assert expected == found
    assert audience(4).next_viewer() != expected[0][1]


def test_arrivals_are_a_poisson_stream():
    """Mean and deviation of the gaps are both one over the rate."""
    gaps_s = np.array(list(map(audience().gap_s, [50.0] * 5000)))
    assert gaps_s.mean() == pytest.approx(0.02, rel=0.06)
    assert gaps_s.std() == pytest.approx(0.02, rel=0.1)


def test_devices_come_in_their_shares_and_belong_to_their_account():
    """70 % on televisions, a fifth on the legacy ones; an account never changes its device."""
    drawn = audience()
    viewers = [drawn.next_viewer() for _ in range(10_000)]
    counted = Counter(v.device_class for v in viewers)
    for device, share in zip(DEVICES, DEVICE_SHARES, strict=True):
        assert counted[device] / len(viewers) == pytest.approx(share, abs=0.02)
    by_account = sorted((v.account, v.device_class, v.zone, v.isp) for v in viewers)
    assert all(a[1:] == b[1:] for a, b in pairwise(by_account) if a[0] == b[0])


def test_startup_is_five_waits_and_one_segment():
    """Composed from what was measured, not slept."""
    outcome = start(viewer(segment_s=0.6), request_s=0.1)
    assert (outcome.outcome, outcome.cdn_site) == ("success", "aurora-1")
    assert outcome.startup_s == pytest.approx(5 * 0.1 + 0.6)
    bigger = MANIFEST | {"start": {"rendition": "720p-avc", "first_segment_megabits": 7.2}}
    assert start(viewer(segment_s=0.6), body=bigger).startup_s == pytest.approx(5 * 0.04 + 0.9)


@pytest.mark.parametrize(
    ("startup_s", "patience", "outcome"),
    [(1.9, 0.0, "success"), (3.0, 0.05, "abandoned"), (3.0, 0.06, "success")],
)
def test_patience_ends_after_two_seconds(startup_s, patience, outcome):
    """5.8 % of the viewers leave per second beyond the second one."""
    who = viewer(segment_s=startup_s - 0.2, patience=patience)
    assert start(who, request_s=0.04).outcome == outcome


def test_a_rendition_that_was_never_encoded_fails_on_the_device():
    """HTTP said 200; the device finds out."""
    body = MANIFEST | {"start": {"rendition": "1080p-av1", "first_segment_megabits": 4.8}}
    found = start(viewer(), body=body)
    assert (found.outcome, found.error_type, found.startup_s) == (
        "failure_technical",
        "segment_missing",
        None,
    )


def test_devices_have_trouble_of_their_own():
    """Half a percent, in three kinds, one of which is what a broken manifest looks like."""
    drawn = audience()
    troubles = Counter(drawn.next_viewer().luck.trouble for _ in range(40_000))
    assert troubles.keys() == {None, "network_timeout", "decoder_error", "segment_missing"}
    assert 1.0 - troubles[None] / 40_000 == pytest.approx(0.005, abs=0.0015)
    assert start(viewer(trouble="decoder_error")).error_type == "decoder_error"


@pytest.mark.parametrize(
    ("status", "body", "outcome", "error_type"),
    [
        (403, {"error": {"type": "not_entitled"}}, "failure_business", "not_entitled"),
        (403, {}, "failure_business", "not_entitled"),
        (500, {"error": {"type": "licence_refused"}}, "failure_technical", "licence_refused"),
        (503, {}, "failure_technical", "http_503"),
        (0, {}, "failure_technical", "edge_unreachable"),
    ],
)
def test_refusals_are_business_or_technical(status, body, outcome, error_type):
    """Only 403 is nobody's failure."""
    assert (refused(status, body).outcome, refused(status, body).error_type) == (
        outcome,
        error_type,
    )
