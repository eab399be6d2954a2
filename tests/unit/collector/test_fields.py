"""Fields are counted before they cost anything."""

from __future__ import annotations

import time

import pytest

from collector.testing import resource, trace_request
from collector.wire.errors import TooLarge
from collector.wire.fields import MAX_FIELDS, SMALL_BYTES, require_few_fields


@pytest.mark.parametrize(
    "field",
    [b"\x12\x00", b"\x08\x80\x80\x01", b"\x09" + bytes(8), b"\x0d" + bytes(4), b"\x0b\x0c"],
    ids=["delimited", "varint", "fixed64", "fixed32", "group"],
)
def test_more_fields_than_allowed(field):
    """Of every wire type; exactly as many are allowed."""
    require_few_fields(field * (MAX_FIELDS // 2))
    with pytest.raises(TooLarge, match="262144 fields"):
        require_few_fields(field * (MAX_FIELDS + 1))


def test_large_good_and_broken_bodies_pass():
    """Only the number counts; what is broken is the parser's to tell."""
    spans = [
        {"trace_id": bytes(16), "span_id": bytes(8), "start": time.time_ns()} for _ in range(5_000)
    ]
    body = trace_request(resource("s"), spans).SerializeToString()
    assert len(body) > SMALL_BYTES
    require_few_fields(body)
    require_few_fields(body[:-3])
    require_few_fields(b"\xff" * (SMALL_BYTES + 10))
    require_few_fields(b"\x12" + b"\xff" * (SMALL_BYTES + 10))
