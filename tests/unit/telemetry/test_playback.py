"""Playback instruments: names, units, and that a start has exactly one outcome."""

from __future__ import annotations

import pytest

from telemetry import semconv
from telemetry.errors import InvalidPlaybackError, OutcomeAlreadyRecordedError
from telemetry.playback import Playback, PlaybackStart
from telemetry.resilience import Fallbacks


def test_every_outcome_is_counted_under_its_name(telemetry_capture):
    """One attempt per session, one start per outcome, a duration only for success."""
    playback = Playback(telemetry_capture.telemetry)
    playback.start(device_class="tv").first_frame(0.8)
    playback.start(device_class="tv").fail("manifest_5xx")
    playback.start(device_class="phone").refuse("not_entitled")
    playback.start(device_class="phone").abandon()

    total = telemetry_capture.total
    assert total("playback.start.attempts") == 4
    assert total("playback.start.attempts", {"playback.device.class": "tv"}) == 2
    assert total("playback.starts", {"playback.outcome": "success"}) == 1
    technical = {"playback.outcome": "failure_technical", "error.type": "manifest_5xx"}
    assert total("playback.starts", technical) == 1
    business = {"playback.outcome": "failure_business", "error.type": "not_entitled"}
    assert total("playback.starts", business) == 1
    assert total("playback.starts", {"playback.outcome": "abandoned"}) == 1
    assert total("playback.startup.duration") == 1


def test_startup_duration_is_an_exponential_histogram_in_seconds(telemetry_capture):
    """A view gives scale 4 (4.4 % buckets) while values lie within a factor of 1024."""
    playback = Playback(telemetry_capture.telemetry)
    for startup_s in (0.1, 0.8, 1.5, 20.0):
        playback.start(device_class="tv").first_frame(startup_s)
    metric = telemetry_capture.metrics()["playback.startup.duration"]
    (point,) = metric.data.data_points
    assert (metric.unit, point.scale, point.count) == ("s", 4, 4)
    assert pytest.approx(point.sum) == 22.4


def test_names_and_units_are_those_of_the_registry(telemetry_capture):
    """What is emitted is what semconv declares."""
    Playback(telemetry_capture.telemetry).start(device_class="tv").first_frame(1.0)
    Fallbacks(telemetry_capture.telemetry).count(target="recommendations", reason="timeout")
    for name, metric in telemetry_capture.metrics().items():
        declared = semconv.METRICS[name]
        assert (declared.unit, declared.description) == (metric.unit, metric.description)


def test_a_second_outcome_is_refused(telemetry_capture):
    """The state machine keeps starts <= attempts."""
    session = Playback(telemetry_capture.telemetry).start(device_class="tv")
    session.first_frame(1.0)
    for second in (session.abandon, lambda: session.fail("x"), lambda: session.first_frame(1.0)):
        with pytest.raises(OutcomeAlreadyRecordedError):
            second()
    assert telemetry_capture.total("playback.starts") == 1


def test_a_beacon_carries_the_recorders_arm(telemetry_capture):
    """Direct recording labels all three metrics with what the recorder knows."""
    Playback(telemetry_capture.telemetry).record(
        PlaybackStart(
            device_class="tv-legacy",
            outcome="success",
            startup_duration_s=1.2,
            cdn_site="isp-1",
            cohort="canary",
            deployment_id="d-7",
        )
    )
    arm = {"davylamp.canary.cohort": "canary", "deployment.id": "d-7"}
    for metric in ("playback.start.attempts", "playback.starts", "playback.startup.duration"):
        assert telemetry_capture.total(metric, arm) == 1


@pytest.mark.parametrize(
    ("device_class", "outcome", "startup_duration_s", "error_type", "cohort"),
    [
        ("fridge", "success", 1.0, None, None),
        ("tv", "played", 1.0, None, None),
        ("tv", "success", None, None, None),
        ("tv", "success", float("nan"), None, None),
        ("tv", "success", -0.1, None, None),
        ("tv", "success", 3600.1, None, None),
        ("tv", "success", 1.0, "x", None),
        ("tv", "abandoned", 1.0, None, None),
        ("tv", "abandoned", None, "x", None),
        ("tv", "failure_technical", None, None, None),
        ("tv", "failure_technical", None, "x" * 129, None),
        ("tv", "failure_business", 1.0, "x", None),
        ("tv", "success", 1.0, None, "gold"),
    ],
)
def test_a_contradictory_beacon_counts_nothing(
    telemetry_capture, device_class, outcome, startup_duration_s, error_type, cohort
):
    """Bad input is a typed error and leaves no half-counted start."""
    start = PlaybackStart(
        device_class=device_class,
        outcome=outcome,
        startup_duration_s=startup_duration_s,
        error_type=error_type,
        cohort=cohort,
    )
    with pytest.raises(InvalidPlaybackError):
        Playback(telemetry_capture.telemetry).record(start)
    assert telemetry_capture.total("playback.start.attempts") == 0
    assert telemetry_capture.total("playback.starts") == 0
