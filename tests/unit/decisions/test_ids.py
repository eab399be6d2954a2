"""Identifiers sort by time, fit the receivers' alphabet and differ by their entropy."""

from __future__ import annotations

import re

from analysis.decisions.ids import new_id


def test_a_ulid_as_published():
    """Time 1469918176385 ms gives 01ARYZ6S41 (the ULID specification's example)."""
    assert new_id("msg", 1_469_918_176_385_000_000, bytes(10)) == "msg_01ARYZ6S41" + "0" * 16


def test_all_bits_count():
    """The largest time and entropy fill every character."""
    assert new_id("x", ((1 << 48) - 1) * 1_000_000, b"\xff" * 10) == "x_7" + "Z" * 25


def test_ids_sort_by_time():
    """Later ids are larger whatever their entropy; they fit a webhook id's alphabet."""
    ids = [
        new_id("dec", 1_700_000_000_000_000_000 + i * 1_000_000, bytes([255 - i]) * 10)
        for i in range(200)
    ]
    assert sorted(ids) == ids
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", one) for one in ids)
