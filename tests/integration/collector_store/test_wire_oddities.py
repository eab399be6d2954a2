"""Encodings that one parser forgives and another does not: they are written anew and stored."""

from __future__ import annotations

import os
import time

import pytest

from collector.model import Signal
from collector.pipeline.isolate import Isolated, isolate
from collector.store.errors import PoisonedSegment
from collector.wal.recovery import QUARANTINE
from collector.wal.segments import Segment
from collector.wire.scan import scan
from collector.wire.shapes import field, varint
from davylamp.config import collector_config, load_settings

#: Field 99 is nobody's; 3 opens and 4 closes a group.
GROUP = varint(99 << 3 | 3) + b"\x08\x01" + varint(99 << 3 | 4)
#: A varint of 70 bits.
OVERLONG = varint(99 << 3) + b"\xff" * 9 + b"\x7f"
#: bool_value of an attribute, true as 61.
BOOL_61 = field(9, field(1, b"flag") + field(2, b"\x10\x3d"))
#: The name, as a number.
NAME_AS_NUMBER = varint(5 << 3) + b"\x01"


@pytest.mark.parametrize(
    ("extra", "does_poison"),
    [
        pytest.param(GROUP, True, id="group"),
        pytest.param(OVERLONG, True, id="overlong varint"),
        pytest.param(BOOL_61, False, id="boolean of 61"),
        pytest.param(NAME_AS_NUMBER, True, id="name as number"),
        pytest.param(varint(99 << 3 | 5) + b"1234", False, id="unknown field"),
        pytest.param(varint(6 << 3) + b"\xff" * 9 + b"\x01", False, id="negative kind"),
    ],
)
def test_odd_spans_are_stored_though_they_poison(
    store, otlp, tmp_path, extra, does_poison, request
):
    """As it came the body poisons the segment; set apart and written anew it is one row."""
    now = time.time_ns()
    spans = [{"trace_id": os.urandom(16), "span_id": os.urandom(8), "start": now}]
    whole = otlp.trace_request(otlp.resource("odd-wire"), spans)
    span = whole.resource_spans[0].scope_spans[0].spans[0].SerializeToString() + extra
    body = field(1, field(2, field(2, span)))
    name = f"{request.node.callspec.id.replace(' ', '-')}.traces.seg"
    (tmp_path / QUARANTINE).mkdir()
    path = tmp_path / name
    limits = collector_config(load_settings(environ={})).limits
    scanned = scan(Signal.TRACES, body, limits, now_unix_nano=now)
    path.write_bytes(otlp.framed(scanned.body, scanned.item_count))

    def insert(part, token):
        store.insert_segment(part, Signal.TRACES, token)

    if does_poison:
        with pytest.raises(PoisonedSegment):
            insert(path, name)
        segment = Segment(path, Signal.TRACES, path.stat().st_size, 1, 0.0)
        for _ in range(2):
            assert isolate(segment, insert) == Isolated(stored=1, quarantined=0)
    else:
        insert(path, name)
    trace_id = spans[0]["trace_id"].hex()
    counted = store.query(
        "SELECT count() AS n FROM spans WHERE trace_id = toFixedString(unhex({id:String}), 16)",
        {"id": trace_id},
    )
    assert counted["n"].to_pylist() == [1]
    assert not list((tmp_path / QUARANTINE).iterdir())
