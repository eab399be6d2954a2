"""What the scan lets through, the engine decodes, row for item: no body poisons a segment."""

from __future__ import annotations

import time

import numpy as np
import pytest

from collector.model import OTLP_SIGNALS
from collector.testing_random import odd_request
from collector.wire.errors import WireError
from collector.wire.scan import scan
from davylamp.config import collector_config, load_settings

BODIES_PER_SEGMENT = 40


def scanned_bodies(signal, seed, limits, now):
    """Odd requests with bytes flipped in some of them, as far as the scan takes them."""
    rng = np.random.default_rng(seed)
    for number in range(BODIES_PER_SEGMENT):
        body = odd_request(signal, rng, now, bends=number % 9).SerializeToString()
        if number % 4 == 3 and body:
            place = int(rng.integers(len(body)))
            body = body[:place] + rng.bytes(1) + body[place + 1 :]
        try:
            scanned = scan(signal, body, limits, now_unix_nano=now)
        except WireError:
            continue
        if scanned.item_count:
            yield scanned


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("signal", OTLP_SIGNALS)
def test_rows_equal_items(store, otlp, tmp_path, signal, seed):
    """A segment of odd bodies is stored whole, and the engine counts what the scan counted."""
    limits = collector_config(load_settings(environ={})).limits
    bodies = list(scanned_bodies(signal, seed, limits, time.time_ns()))
    assert bodies
    path = tmp_path / f"odd-{signal}-{seed}"
    path.write_bytes(b"".join(otlp.framed(one.body, one.item_count) for one in bodies))
    result = store.insert_segment(path, signal, path.name)
    assert result.rows == sum(one.item_count for one in bodies)
