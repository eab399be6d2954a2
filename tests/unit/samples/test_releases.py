"""How releases of playback behave: the faults, as shares of many plays."""

from __future__ import annotations

import numpy as np
import pytest

from sample_services.catalogue import encoded_renditions, title_id
from sample_services.errors import UnknownBuildError
from sample_services.playback.builds import BUILDS, STABLE, build_of, digest_of
from sample_services.playback.domain import Session, licence_granted, manifest_of, renditions_for
from sample_services.steering.domain import rank
from sample_services.traffic.domain import Audience

PLAYS = 20_000


@pytest.fixture(scope="module")
def sessions():
    audience = Audience(np.random.default_rng(5), accounts=20_000, titles=500)
    viewers = [audience.next_viewer() for _ in range(PLAYS)]
    return [Session(v.play_id, v.account, v.device_class, v.title) for v in viewers]


def refused_ratio(sessions, key, legacy):
    chosen = [s for s in sessions if (s.device_class == "tv-legacy") is legacy]
    return sum(not licence_granted(s, build_of(key)) for s in chosen) / len(chosen)


def unencoded_ratio(sessions, key):
    manifests = [manifest_of(s, build_of(key), ()) for s in sessions]
    return sum(
        m["start"]["rendition"] not in encoded_renditions(m["title"]) for m in manifests
    ) / len(manifests)


def test_f01_refuses_three_in_ten_of_one_device_family(sessions):
    """30 % of the legacy televisions, nobody else, six points of all plays."""
    assert 0.27 < refused_ratio(sessions, "F01", legacy=True) < 0.33
    assert refused_ratio(sessions, "F01", legacy=False) < 0.004
    overall = sum(not licence_granted(s, build_of("F01")) for s in sessions) / len(sessions)
    assert 0.05 < overall < 0.07


def test_f03_takes_longer_in_both_parts_of_a_start():
    """Half as much again: 30 of 40 ms x 1.67, and the first segment x 1.5."""
    slow, healthy = build_of("F03"), build_of(STABLE)
    assert 10.0 + 30.0 * slow.assembly_factor == pytest.approx(60.0, abs=0.2)
    session = Session("p", "a", "tv", title_id(1))
    slow_start, start = (manifest_of(session, b, ())["start"] for b in (slow, healthy))
    assert slow_start["first_segment_megabits"] == pytest.approx(
        1.5 * start["first_segment_megabits"]
    )
    assert slow_start["rendition"] == start["rendition"]


def test_f04_names_a_rendition_nobody_encoded(sessions):
    """About a tenth of the plays, the licence is granted all the same."""
    assert 0.04 < unencoded_ratio(sessions, "F04") < 0.2
    assert refused_ratio(sessions, "F04", legacy=True) < 0.01


@pytest.mark.parametrize("key", [STABLE, "F01", "F03", "N5"])
def test_every_other_release_starts_with_what_exists(sessions, key):
    """A missing rendition is F04's alone."""
    assert unencoded_ratio(sessions, key) == 0.0


def test_n5_answers_exactly_like_the_stable_release(sessions):
    """Play for play the same licence and the same manifest."""
    good, healthy = build_of("N5"), build_of(STABLE)
    for session in sessions[:2000]:
        assert licence_granted(session, good) == licence_granted(session, healthy)
        assert manifest_of(session, good, ()) == manifest_of(session, healthy, ())
    assert good.assembly_factor == healthy.assembly_factor


def test_versions_and_digests_are_ordinary_and_distinct():
    """Semantic versions, registry digests; neither tells the release's name here."""
    versions = [build.version for build in BUILDS.values()]
    digests = [digest_of("playback", version) for version in versions]
    assert len(set(versions)) == len(set(digests)) == len(BUILDS)
    assert all(part.isdigit() for version in versions for part in version.split("."))
    assert all(len(digest) == len("sha256:") + 64 for digest in digests)


def test_an_unknown_release_names_the_known_ones():
    """The operator's typing error is answered with the list."""
    with pytest.raises(UnknownBuildError, match="F01, F03, F04, N5"):
        build_of("F99")


@pytest.mark.parametrize(
    "device_class", ["tv", "tv-legacy", "computer", "phone", "tablet", "fridge"]
)
def test_every_device_finds_a_rendition_in_every_title(device_class):
    """Otherwise healthy releases would fail."""
    for index in range(500):
        found = renditions_for(device_class, title_id(index))
        assert found
        assert set(found) <= encoded_renditions(title_id(index))


def test_a_viewers_own_provider_serves_before_the_exchanges():
    """Embedded first, the near exchange next, never a site in another provider's network."""
    names = [site["site"] for site in rank("boreal", "b")]
    assert names == ["boreal-1", "exchange-b", "exchange-a"]
    assert [site["site"] for site in rank("other", "a")] == ["exchange-a", "exchange-b"]
