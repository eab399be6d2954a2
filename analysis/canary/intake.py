"""Taking blocks in: order, readability, digest, and who was heard last. One feed per block key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from analysis.blocks import ArmData, Block, BlockState, CountArm


class BlockFeed:
    """Sorts new blocks, drops late ones, counts what cannot be used, chains the digest.

    Blocks of one key never overlap; one that starts before the end of the last one taken is
    ``LATE`` and ignored, so that a repeated fetch changes nothing.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self._digest = hashlib.sha256(key.encode()).hexdigest()
        self._end_unix_nano = 0
        self.taken = 0
        self.skipped: dict[str, int] = {}
        self.first_paired_unix_nano: int | None = None
        self.heard_unix_nano: dict[str, int] = {}  # arm -> end of its last block
        self.instances: dict[str, int] = {}  # arm -> instances in its last paired block

    @property
    def digest(self) -> str:
        """SHA-256 chained over the canonical JSON of every block taken, in order."""
        return self._digest

    def take(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield the usable (``PAIRED``) blocks in time order; account for the others."""
        for block in sorted(blocks, key=lambda b: (b.start_unix_nano, b.end_unix_nano)):
            state = self._state(block)
            if state is not BlockState.LATE:
                self._digest = _chain(self._digest, block)
                # A block that ends before it starts must not open the past again.
                self._end_unix_nano = max(self._end_unix_nano, block.end_unix_nano)
                self._hear(block)
                self.taken += 1
            if state is BlockState.PAIRED:
                if self.first_paired_unix_nano is None:
                    self.first_paired_unix_nano = block.start_unix_nano
                for name, arm in (("baseline", block.baseline), ("canary", block.canary)):
                    self.instances[name] = arm.instance_count if arm is not None else 0
                yield block
            else:
                self.skipped[str(state)] = self.skipped.get(str(state), 0) + 1

    def is_late(self, block: Block) -> bool:
        """Whether a block would be ignored because its time was taken already."""
        return self._state(block) is BlockState.LATE

    def is_warming_up(self, block: Block, warm_up_s: float) -> bool:
        """Whether a block just taken starts within the warm-up; it is then counted as skipped."""
        assert self.first_paired_unix_nano is not None
        if (block.start_unix_nano - self.first_paired_unix_nano) * 1e-9 >= warm_up_s:
            return False
        self.skipped["warm_up"] = self.skipped.get("warm_up", 0) + 1
        return True

    def _state(self, block: Block) -> BlockState:
        if block.start_unix_nano < self._end_unix_nano:
            return BlockState.LATE
        if block.end_unix_nano <= block.start_unix_nano:
            return BlockState.UNREADABLE
        return block.state

    def _hear(self, block: Block) -> None:
        for name, arm in (("baseline", block.baseline), ("canary", block.canary)):
            if arm is not None:
                heard = self.heard_unix_nano.get(name, block.end_unix_nano)
                self.heard_unix_nano[name] = max(heard, block.end_unix_nano)

    def to_state(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "digest": self._digest,
            "end_unix_nano": self._end_unix_nano,
            "taken": self.taken,
            "skipped": dict(self.skipped),
            "first_paired_unix_nano": self.first_paired_unix_nano,
            "heard_unix_nano": dict(self.heard_unix_nano),
            "instances": dict(self.instances),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`to_state` returned."""
        self._digest = str(state["digest"])
        self._end_unix_nano = int(state["end_unix_nano"])
        self.taken = int(state["taken"])
        self.skipped = {str(k): int(v) for k, v in state["skipped"].items()}
        first = state["first_paired_unix_nano"]
        self.first_paired_unix_nano = None if first is None else int(first)
        self.heard_unix_nano = {str(k): int(v) for k, v in state["heard_unix_nano"].items()}
        self.instances = {str(k): int(v) for k, v in state["instances"].items()}


def _chain(previous: str, block: Block) -> str:
    text = json.dumps(
        [
            previous,
            block.start_unix_nano,
            block.end_unix_nano,
            _canonical(block.baseline),
            _canonical(block.canary),
        ],
        separators=(",", ":"),
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(arm: ArmData | None) -> list[Any] | None:
    if arm is None:
        return None
    if isinstance(arm, CountArm):
        return [arm.good, arm.total, arm.instance_count, *_parts(arm)]
    bounds = _bounds(np.asarray(arm.bounds, dtype=np.float64).tobytes())
    return [bounds, np.asarray(arm.counts).tolist(), arm.instance_count, *_parts(arm)]


def _parts(arm: ArmData) -> list[Any]:
    """Nothing at all for an arm without parts: its digest is the one it always had."""
    if arm.parts is None:
        return []
    if isinstance(arm, CountArm):
        return [sorted((name, one.good, one.total) for name, one in arm.parts.items())]
    return [sorted((name, np.asarray(one).tolist()) for name, one in arm.parts.items())]


@lru_cache(maxsize=64)
def _bounds(as_bytes: bytes) -> tuple[str, ...]:
    return tuple(repr(b) for b in np.frombuffer(as_bytes).tolist())
