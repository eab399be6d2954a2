"""What the judge was given at one look, as bytes that give the same blocks back.

Numbers are written so that they read back to the last bit; bounds that repeat are written once. An
entry is compressed JSON: some kilobytes a look become some hundred bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson

from analysis.blocks import ArmData, Block, CountArm, HistogramArm

VERSION: Final = 1
#: Bytes of one entry; a look that was given more is not kept, and replay says so.
MAX_ENTRY_BYTES: Final = 1_000_000
#: Of an entry that says it has more than this inside, nothing is read.
_MAX_PLAIN_BYTES: Final = 64_000_000

Blocks = Mapping[str, Sequence[Block]]


@dataclass(frozen=True, slots=True)
class TapeEntry:
    """One look's inputs, or what a judge was told beside its looks."""

    #: A judge that knows nothing yet takes it: the canary's first look, or it was judged anew.
    is_first: bool
    #: False: the judge did not look (the canary was on hold), but may have learned ``primers``.
    is_look: bool
    unix_nano: int
    blocks: Blocks = field(default_factory=dict)
    primers: Blocks = field(default_factory=dict)


def written(entry: TapeEntry) -> bytes:
    """Empty when it would be larger than MAX_ENTRY_BYTES."""
    bounds: dict[bytes, int] = {}
    body = {
        "version": VERSION,
        "first": entry.is_first,
        "look": entry.is_look,
        "unix_nano": entry.unix_nano,
        "blocks": _all(entry.blocks, bounds),
        "primers": _all(entry.primers, bounds),
        "bounds": [np.frombuffer(raw).tolist() for raw in bounds],
    }
    raw = zlib.compress(orjson.dumps(body))
    return raw if len(raw) <= MAX_ENTRY_BYTES else b""


def read(raw: bytes) -> TapeEntry | None:
    """None for what was too large to keep, is damaged, or of another version."""
    try:
        body = orjson.loads(zlib.decompressobj().decompress(raw, _MAX_PLAIN_BYTES))
        if body["version"] != VERSION:
            return None
        bounds = [np.array(one, dtype=np.float64) for one in body["bounds"]]
        return TapeEntry(
            bool(body["first"]),
            bool(body["look"]),
            int(body["unix_nano"]),
            _back(body["blocks"], bounds),
            _back(body["primers"], bounds),
        )
    except (zlib.error, orjson.JSONDecodeError, KeyError, IndexError, TypeError, ValueError):
        return None


def _all(blocks: Blocks, bounds: dict[bytes, int]) -> dict[str, Any]:
    return {
        key: [
            [
                block.start_unix_nano,
                block.end_unix_nano,
                _arm(block.baseline, bounds),
                _arm(block.canary, bounds),
            ]
            for block in found
        ]
        for key, found in blocks.items()
    }


def _arm(arm: ArmData | None, bounds: dict[bytes, int]) -> list[Any] | None:
    if arm is None:
        return None
    if isinstance(arm, CountArm):
        told = None if arm.parts is None else {n: [p.good, p.total] for n, p in arm.parts.items()}
        return [arm.good, arm.total, arm.instance_count, *([] if told is None else [told])]
    layout = np.asarray(arm.bounds, dtype=np.float64).tobytes()
    place = bounds.setdefault(layout, len(bounds))
    plain = [place, arm.counts.tolist(), arm.instance_count]
    if arm.parts is not None:
        plain.append({name: one.tolist() for name, one in arm.parts.items()})
    return plain


def _back(found: Mapping[str, Any], bounds: Sequence[Any]) -> dict[str, list[Block]]:
    return {
        key: [
            Block(start, end, _arm_back(baseline, bounds), _arm_back(canary, bounds))
            for start, end, baseline, canary in rows
        ]
        for key, rows in found.items()
    }


def _arm_back(found: Sequence[Any] | None, bounds: Sequence[Any]) -> ArmData | None:
    if found is None:
        return None
    first, second, instance_count, *rest = found
    parts = rest[0] if rest else None  # only of rules that leave instances out
    if isinstance(second, list):
        counts = np.array(second, dtype=np.int64)
        own = parts and {name: np.array(one, dtype=np.int64) for name, one in parts.items()}
        return HistogramArm(bounds[first], counts, instance_count, own)
    told = parts and {name: CountArm(good, total) for name, (good, total) in parts.items()}
    return CountArm(first, second, instance_count, told)
