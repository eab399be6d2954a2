"""When a step is closed, and what the book says of it."""

from __future__ import annotations

import json

import pytest

from analysis.reading.config import ReadingConfig
from analysis.reading.steps import (
    MAX_TILES,
    SECOND_NS,
    StepBook,
    closed_until,
    fleet_closed_until,
)

START = 1_790_000_000 * SECOND_NS
TILE_NS = 20 * SECOND_NS
CONFIG = ReadingConfig(
    request_timeout_s=3.0,
    max_answer_bytes=8_000_000,
    settle_min_s=0.3,
    settle_max_s=3.0,
    step_s=1,
    low_traffic_step_s=4,
    low_traffic_events_per_s=1.0,
    catch_up_max_steps=60,
    audit_tile_s=20,
    audit_age_s=30,
    prime_s=30,
)


def _at(second: float) -> int:
    return START + round(second * SECOND_NS)


@pytest.mark.parametrize(
    ("closed_s", "newest_s", "now_s"),
    [
        (4, {"baseline": 4, "canary": 4}, 5.0),  # both were heard beyond four seconds
        (2, {"baseline": 4, "canary": 2}, 5.0),  # the slower arm decides
        (4, {"baseline": 9, "canary": 2}, 7.5),  # ... but not longer than settle_max_s
        (4, {"baseline": 4}, 20.0),  # one is silent: closed up to what the other has sent
        (4, {"canary": 4}, 20.0),
        (0, {"baseline": 4}, 3.0),  # ... and not before settle_max_s has passed
        (0, {}, 500.0),  # nobody is heard: a collector that lags, no silence
        (0, {"baseline": 0, "canary": 0}, 500.0),  # nobody is heard beyond the first step
        (3, {"baseline": 4, "canary": 4}, 4.2),  # not settled yet
    ],
)
def test_a_step_closes_once_both_arms_were_heard_beyond_it(closed_s, newest_s, now_s):
    """The table is the rule."""
    until = closed_until(
        START,
        SECOND_NS,
        newest_unix_nano={arm: _at(second) for arm, second in newest_s.items()},
        now_unix_nano=_at(now_s),
        upto_unix_nano=_at(600),
        config=CONFIG,
    )
    assert closed_s == (until - START) / SECOND_NS


def test_only_whole_steps_of_the_answer_close():
    """A wide step that is half over, or half in the window, waits."""
    until = closed_until(
        START,
        4 * SECOND_NS,
        newest_unix_nano={"baseline": _at(11), "canary": _at(11)},
        now_unix_nano=_at(30),
        upto_unix_nano=_at(7),
        config=CONFIG,
    )
    assert _at(4) == until


@pytest.mark.parametrize(
    ("closed_s", "newest_s", "now_s"), [(5, 5, 6.0), (0, None, 14.0), (5, None, 20.0)]
)
def test_a_fleets_step_closes_when_anybody_is_heard_or_patience_ends(closed_s, newest_s, now_s):
    """No data is a result of its own, but only after the patience."""
    until = fleet_closed_until(
        START,
        5 * SECOND_NS,
        newest_unix_nano=None if newest_s is None else _at(newest_s),
        now_unix_nano=_at(now_s),
        upto_unix_nano=_at(600),
        patience_s=15.0,
    )
    assert closed_s == (until - START) / SECOND_NS


def _book(seconds: int, each: int = 5) -> StepBook:
    book = StepBook.starting(START)
    for i in range(seconds):
        book.take(_at(i), _at(i + 1), {"baseline": each, "canary": each}, TILE_NS)
    return book


@pytest.mark.parametrize("start_s", [0, 2])
def test_no_step_is_taken_twice_and_none_left_out(start_s):
    """Taking the same step again, or one too far ahead, is a bug and stops loudly."""
    book = _book(1)
    with pytest.raises(AssertionError):
        book.take(_at(start_s), _at(start_s + 1), {}, TILE_NS)


def test_a_tile_is_due_once_it_is_whole_and_old():
    """Twenty seconds taken, thirty seconds old."""
    book = _book(25)
    assert book.due_tile(_at(49), CONFIG) is None
    tile = book.due_tile(_at(51), CONFIG)
    assert (tile.start_unix_nano, tile.events) == (START, 200)
    assert _book(19).due_tile(_at(500), CONFIG) is None


def test_late_events_are_what_a_tile_gained():
    """Seven came late; the tile is not counted again."""
    book = _book(20)
    tile = book.due_tile(_at(60), CONFIG)
    assert book.audited(tile, tile.events + 7, TILE_NS) == 7
    assert (book.late_events, book.due_tile(_at(60), CONFIG)) == (7, None)


def test_tiles_are_bounded_and_the_forgotten_ones_counted():
    """Nobody counts again for a long time: the oldest tiles go, by number."""
    book = StepBook.starting(START)
    for i in range(MAX_TILES + 3):
        book.take(_at(20 * i), _at(20 * i + 20), {"baseline": 1, "canary": 1}, TILE_NS)
    assert book.tiles_unaudited == 3


@pytest.mark.parametrize(
    ("width_s", "seconds", "each", "longest_s"),
    [
        (1, 32, 5, 5.0),  # enough traffic
        (4, 32, 0, 5.0),  # hardly any
        (1, 32, 0, 3.0),  # a wide step would be a silence
        (1, 33, 0, 5.0),  # between two wide steps
        (1, 28, 0, 5.0),  # not known yet
    ],
)
def test_steps_are_wide_only_while_traffic_is_low(width_s, seconds, each, longest_s):
    """From totals only, and never wider than a silence may be."""
    assert width_s == _book(seconds, each).step_s(CONFIG, longest_s)


def test_a_stored_book_goes_on_as_it_was():
    """Through JSON and back, all of it."""
    book = _book(45)
    book.stray_events, book.late_events = 3, -2
    assert book == StepBook.from_state(json.loads(json.dumps(book.to_state())))
