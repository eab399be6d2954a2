"""What a start makes of the log it finds, and of bytes the store cannot decode."""

from __future__ import annotations

import os
import time

import pytest

from collector.testing import framed, metrics_request, resource, trace_request


def traces(service, count=3):
    spans = [
        {"trace_id": os.urandom(16), "span_id": os.urandom(8), "start": time.time_ns()}
        for _ in range(count)
    ]
    return framed(trace_request(resource(service), spans).SerializeToString(), count)


def points(service):
    point = {"time": time.time_ns(), "start": time.time_ns() - 1, "value": 1}
    body = metrics_request(resource(service), "recovered.points", "sum", [point])
    return framed(body.SerializeToString(), 1)


#: Bodies no engine decodes; their frames are whole.
POISON = framed(b"\xff" * 40, 7)


def segment(folder, signal, content, number=1):
    (folder / "wal").mkdir(exist_ok=True)
    path = folder / "wal" / f"00001790000000000000-0badcafe-{number:08d}.{signal}.seg"
    path.write_bytes(content)
    return path


def spans_of(collector, service):
    found = collector.get("/api/v1/traces", service=service, limit="100")["traces"]
    return sum(one["span_count"] for one in found)


def test_segments_of_an_earlier_life_are_stored(start, tmp_path):
    """Both signals; the files are gone afterwards and the books say where they came from."""
    segment(tmp_path, "traces", traces("before") + traces("before"))
    segment(tmp_path, "metrics", points("before"), 2)
    collector = start()
    books = collector.settled_books()
    assert (books["recovered"], books["stored"], books["received"]) == (7, 7, 0)
    assert spans_of(collector, "before") == 6
    assert list((tmp_path / "wal").glob("*.seg")) == []


def test_only_the_poisoned_body_is_set_aside(start, tmp_path, wait_for):
    """Its neighbours in the same segment are stored; its bytes are kept for the curious."""
    good = [traces("beside") for _ in range(6)]
    content = b"".join([*good[:4], POISON, *good[4:], POISON])
    path = segment(tmp_path, "traces", content)
    collector = start()
    books = collector.settled_books()
    assert (books["stored"], books["quarantined"]) == (18, 14)
    assert spans_of(collector, "beside") == 18
    kept = sorted((tmp_path / "wal" / "quarantine").iterdir())
    assert [one.read_bytes() for one in kept] == [POISON, POISON]
    assert all(one.name.startswith(path.name) for one in kept)
    assert collector.metric("davylamp_ingest_quarantined_total", signal="traces") == 14
    later = wait_for(lambda: collector.post("traces", traces("later")[20:]))
    assert later.status_code == 200
    assert collector.settled_books()["stored"] == 21


def test_isolating_again_after_a_crash_adds_nothing_twice(start, tmp_path):
    """Killed while or after halving a segment, the next start does it again with the same end."""
    content = b"".join([*[traces("halved") for _ in range(5)], POISON, traces("halved")])
    for attempt in range(3):
        segment(tmp_path, "traces", content)
        collector = start()
        if attempt < 2:
            collector.settled_books()
            collector.kill()
    collector.settled_books()
    assert spans_of(collector, "halved") == 18
    assert len(list((tmp_path / "wal" / "quarantine").iterdir())) == 1


@pytest.mark.parametrize("cut", [1, 19, 60])
def test_a_torn_tail_is_cut_off(start, tmp_path, cut):
    """It was never acknowledged; everything before it is stored."""
    segment(tmp_path, "traces", traces("torn") + traces("torn")[:-cut])
    collector = start()
    books = collector.settled_books()
    assert (books["recovered"], books["stored"], books["quarantined"]) == (3, 3, 0)
    assert collector.metric("davylamp_wal_unreadable_bytes_total", kind="torn") > 0
    assert collector.metric("davylamp_wal_unreadable_bytes_total", kind="damaged") == 0


def test_damage_in_the_middle_costs_only_what_it_hit(start, tmp_path):
    """A flipped bit: the frame moves to the quarantine folder, both neighbours are stored."""
    hit = bytearray(traces("flipped"))
    hit[30] ^= 0x10
    segment(tmp_path, "traces", traces("flipped") + bytes(hit) + traces("flipped"))
    collector = start()
    assert collector.settled_books()["stored"] == 6
    assert spans_of(collector, "flipped") == 6
    assert collector.metric("davylamp_wal_unreadable_bytes_total", kind="damaged") == len(hit)
    (kept,) = (tmp_path / "wal" / "quarantine").iterdir()
    assert kept.read_bytes() == bytes(hit)


def test_a_body_of_an_earlier_life_counts_once(start, tmp_path):
    """Acknowledged or not before the crash, its sender may send it again after."""
    frame = traces("resent")
    segment(tmp_path, "traces", frame)
    collector = start()
    assert collector.post("traces", frame[20:]).status_code == 200
    books = collector.settled_books()
    assert (books["stored"], books["duplicate"]) == (3, 3)
    assert spans_of(collector, "resent") == 3
