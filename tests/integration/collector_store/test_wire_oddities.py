"""Encodings that one parser forgives and another does not: the scan writes them anew."""

from __future__ import annotations

import os
import time

import pytest

from collector.model import Signal
from collector.store.errors import PoisonedSegment
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
        pytest.param(BOOL_61, True, id="boolean of 61"),
        pytest.param(NAME_AS_NUMBER, True, id="name as number"),
        pytest.param(varint(99 << 3 | 5) + b"1234", False, id="unknown field"),
        pytest.param(varint(6 << 3) + b"\xff" * 9 + b"\x01", False, id="negative kind"),
    ],
)
def test_odd_spans_are_stored_and_would_have_poisoned(
    store, otlp, tmp_path, extra, does_poison, request
):
    """As it came the body poisons the segment; as the scan leaves it, it is one row."""
    now = time.time_ns()
    spans = [{"trace_id": os.urandom(16), "span_id": os.urandom(8), "start": now}]
    whole = otlp.trace_request(otlp.resource("odd-wire"), spans)
    span = whole.resource_spans[0].scope_spans[0].spans[0].SerializeToString() + extra
    body = field(1, field(2, field(2, span)))
    name = request.node.callspec.id.replace(" ", "-")
    path = tmp_path / name
    if does_poison:
        path.write_bytes(otlp.framed(body, 1))
        with pytest.raises(PoisonedSegment):
            store.insert_segment(path, Signal.TRACES, f"raw-{name}")
    limits = collector_config(load_settings(environ={})).limits
    scanned = scan(Signal.TRACES, body, limits, now_unix_nano=now)
    path.write_bytes(otlp.framed(scanned.body, scanned.item_count))
    assert store.insert_segment(path, Signal.TRACES, name).rows == 1
