"""Alerts from statuses: begun once, ended once, held by silences and heard after them."""

from __future__ import annotations

import json

import pytest

from analysis.alerts.book import RESOLVED_FOR_S, AlertBook, NewsKind, read_alert
from analysis.alerts.book import burning as firing
from analysis.alerts.labels import read_condition
from analysis.alerts.silences import Silence
from analysis.slo.objectives import load_objectives, shipped_text
from analysis.slo.tracker import SloTracker

_, HOUR = load_objectives({"objectives.yaml": shipped_text()})
S = 1_000_000_000
SLICE_S = 5
NOW_S = 1_790_000_000


def silence(from_s, to_s, text="severity=page"):
    return Silence(
        "sil_1", (read_condition(text),), from_s * S, to_s * S, "ada", "known", from_s * S
    )


@pytest.fixture(scope="module")
def statuses():
    """``(quiet, burning)``: what a tracker of an hour says before and after an outage."""
    tracker = SloTracker(HOUR, SLICE_S, 30.0)
    start = NOW_S - 3_600

    def feed(at, seconds, good, bad):
        for slot in range(at, at + seconds, SLICE_S):
            tracker.take(slot, good, bad)
        return tracker.evaluate((at + seconds) * S)

    quiet = feed(start, 3_400, 20, 0)
    burning = feed(start + 3_400, 200, 0, 20)
    assert quiet.firing == frozenset()
    assert "page" in burning.firing
    return quiet, burning


def take(book, slos, silences, now):
    calm = {one.objective.name: one.summary for one in slos}
    return book.take(firing(slos), silences, now, calm)


def told(news):
    return [(one.kind, one.alert.labels["severity"], one.alert.is_told) for one in news]


def test_an_alert_begins_and_ends_once(statuses):
    quiet, burning = statuses
    book = AlertBook()
    assert take(book, [quiet], [], NOW_S * S) == []
    began = take(book, [burning], [], NOW_S * S)
    assert told(began) == [(NewsKind.BEGAN, one, True) for one in sorted(burning.firing)]
    assert take(book, [burning], [], (NOW_S + 5) * S) == []
    ended = take(book, [quiet], [], (NOW_S + 10) * S)
    assert told(ended) == [(NewsKind.ENDED, one, True) for one in sorted(burning.firing)]
    assert {one.alert.summary for one in ended} == {quiet.summary}
    assert take(book, [quiet], [], (NOW_S + 15) * S) == []
    assert len(book.alerts) == len(burning.firing)
    take(book, [quiet], [], (NOW_S + 11 + RESOLVED_FOR_S) * S)
    assert book.alerts == ()


def test_what_is_silenced_is_told_to_nobody_from_beginning_to_end(statuses):
    quiet, burning = statuses
    book, quieted = AlertBook(), [silence(NOW_S, NOW_S + 60, "slo=playback-starts-hour")]
    assert {one[2] for one in told(take(book, [burning], quieted, NOW_S * S))} == {False}
    assert {one.silenced_by for one in book.alerts} == {("sil_1",)}
    ended = take(book, [quiet], quieted, (NOW_S + 5) * S)
    assert {(one.kind, one.alert.is_told) for one in ended} == {(NewsKind.ENDED, False)}


def test_what_still_fires_after_its_silence_is_heard(statuses):
    quiet, burning = statuses
    book, quieted = AlertBook(), [silence(NOW_S, NOW_S + 60)]
    take(book, [burning], quieted, NOW_S * S)
    assert take(book, [burning], quieted, (NOW_S + 59) * S) == []
    heard = take(book, [burning], quieted, (NOW_S + 60) * S)
    assert told(heard) == [(NewsKind.HEARD, "page", True)]
    assert take(book, [burning], quieted, (NOW_S + 65) * S) == []
    ended = take(book, [quiet], quieted, (NOW_S + 70) * S)
    assert (NewsKind.ENDED, "page", True) in told(ended)


def test_who_was_told_of_the_beginning_is_told_of_the_end(statuses):
    """Also when a silence came between."""
    quiet, burning = statuses
    book, later = AlertBook(), [silence(NOW_S + 10, NOW_S + 600)]
    take(book, [burning], later, NOW_S * S)
    assert take(book, [burning], later, (NOW_S + 10) * S) == []
    assert (NewsKind.ENDED, "page", True) in told(take(book, [quiet], later, (NOW_S + 20) * S))


def test_the_next_process_goes_on(statuses):
    """Nothing begins anew, and when it began is known."""
    _, burning = statuses
    first = AlertBook()
    take(first, [burning], [], NOW_S * S)
    kept = [json.loads(json.dumps(one.to_json())) for one in first.alerts]
    book = AlertBook(read_alert(one) for one in kept)
    assert book.alerts == first.alerts
    assert take(book, [burning], [], (NOW_S + 900) * S) == []
    assert {one.started_unix_nano for one in book.alerts} == {NOW_S * S}
    # An objective that is no longer in the settings burns no more.
    ended = take(book, [], [], (NOW_S + 905) * S)
    assert {one.kind for one in ended} == {NewsKind.ENDED}


def test_it_can_begin_again(statuses):
    quiet, burning = statuses
    book = AlertBook()
    for at, status in enumerate([burning, quiet, burning]):
        news = take(book, [status], [], (NOW_S + at) * S)
    assert {one.kind for one in news} == {NewsKind.BEGAN}
    assert {one.started_unix_nano for one in book.alerts} == {(NOW_S + 2) * S}
