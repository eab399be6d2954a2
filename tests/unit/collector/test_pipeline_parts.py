"""The small parts between the log and the store."""

from __future__ import annotations

import asyncio
from itertools import islice

import numpy as np
import pytest

from collector.model import Signal
from collector.pipeline.accounting import Accounting
from collector.pipeline.backoff import FIRST_S, JITTER_RATIO, MAX_S, pauses_s
from collector.pipeline.errors import BacklogFull
from collector.pipeline.recent import MAX_BODIES, WINDOW_S, RecentBodies, digest
from collector.receivers.in_flight import InFlight
from collector.receivers.refusal import RETRY_MAX_S, RETRY_MIN_S, refusal_of
from collector.wal.errors import WalUnavailable
from collector.wire.errors import Malformed, TooLarge, UnsupportedEncoding
from collector.wire.reasons import Reason
from telemetry.clock import FixedClock


def test_pauses_double_up_to_a_ceiling_and_are_jittered():
    """0.1 s at first, about 5 s in the end, never outside the jitter."""
    pauses = list(islice(pauses_s(np.random.default_rng(1)), 12))
    nominal = [min(FIRST_S * 2**attempt, MAX_S) for attempt in range(12)]
    for pause_s, expected_s in zip(pauses, nominal, strict=True):
        assert abs(pause_s / expected_s - 1) <= JITTER_RATIO
    assert pauses != list(islice(pauses_s(np.random.default_rng(2)), 12))


def test_the_books_close_at_every_step():
    """received + recovered = stored + rejected + duplicate + quarantined + pending."""
    books = Accounting()

    def check():
        account = books.as_json()["traces"]
        left = account["received"] + account["recovered"]
        right = sum(account[name] for name in ("stored", "duplicate", "quarantined", "pending"))
        assert left == right + sum(account["rejected"].values())
        return account

    books.recovered(Signal.TRACES, 7, 100)
    check()
    books.accepted(Signal.TRACES, 5, {Reason.INVALID_ID: 2})
    check()
    books.repeated(Signal.TRACES, 5, {Reason.INVALID_ID: 2})
    check()
    books.settled(Signal.TRACES, stored=6, quarantined=1, size_bytes=100)
    account = check()
    assert (account["pending"], account["rejected"]) == (5, {"invalid_id": 4})
    assert books.pending_bytes == 0
    assert books.pending_items() == 5


def test_the_backlog_is_bounded():
    """What does not fit is not counted."""
    books = Accounting()
    assert books.reserve(60, limit_bytes=100)
    assert not books.reserve(41, limit_bytes=100)
    assert books.reserve(40, limit_bytes=100)
    books.release(100)
    assert books.pending_bytes == 0


def test_bodies_are_remembered_for_a_while():
    """By age and by number."""
    clock = FixedClock()
    recent = RecentBodies(clock)
    key = digest(Signal.TRACES, b"body")
    assert key != digest(Signal.METRICS, b"body")
    recent.add(key, None)
    clock.advance(WINDOW_S)
    assert key in recent
    clock.advance(0.001)
    assert key not in recent
    for number in range(MAX_BODIES + 10):
        recent.add(number.to_bytes(16), None)
    assert len(recent) <= MAX_BODIES


async def test_a_body_that_failed_is_welcome_again():
    """Forgotten when its write failed."""
    recent = RecentBodies(FixedClock())
    future = asyncio.get_running_loop().create_future()
    recent.add(b"key", future)
    assert recent.state(b"key") is future
    recent.forget(b"key")
    assert b"key" not in recent


def test_leases_are_given_back():
    """Also after a refusal and after an error."""
    in_flight = InFlight(100)
    with in_flight.lease() as first:
        first.grow_to(60)
        first.grow_to(50)
        assert in_flight.taken_bytes == 60
        with pytest.raises(BacklogFull), in_flight.lease() as second:
            second.grow_to(41)
        assert in_flight.taken_bytes == 60
    assert in_flight.taken_bytes == 0


@pytest.mark.parametrize(
    ("error", "http_status", "grpc_code", "is_retried"),
    [
        (Malformed("x"), 400, 3, False),
        (TooLarge("x"), 413, 8, False),
        (UnsupportedEncoding("x"), 415, 12, False),
        (BacklogFull("x"), 429, 8, True),
        (WalUnavailable("x"), 503, 14, True),
    ],
)
def test_every_refusal_has_words_in_both_protocols(error, http_status, grpc_code, is_retried):
    """And asks for a pause only where trying again helps."""
    refused = refusal_of(error, np.random.default_rng(1))
    assert (refused.http_status, refused.grpc_code) == (http_status, grpc_code)
    if is_retried:
        assert RETRY_MIN_S <= refused.retry_after_s <= RETRY_MAX_S
    else:
        assert refused.retry_after_s is None


def test_an_error_of_ours_is_not_the_senders():
    """Unforeseen errors are answered as internal."""
    assert refusal_of(RuntimeError("bug"), np.random.default_rng(1)) is None
