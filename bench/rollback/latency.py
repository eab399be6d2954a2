"""From the decision to the first byte at the receiver, while other receivers hang.

python -m bench.rollback.latency [--quick] [--seconds S] [--rounds N] [--seed N]

A real process (ledger with its guards, deliverer) commits rollbacks for 100 endpoints, each a
socket of its own here. Of them 0, 10 or 20 accept the connection and never answer, in rounds that
alternate, with the same plan: first one decision for every endpoint at once, then decisions at
random moments for random endpoints. A decision's latency is the time from the transaction that
makes it (``issued_at``) to the arrival of the first byte of its first request, by one clock. There
is no peer: no other judge signs, stores and sends its rollbacks. Exits with 1 above the limits.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import re
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

ENDPOINTS: Final = 100
#: Services of one endpoint.
LANES: Final = 4
DECISIONS_PER_S: Final = 10.0
#: Between the burst and the rest.
SETTLE_S: Final = 3.0
HANGING: Final = (0, 10, 20)
LIMIT_P50_S: Final = 0.050
LIMIT_P99_S: Final = 0.250
LIMIT_SHIFT_S: Final = 0.100
TIMEOUT_S: Final = 120.0
ROOT = Path(__file__).parents[2]
_DECISION: Final = re.compile(rb'"decision_id":"([^"]+)"')
_ISSUED: Final = re.compile(rb'"issued_at":"([^"]+)"')


@dataclass
class Arrivals:
    """Of one round: decision -> (endpoint, seconds from its decision to its first byte)."""

    first: dict[bytes, tuple[int, float]] = field(default_factory=dict)
    requests: int = 0
    hung: int = 0

    def note(self, endpoint: int, raw: bytes, unix_s: float) -> None:
        """One whole request whose first byte came at ``unix_s``."""
        self.requests += 1
        decision, issued = _DECISION.search(raw), _ISSUED.search(raw)
        assert decision is not None
        assert issued is not None
        made_s = datetime.fromisoformat(issued[1].decode()).timestamp()
        self.first.setdefault(decision[1], (endpoint, unix_s - made_s))


class Endpoint(asyncio.Protocol):
    """One connection: notes when its first byte came, answers unless it hangs."""

    def __init__(self, number: int, arrivals: Arrivals, *, hangs: bool) -> None:
        self._number = number
        self._arrivals = arrivals
        self._hangs = hangs
        self._raw = bytearray()
        self._first_unix_s = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._raw:
            self._first_unix_s = time.time()
        self._raw += data
        head, ended, body = bytes(self._raw).partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if not ended or length is None or len(body) < int(length[1]):
            return
        self._arrivals.note(self._number, body, self._first_unix_s)
        self._raw.clear()
        if self._hangs:
            self._arrivals.hung += 1
        else:
            self._transport.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
            self._transport.close()


def plan(seconds_s: float, rng: np.random.Generator) -> list[tuple[float, int, int]]:
    """One for every endpoint at once, then at random; (seconds, endpoint, lane), in order."""
    made = [(0.0, endpoint, 0) for endpoint in range(ENDPOINTS)]
    now_s = SETTLE_S
    while (now_s := now_s + rng.exponential(1.0 / DECISIONS_PER_S)) < SETTLE_S + seconds_s:
        made.append((now_s, int(rng.integers(ENDPOINTS)), int(rng.integers(LANES))))
    return made


async def one_round(
    folder: Path, wanted: list[tuple[float, int, int]], hanging: int, database_url: str
) -> Arrivals:
    """The plan with the first ``hanging`` endpoints silent."""
    loop, arrivals = asyncio.get_running_loop(), Arrivals()
    async with contextlib.AsyncExitStack() as stack:
        endpoints = []
        for number in range(ENDPOINTS):
            made = partial(Endpoint, number, arrivals, hangs=number < hanging)
            server = await loop.create_server(made, "127.0.0.1", 0)
            stack.callback(server.close)
            port = server.sockets[0].getsockname()[1]
            endpoints.append((f"e{number}", f"http://127.0.0.1:{port}/"))
        told = {"folder": str(folder), "database_url": database_url}
        await _run_worker(folder, {**told, "endpoints": endpoints, "plan": wanted})
    assert hanging == 0 or arrivals.hung > 0, "nothing hung: the round shows nothing"
    return arrivals


async def _run_worker(folder: Path, told: dict[str, Any]) -> None:
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.rollback.latency_worker",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=(folder / "stderr").open("a"),
    )  # fmt: skip
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        worker.stdin.write(json.dumps(told).encode() + b"\n")
        for word in (b"ready\n", b"done\n"):
            line = await asyncio.wait_for(worker.stdout.readline(), TIMEOUT_S)
            if line != word:
                raise ChildProcessError((folder / "stderr").read_text()[-2000:])
        await asyncio.sleep(1.0)  # the last ones are on their way
        worker.stdin.close()
        await asyncio.wait_for(worker.wait(), TIMEOUT_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()


def figures(latencies_s: list[float]) -> dict[str, float | int]:
    """Milliseconds, one decimal."""
    found = np.asarray(latencies_s) * 1e3
    return {
        "decisions": len(found),
        "p50_ms": round(float(np.quantile(found, 0.5)), 1),
        "p99_ms": round(float(np.quantile(found, 0.99)), 1),
        "max_ms": round(float(found.max()), 1),
    }


def summarise(rounds: list[tuple[int, list[tuple[float, int, int]], Arrivals]]) -> dict[str, Any]:
    """Healthy endpoints' latencies by the number that hang, and their shift."""
    steady: dict[int, list[float]] = defaultdict(list)
    burst: dict[int, list[float]] = defaultdict(list)
    for hanging, wanted, arrivals in rounds:
        healthy = [late_s for end, late_s in arrivals.first.values() if end >= max(HANGING)]
        # The ids are in the order of the decisions: the burst is the first of every endpoint.
        split = ENDPOINTS - max(HANGING)
        burst[hanging] += healthy[:split]
        steady[hanging] += healthy[split:]
        assert len(healthy) == sum(end >= max(HANGING) for _, end, _ in wanted), "one never came"
    found: dict[str, Any] = {
        "steady": {str(n): figures(late_s) for n, late_s in steady.items()},
        "burst": {str(n): figures(late_s) for n, late_s in burst.items()},
    }
    none, most = found["steady"]["0"], found["steady"][str(max(HANGING))]
    found["shift_ms"] = {
        name: round(most[name] - none[name], 1) for name in ("p50_ms", "p99_ms", "max_ms")
    }
    found["within"] = bool(
        all(
            found[part]["10"]["p50_ms"] <= LIMIT_P50_S * 1e3
            and found[part]["10"]["p99_ms"] <= LIMIT_P99_S * 1e3
            for part in ("steady", "burst")
        )
        and max(found["shift_ms"]["p50_ms"], found["shift_ms"]["p99_ms"]) < LIMIT_SHIFT_S * 1e3
    )
    return found


async def measure(seconds_s: float, rounds: int, seed: int) -> dict[str, Any]:
    """Rounds in turn; the same plan for each number that hangs."""
    done = []
    for turn in range(rounds):
        wanted = plan(seconds_s, np.random.default_rng([seed, turn]))
        for hanging in HANGING:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                secret = base64.b64encode(bytes(range(32))).decode()
                (folder / "secret").write_text(f"whsec_{secret}\n")
                url = f"sqlite:///{folder / 'ledger.sqlite'}"
                arrivals = await one_round(folder, wanted, hanging, url)
            done.append((hanging, wanted, arrivals))
            steady = figures([late_s for end, late_s in arrivals.first.values() if end >= hanging])
            print(f"round {turn}, {hanging} hang: {steady}", flush=True)
    return summarise(done)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one short round each")
    parser.add_argument("--seconds", type=float, default=60.0, help="of decisions in one round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    seconds_s, rounds = (8.0, 1) if options.quick else (options.seconds, options.rounds)
    found = asyncio.run(measure(seconds_s, rounds, options.seed))
    print(json.dumps({"seconds": seconds_s, "rounds": rounds, "seed": options.seed, **found}))
    return 0 if found["within"] else 1


if __name__ == "__main__":
    sys.exit(main())
