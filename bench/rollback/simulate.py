"""``python -m bench.rollback.simulate --minutes N --seed S``: the whole loop on a virtual clock.

Episodes of some hours each: canaries are judged, decisions committed, commands delivered, carried
out and confirmed, while network, deployer, disk, process, clocks and people do their worst by a
seeded generator. After every commit and at every request the promises are checked; at the end of
an episode the faults end, and everything must have an end. Equal seeds give equal episodes, down
to a hash of all that happened.

The product's code runs as it is (:mod:`bench.rollback.world`), on its ledger's tables in memory.
Verdicts are the real judge's, recorded once on synthetic telemetry and played. One setting differs:
an idle deliverer asks the ledger every 300 s instead of 5, which saves time and tests its wake-ups.
Exits with 1 at the first violation and says how to see it again. There is no peer here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from unittest.mock import patch

import numpy as np

from analysis.config import EndpointConfig
from analysis.decisions import audit
from analysis.decisions.guard_store import Guarding
from analysis.decisions.guards import GuardLimits
from analysis.decisions.kill_switch import KillSwitch
from analysis.webhooks import attempt, deliver
from bench.rollback import tapes
from bench.rollback.memory import MemoryDatabase
from bench.rollback.observer import Observer, ViolationError
from bench.rollback.virtual import VirtualLoop
from bench.rollback.wire import SECRET
from bench.rollback.world import QUIET_S, Setting, World
from telemetry.clock import FixedClock

IDLE_PAUSE_S: Final = 300.0
#: Before a call on another thread runs, and before its result is heard of.
THREAD_DELAYS_S: Final = (0.0, 0.0, 0.0, 0.003, 0.05, 0.4)
LIMITS: Final = GuardLimits(
    min_looks=2,
    rollbacks_per_release=1,
    rollbacks_per_service=3,
    service_window_s=3_600.0,
    in_flight_per_environment=2,
    storm_services=2,
    storm_window_s=600.0,
)


@dataclass
class Outcome:
    """One episode without a violation."""

    counts: Counter[str]
    minutes: float
    digest: str


class _Defects(logging.Handler):
    """What the product logs with a traceback is a defect."""

    def __init__(self, observer: Observer) -> None:
        super().__init__()
        self._observer = observer

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self._observer.demand(False, f"{record.getMessage()}: {record.exc_info[1]!r}")


@contextmanager
def _listening(observer: Observer) -> Iterator[None]:
    logger = logging.getLogger("davylamp.delivery")
    handler, before = _Defects(observer), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


class Simulation:
    """Episodes of one seed."""

    def __init__(self, seed: int, folder: Path, recorded: list[tapes.Tape]) -> None:
        self._seed = seed
        self._database = MemoryDatabase()
        secret = folder / "secret"
        secret.write_text(SECRET)
        endpoint = EndpointConfig(
            "deployer", "http://10.0.0.9/hook", secret, ("10.0.0.0/8",), plain_http=True
        )
        guarding = Guarding(LIMITS, KillSwitch(folder / "stop"))
        self._setting = Setting.of(recorded, endpoint, guarding)

    def episode(self, number: int, fault_minutes: float) -> Outcome:
        """Raises ViolationError, whose text says what was broken and when."""
        rng = np.random.default_rng([self._seed, number])
        clock = FixedClock()
        self._database.clear()
        observer = Observer(clock, self._database.raw(), LIMITS)
        loop = VirtualLoop(clock, rng, THREAD_DELAYS_S)

        async def run() -> None:
            world = World(self._setting, self._database, clock, observer, rng)
            task = asyncio.current_task()
            assert task is not None
            task.set_name("world")
            # The deliverer's sessions lead into the simulated network.
            with patch.object(attempt, "new_session", lambda _rules: world.wire()):
                await world.run(fault_minutes * 60.0)

        start = clock.wall_unix_nano()
        with (
            patch("os.urandom", rng.bytes),
            patch.object(deliver, "MAX_PAUSE_S", IDLE_PAUSE_S),
            _listening(observer),
            asyncio.Runner(loop_factory=lambda: loop) as runner,
        ):
            runner.run(run())
        with self._database.read() as connection:
            broken = audit.verify(audit.rows(connection), audit.head(connection))
        observer.demand(broken is None, f"the audit log is broken: {broken}")
        if observer.violations:
            minute = (clock.wall_unix_nano() - start) / 60e9
            raise ViolationError(
                f"seed {self._seed}, episode {number}, by minute {minute:.1f}:"
                f" {observer.violations[0]}"
            )
        return Outcome(observer.counts, clock.monotonic_s() / 60, observer.trace.hexdigest())


def main() -> int:
    """0 = every promise held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=2_000.0, help="simulated, in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--length", type=float, default=240.0, help="minutes with faults a time")
    parser.add_argument("--episode", type=int, help="only this one")
    parser.add_argument("--tapes", type=int, default=3, help="recordings of every kind")
    parser.add_argument("--quick", action="store_true", help="500 minutes, 1 recording")
    options = parser.parse_args()
    minutes, repeats = (500.0, 1) if options.quick else (options.minutes, options.tapes)
    print(f"seed {options.seed}", flush=True)
    started_s = time.perf_counter()
    recorded = tapes.record(1, repeats)
    counts: Counter[str] = Counter()
    done_minutes, number = 0.0, options.episode or 0
    with tempfile.TemporaryDirectory() as folder:
        simulation = Simulation(options.seed, Path(folder), recorded)
        while done_minutes < minutes:
            try:
                # Interrupted, it tells of the episodes that are done.
                outcome = simulation.episode(number, options.length)
            except ViolationError as error:
                print(f"VIOLATION: {error}")
                print(f"again: --seed {options.seed} --length {options.length:g}"
                      f" --tapes {repeats} --episode {number}")  # fmt: skip
                return 1
            except KeyboardInterrupt:
                break
            counts += outcome.counts
            done_minutes += outcome.minutes
            number += 1
            if options.episode is not None:
                print(outcome.digest)
                break
    took_s = round(time.perf_counter() - started_s, 1)
    figures = {"seed": options.seed, "simulated_minutes": round(done_minutes), "episodes": number,
               "quiet_minutes_each": QUIET_S / 60, "violations": 0, "took_s": took_s,
               "counts": dict(sorted(counts.items()))}  # fmt: skip
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
