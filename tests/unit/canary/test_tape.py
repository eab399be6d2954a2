"""What the judge was given comes back to the last bit, and damage is told."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.blocks import Block, CountArm, HistogramArm
from analysis.canary import tape
from analysis.canary.tape import TapeEntry

BOUNDS = np.array([0.1, 0.2, np.nextafter(0.3, 1.0)])


def histogram(*counts):
    return HistogramArm(BOUNDS, np.array(counts, dtype=np.int64), 2)


ENTRY = TapeEntry(
    is_first=True,
    is_look=True,
    unix_nano=1_800_000_000_123_456_789,
    blocks={
        "a": [Block(1, 2, CountArm(3, 5, 2), None), Block(2, 3, None, CountArm(0, 0))],
        "b{x=y}": [Block(1, 2, histogram(1, 2, 3, 4), histogram(0, 0, 0, 10**12))],
    },
    primers={"b": [Block(0, 1, histogram(5, 5, 5, 5), None)]},
)


def same(one, other):
    if isinstance(one, HistogramArm):
        return (
            one.bounds.tobytes() == other.bounds.tobytes()
            and one.counts.tolist() == other.counts.tolist()
            and one.instance_count == other.instance_count
        )
    return one == other


def test_it_comes_back_to_the_last_bit():
    back = tape.read(tape.written(ENTRY))
    assert (back.is_first, back.is_look, back.unix_nano) == (True, True, ENTRY.unix_nano)
    for name in ("blocks", "primers"):
        there, here = getattr(back, name), getattr(ENTRY, name)
        assert list(there) == list(here)
        for key, blocks in here.items():
            for one, other in zip(blocks, there[key], strict=True):
                assert one.start_unix_nano == other.start_unix_nano
                assert same(one.baseline, other.baseline)
                assert same(one.canary, other.canary)


def test_bounds_that_repeat_are_written_once():
    many = {"a": [Block(i, i + 1, histogram(i, 1, 1, 1), None) for i in range(500)]}
    assert len(tape.written(TapeEntry(False, True, 1, many))) < 500 * 12


def test_what_is_too_large_is_not_kept(monkeypatch):
    monkeypatch.setattr(tape, "MAX_ENTRY_BYTES", 10)
    assert tape.written(ENTRY) == b""
    assert tape.read(b"") is None


@pytest.mark.parametrize("cut", [0, 1, 20])
def test_damage_is_no_tape(cut):
    raw = tape.written(ENTRY)
    assert tape.read(raw[:cut]) is None
    assert tape.read(b"x" + raw) is None
