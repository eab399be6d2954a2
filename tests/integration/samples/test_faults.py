"""Each release through the whole stack, judged by what telemetry says and by nothing else.

The machine may be busy, and a busy machine delays and refuses on its own account, alike for both
arms. So failures are told by their kind, and speed by quick starts, not by means.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest

#: Starts per arm and release: enough for the shares below to be many deviations apart.
STARTS_PER_ARM = 250
RELEASES = ("N5", "F01", "F03", "F04")
#: Failures that no load brings about.
KINDS = ("licence_refused", "segment_missing")
#: What nobody who reads telemetry may learn: names of faults and of our trade.
SECRETS = (
    *("F01", "F03", "F04", "N5", "chaos", "fault", "faulty", "bad", "broken", "inject"),
    *("injected", "injection", "buggy", "experiment", "build", "healthy", "simulated", "fake"),
)
SPAN_NAMES = {
    ("edge", "POST /v1/play"),
    ("edge", "POST /v1/sessions"),
    ("edge", "GET /v1/home"),
    ("edge", "GET /v1/rows"),
    ("edge", "POST /v1/playback-events"),
    ("playback", "POST /v1/sessions"),
    ("playback", "GET /v1/accounts/{account}"),
    ("playback", "GET /v1/locations"),
    ("profiles", "GET /v1/accounts/{account}"),
    ("steering", "GET /v1/locations"),
    ("recommendations", "GET /v1/rows"),
}


class Arm:
    """What the edge counted for one arm of one deployment."""

    def __init__(self, otlp, deployment_id, cohort):
        self._otlp = otlp
        self._arm = {"davylamp.canary.cohort": cohort, "deployment.id": deployment_id}

    def points(self, metric, **match):
        return [
            seen
            for seen in self._otlp.matching(metric, **match)
            if self._arm.items() <= seen.attributes.items()
        ]

    def count(self, metric="playback.starts", **match):
        return sum(seen.total for seen in self.points(metric, **match))

    def ratio(self, *kinds, **match):
        """Share of the starts that failed in one of these ways."""
        failed = sum(self.count(error_type=kind, **match) for kind in kinds)
        return failed / self.count(**match)

    def quick_start_s(self):
        """The first quartile of the start-up time, from the merged histogram's buckets."""
        buckets = Counter()
        for seen in self.points("playback.startup.duration"):
            positive = seen.point.positive
            assert seen.point.scale == 4
            for place, count in enumerate(positive.bucket_counts, positive.offset):
                buckets[place] += count
        left = buckets.total() / 4.0
        for place, count in sorted(buckets.items()):
            left -= count
            if left <= 0.0:
                return 2.0 ** ((place + 1) / 16.0)
        raise AssertionError("no start succeeded")

    def quickest_answer_s(self):
        """The fastest manifest of the arm's own instances."""
        points = [
            seen
            for seen in self.points("http.server.request.duration", service_name="playback")
            if seen.attributes["http.response.status_code"] == 200
        ]
        return min(seen.point.min for seen in points)


# Half a minute of traffic, and starts that are timed: the machine must have nothing else to do.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def arms(start_stack, otlp, analysis, until):
    """(release, arm) -> what was counted; one deployment after the other on one stack, each
    ended by a signed rollback.
    """
    stack = start_stack(
        otlp_endpoint=otlp.url,
        analysis_url=analysis.url,
        plays_per_s=80.0,
        browse_per_s=3.0,
        share_ratio=0.5,
    )
    found = {}
    for release in RELEASES:
        deployment = stack.deploy(release)
        deployment_id = deployment["deployment_id"]
        pair = [Arm(otlp, deployment_id, cohort) for cohort in ("baseline", "canary")]
        until(lambda arms=pair: min(a.count() for a in arms) >= STARTS_PER_ARM, pause_s=0.3)
        found |= {(release, "baseline"): pair[0], (release, "canary"): pair[1]}
        status, answer = stack.commander(deployment, analysis.url).command("rollback")
        assert status == 202, answer
        stack.wait_state(deployment_id, "rolled_back")
    return found


@pytest.mark.parametrize("release", RELEASES)
def test_arms_get_equal_traffic_and_the_baseline_is_healthy(arms, release):
    """Equal exposure, and the stable version fails as rarely beside every release."""
    baseline, canary = arms[release, "baseline"], arms[release, "canary"]
    attempts = baseline.count("playback.start.attempts"), canary.count("playback.start.attempts")
    assert abs(attempts[0] - attempts[1]) < 5.0 * sum(attempts) ** 0.5
    assert baseline.ratio(*KINDS) < 0.025


def test_n5_cannot_be_told_from_its_baseline(arms):
    """As few failures, starts as quick."""
    baseline, canary = arms["N5", "baseline"], arms["N5", "canary"]
    assert canary.ratio(*KINDS) < 0.025
    assert 0.8 < canary.quick_start_s() / baseline.quick_start_s() < 1.25
    assert 0.7 < canary.quickest_answer_s() / baseline.quickest_answer_s() < 1.4


def test_f01_fails_on_one_device_family(arms):
    """30 % of the legacy televisions, six points of the whole arm, nobody else."""
    baseline, canary = arms["F01", "baseline"], arms["F01", "canary"]
    refused, legacy = "licence_refused", {"playback_device_class": "tv-legacy"}
    assert 0.12 < canary.ratio(refused, **legacy) < 0.5
    assert baseline.ratio(refused, **legacy) < 0.08
    assert 0.015 < canary.ratio(refused) - baseline.ratio(refused) < 0.13
    for device in ("tv", "computer", "phone"):
        assert canary.ratio(refused, playback_device_class=device) < 0.08
    assert canary.ratio("segment_missing") < 0.025


def test_f03_starts_slower_and_fails_no_more(arms):
    """Half as much again until the picture, and for the service's own answer."""
    baseline, canary = arms["F03", "baseline"], arms["F03", "canary"]
    assert canary.quick_start_s() / baseline.quick_start_s() > 1.2
    assert canary.quickest_answer_s() / baseline.quickest_answer_s() > 1.15
    assert canary.ratio(*KINDS) < 0.025


def test_f04_answers_200_and_fails_on_the_device(arms):
    """The server side sees nothing, devices cannot fetch their first segment."""
    baseline, canary = arms["F04", "baseline"], arms["F04", "canary"]
    assert canary.ratio("segment_missing") > baseline.ratio("segment_missing") + 0.03
    metric = "http.server.request.duration"
    answers = Counter()
    for seen in canary.points(metric, service_name="playback"):
        answers[seen.attributes["http.response.status_code"]] += seen.total
    assert answers[200] / answers.total() > 0.9
    assert answers[200] + canary.count(error_type="not_entitled") >= 0.9 * answers.total()
    assert canary.ratio("licence_refused") < 0.025


def test_nothing_exported_names_a_fault(arms, otlp):
    """No such word in any byte of four deployments' traces and metrics."""
    word = re.compile(rf"(?<![a-z0-9])({'|'.join(SECRETS)})(?![a-z0-9])", re.IGNORECASE | re.ASCII)
    # Ids are bytes without meaning; everything else of a message is text.
    texts = [text for path, _, body in otlp.posts for text in texts_of(path, body)]
    assert len(texts) > 10_000
    assert {text for text in texts if word.search(text)} == set()


def test_spans_say_only_what_the_routes_are_called(arms, otlp):
    """Span names are methods and templates; spans carry no events of their own making."""
    assert {(seen.service, seen.span.name) for seen in otlp.spans()} <= SPAN_NAMES
    assert {event.name for seen in otlp.spans() for event in seen.span.events} <= {"exception"}


def texts_of(path, body):
    """Every string in an OTLP request: keys, values, names, descriptions, messages."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
    )

    kind = ExportTraceServiceRequest if path == "/v1/traces" else ExportMetricsServiceRequest
    waiting = [kind.FromString(body)]
    while waiting:
        message = waiting.pop()
        for field, value in message.ListFields():
            values = value if field.is_repeated else [value]
            if field.message_type is not None:
                waiting.extend(values)
            elif field.type == field.TYPE_STRING:
                yield from values
