"""A segment cut or damaged at any byte gives back every frame that was not hit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.testing import framed
from collector.wal import frames
from collector.wal.recovery import QUARANTINE, recover

BODIES = [b"", b"a", b"body two " * 3, bytes(40), framed(b"a frame inside a body", 3)]
SEGMENT = b"".join(framed(body, number) for number, body in enumerate(BODIES, 1))


def read(data):
    """(bodies, damaged bytes, torn bytes)."""
    contents = frames.read(data)
    bodies = [data[one.start + frames.HEADER_BYTES : one.end] for one in contents.frames]
    damaged = sum(end - start for start, end in contents.damaged)
    covered = damaged + len(data) - contents.torn_from
    covered += sum(one.end - one.start for one in contents.frames)
    assert covered == len(data), "every byte is accounted for once"
    return bodies, damaged, len(data) - contents.torn_from


def ends():
    end = 0
    for body in BODIES:
        end += frames.HEADER_BYTES + len(body)
        yield end


def test_whole_segments_read_back():
    """Bodies and item counts, nothing left over."""
    assert read(SEGMENT) == (BODIES, 0, 0)
    assert frames.read(SEGMENT).item_count == 1 + 2 + 3 + 4 + 5


@pytest.mark.parametrize("cut", range(len(SEGMENT)))
def test_a_cut_costs_only_what_it_cuts(cut):
    """All frames that end before the cut survive; the rest is torn, not damage."""
    bodies, damaged, torn = read(SEGMENT[:cut])
    whole = [end for end in ends() if end <= cut]
    if cut > sum(map(len, BODIES[:4])) + 5 * frames.HEADER_BYTES:
        # The last body holds a whole frame of its own: it may be taken for one.
        assert bodies[:4] == BODIES[:4]
        return
    assert bodies == BODIES[: len(whole)]
    assert (damaged, torn) == (0, cut - max(whole, default=0))


@pytest.mark.parametrize("hit", range(len(SEGMENT)))
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_costs_only_its_frame(hit, bit):
    """Frames before and behind the damaged one survive; a header that lies does not hide them."""
    data = bytearray(SEGMENT)
    data[hit] ^= 1 << bit
    bodies, damaged, torn = read(bytes(data))
    number = next(index for index, end in enumerate(ends()) if hit < end)
    expected = BODIES[:number] + BODIES[number + 1 :]
    others = [body for body in bodies if body != b"a frame inside a body"]
    assert others == expected
    assert damaged + torn > 0


@given(
    bodies=st.lists(st.binary(max_size=30), max_size=6),
    junk=st.binary(max_size=40),
    place=st.integers(0, 6),
)
@settings(max_examples=300, deadline=None)
def test_junk_between_frames_is_skipped(bodies, junk, place):
    """Whatever the disk left between two frames, all of them are found."""
    written = [framed(body, 1) for body in bodies]
    found, _, _ = read(b"".join([*written[:place], junk, *written[place:]]))
    assert [body for body in found if body in bodies] == bodies


@pytest.mark.parametrize("cut", range(1, len(SEGMENT), 7))
def test_recovery_leaves_files_of_whole_frames(tmp_path, cut):
    """After a start every file reads back clean, and what was damaged is kept aside."""
    name = "00001790000000000000-0badcafe-00000001.traces.seg"
    (tmp_path / name).write_bytes(SEGMENT[:cut])
    expected = frames.read(SEGMENT[:cut])
    found = recover(tmp_path, now_monotonic_s=1.0)
    left = sorted(one.name for one in tmp_path.iterdir() if one.name != QUARANTINE)
    assert left == ([name] if expected.frames else [])
    for segment in found.segments:
        data = segment.path.read_bytes()
        assert segment.size_bytes == len(data)
        assert frames.read(data).torn_from == len(data)
        assert segment.item_count == expected.item_count
    assert recover(tmp_path, now_monotonic_s=2.0).torn_bytes == 0
