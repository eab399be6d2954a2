"""The write-ahead log on a real disk: groups, segments, failures."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from collector.model import Signal
from collector.wal import frames
from collector.wal.errors import WalInUse, WalUnavailable
from collector.wal.log import Wal
from collector.wal.segments import signal_of
from davylamp.config import collector_config, load_settings
from telemetry.clock import FixedClock, SystemClock


class Observed:
    """Counts what the log reports."""

    def __init__(self):
        self.groups = []
        self.failures = []
        self.start = None

    def synced(self, duration_s, entry_count):
        assert duration_s >= 0
        self.groups.append(entry_count)

    def failed(self, entry_count):
        self.failures.append(entry_count)

    def recovered(self, *, torn_bytes, damaged_bytes):
        self.start = (torn_bytes, damaged_bytes)


@pytest.fixture
def config(tmp_path):
    whole = collector_config(load_settings(environ={})).wal
    return replace(whole, path=tmp_path / "wal", min_free_bytes=0)


@pytest.fixture
def make(config):
    """Opens logs; each is closed at the end."""
    opened = []

    def run(clock=None, session="00000001", **changes):
        observed = Observed()
        log = Wal(replace(config, **changes), clock or SystemClock(), observed, session=session)
        opened.append(log)
        return log, observed

    yield run
    for log in opened:
        log.close()


class Waiter:
    """Collects the outcomes of appends."""

    def __init__(self, expected):
        self.outcomes = []
        self._expected = expected
        self._is_complete = threading.Event()

    def done(self, failure):
        self.outcomes.append(failure)
        if len(self.outcomes) == self._expected:
            self._is_complete.set()

    def wait(self):
        assert self._is_complete.wait(10)
        return self.outcomes


def bodies_of(segment):
    data = segment.path.read_bytes()
    return [data[one.start + frames.HEADER_BYTES : one.end] for one in frames.read(data).frames]


def test_one_sync_acknowledges_all_that_waited(make):
    """A hundred requests that came together cost one sync per signal."""
    log, observed = make()
    waiter = Waiter(200)
    for number in range(100):
        for signal in Signal:
            log.append(signal, b"body %d" % number, 1, waiter.done)
    log.start()
    assert waiter.wait() == [None] * 200
    assert observed.groups == [100, 100]
    log.close()
    for expected in Signal:
        segment = log.next_segment()
        assert (segment.signal, segment.item_count) == (expected, 100)
        assert bodies_of(segment) == [b"body %d" % number for number in range(100)]
    assert log.next_segment() is None


def test_many_senders_share_syncs_and_lose_nothing(make):
    """Concurrent appends: every body is acknowledged once and is in exactly one segment."""
    log, observed = make(traces_interval_s=0.05)
    log.start()
    per_thread = 50
    waiter = Waiter(8 * per_thread)

    def send(number):
        for index in range(per_thread):
            log.append(Signal.TRACES, b"%d-%d" % (number, index), 1, waiter.done)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waiter.wait() == [None] * 8 * per_thread
    assert sum(observed.groups) == 8 * per_thread
    assert len(observed.groups) < 8 * per_thread
    log.close()
    written = [body for segment in iter(log.next_segment, None) for body in bodies_of(segment)]
    assert sorted(written) == sorted(
        b"%d-%d" % (number, index) for number in range(8) for index in range(per_thread)
    )


def test_each_signal_closes_at_its_own_age(make):
    """Metrics are handed out while traces still gather."""
    clock = FixedClock()
    intervals_s = {"metrics": 1.0, "samples": 2.0, "traces": 5.0, "logs": 8.0}
    log, _ = make(clock, **{f"{name}_interval_s": value for name, value in intervals_s.items()})
    waiter = Waiter(len(Signal))
    for signal in Signal:
        log.append(signal, b"x", 1, waiter.done)
    log.start()
    waiter.wait()
    clock.advance(1.0)
    assert log.next_segment().signal is Signal.METRICS
    clock.advance(1.0)
    assert log.next_segment().signal is Signal.SAMPLES
    clock.advance(3.0)
    assert log.next_segment().signal is Signal.TRACES
    clock.advance(3.0)
    assert log.next_segment().signal is Signal.LOGS


def test_a_full_segment_closes_whatever_its_age(make):
    """Size is a reason of its own."""
    clock = FixedClock()
    log, _ = make(clock, max_segment_bytes=100)
    waiter = Waiter(1)
    log.append(Signal.TRACES, bytes(100), 1, waiter.done)
    log.start()
    waiter.wait()
    assert log.next_segment().size_bytes == 100 + frames.HEADER_BYTES


def test_names_are_never_used_twice(make):
    """Not even when the clock stands still or the process starts again."""
    clock = FixedClock()
    names = set()
    for session in ("00000001", "00000002"):
        log, _ = make(clock, session=session)
        log.start()
        for _ in range(3):
            waiter = Waiter(1)
            log.append(Signal.TRACES, b"x", 1, waiter.done)
            waiter.wait()
            clock.advance(2.0)
            segment = log.next_segment()
            names.add(segment.token)
            segment.path.unlink()
        log.close()
    assert len(names) == 6
    assert {signal_of(segment.path)} == {Signal.TRACES}


def test_what_was_not_stored_is_found_again(make):
    """Closed without anyone taking the segments: the next start has them all, in order."""
    log, _ = make()
    waiter = Waiter(3)
    log.start()
    for number in range(3):
        log.append(Signal.METRICS, b"%d" % number, 5, waiter.done)
    waiter.wait()
    log.close()
    again, observed = make(session="00000002")
    assert observed.start == (0, 0)
    assert [segment.item_count for segment in again.recovered] == [15]
    assert bodies_of(again.next_segment()) == [b"0", b"1", b"2"]


def test_a_second_log_on_the_folder_is_refused(make):
    """Until the first one is closed."""
    log, _ = make()
    with pytest.raises(WalInUse):
        make()
    log.close()
    make()


def test_after_close_nothing_is_taken(make):
    """Refused at once, not left waiting."""
    log, _ = make()
    log.start()
    log.close()
    waiter = Waiter(1)
    log.append(Signal.TRACES, b"late", 1, waiter.done)
    assert isinstance(waiter.wait()[0], WalUnavailable)


def test_too_little_free_space_refuses_the_group(make):
    """Nothing is written, everyone who waited is told."""
    log, observed = make(min_free_bytes=2**62)
    waiter = Waiter(2)
    for _ in range(2):
        log.append(Signal.TRACES, b"x", 1, waiter.done)
    log.start()
    assert all(isinstance(one, WalUnavailable) for one in waiter.wait())
    assert (observed.groups, observed.failures) == ([], [2])
    log.close()
    assert log.next_segment() is None
