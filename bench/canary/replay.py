"""One canary at a time: the judge and its peers on the same seconds, a look every second."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import beta

from analysis.blocks import Block
from analysis.canary.config import CanaryConfig
from analysis.canary.evidence import Look
from analysis.canary.judge import CanaryJudge
from bench.canary.streams import SECOND, START, ArmEvents, Binner
from bench.peers.kayenta import KayentaWatch
from bench.peers.ztest import ZTestWatch

Seconds = list[tuple[ArmEvents, ArmEvents]]
Stream = Iterator[tuple[int, dict[str, list[Block]]]]


def direct_stream(rule: CanaryConfig, seconds: Iterable[tuple[ArmEvents, ArmEvents]]) -> Stream:
    """Blocks straight from the events."""
    del rule
    binner = Binner()
    for t, arms in enumerate(seconds):
        start = START + t * SECOND
        yield start + SECOND, binner.blocks(arms, start)


@contextlib.contextmanager
def streams(*, is_direct: bool) -> Iterator[Callable[[CanaryConfig, Seconds], Stream]]:
    """How blocks come to the judge: through OTLP and the store, or directly."""
    if is_direct:
        yield direct_stream
        return
    from bench.canary.otlp import Replay  # opens the engine; --direct must not need it

    with tempfile.TemporaryDirectory() as folder:
        replay = Replay(Path(folder))
        try:
            yield replay.blocks_of_seconds
        finally:
            replay.close()


def looks_of(rule: CanaryConfig, stream: Stream) -> Iterator[Look]:
    """What the judge says, second by second, until the canary is over."""
    judge = CanaryJudge(rule, START)
    for now, blocks in stream:
        look = judge.look(blocks, now, with_intervals=False)
        yield look
        if look.final:
            return


def evidence_of(look: Look) -> dict:
    """A look without its input digest and instances, which name how many processes sent."""
    told = {k: v for k, v in look.to_json().items() if k != "inputs_digest"}
    told["traffic"] = {k: v for k, v in told["traffic"].items() if k != "instances"}
    return told


@dataclass(frozen=True, slots=True)
class PeerAlarm:
    """When a peer first cried wolf, seconds since the start; None = never."""

    name: str
    at_s: int | None


def peers_on(seconds: Seconds, alpha: float) -> list[PeerAlarm]:
    """First alarm of each peer on the same events."""
    return [
        PeerAlarm(
            watch.name,
            next((t for t, arms in enumerate(seconds, 1) if watch.look(arms)), None),
        )
        for watch in (KayentaWatch(), ZTestWatch(alpha))
    ]


def binomial_interval(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson interval of a share."""
    tail = (1 - level) / 2
    low = beta.ppf(tail, k, n - k + 1) if k else 0.0
    high = beta.ppf(1 - tail, k + 1, n - k) if k < n else 1.0
    return float(low), float(high)


def seeds(seed: int, runs: int) -> Iterator[np.random.Generator]:
    """One generator per run."""
    for child in np.random.SeedSequence(seed).spawn(runs):
        yield np.random.default_rng(child)
