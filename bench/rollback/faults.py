"""Decisions under faults: none lost, none sent late, none by two at once, each one's end known.

python -m bench.rollback.faults [--database sqlite|postgresql] [--seed N] [--lifetime-s 20]
    [--decisions N --faults M] [--seconds S] [--folder DIR]

Real processes with a real ledger and deliverer commit decisions and send their commands to a real
receiver that refuses, hangs, resets, throttles, answers slowly, redirects or lies at times.
On SQLite one process is killed, stopped, its database locked, its file system full, its disk
writes made to fail. On PostgreSQL two processes share a database, of which the leader decides and
sends; they are killed, stopped, overtaken, and the server is restarted, crashed, stopped, its
connections cut, its locks held. A quiet part without faults comes first. At the end everything
heals and every decision must be delivered or dead-lettered with people told.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.rollback.fault_kinds import Faults, FileFaults, ServerFaults
from bench.rollback.fault_place import Ends, Place, new_place
from bench.rollback.fault_process import Told, Worker
from bench.rollback.fault_receiver import FaultReceiver
from bench.rollback.fault_worker import Orders

SERVICES: Final = 400
QUIET_DECISIONS: Final = 40
#: Decisions asked of a process and not yet answered.
MAX_UNANSWERED: Final = 8
#: Of the leader, where several processes share a ledger; the shortest that the settings allow.
LEASE_S: Final = 5.0
QUIET_TIMEOUT_S: Final = 60.0
HEAL_TIMEOUT_S: Final = 90.0
#: After a fault a decision must be committed within this, on a busy machine.
RECOVER_TIMEOUT_S: Final = 60.0
PROGRESS_EVERY_FAULTS: Final = 50


@dataclass(frozen=True, slots=True)
class Goal:
    """When the faults end: with so many decisions and faults, or after so long."""

    seconds: float
    decisions: int = 0
    faults: int = 0

    @property
    def decisions_per_fault(self) -> int:
        """Committed after a fault has healed and before the next one."""
        return max(self.decisions // self.faults if self.faults else 0, 1)

    def is_reached(self, decisions: int, faults: int) -> bool:
        """Without numbers only the time counts."""
        asked = self.decisions > 0 or self.faults > 0
        return asked and decisions >= self.decisions and faults >= self.faults


async def run(
    folder: Path, goal: Goal, seed: int, lifetime_s: float, database: str = "sqlite"
) -> dict[str, Any]:
    """All three parts; the counts. Raises RuntimeError when the database cannot be had."""
    rng = np.random.default_rng(seed)
    secret = "whsec_" + base64.b64encode(rng.bytes(32)).decode()
    (folder / "secret").write_text(secret + "\n")
    receiver = FaultReceiver(secret)
    await receiver.listen()
    with new_place(database, folder) as place:
        orders = Orders(
            folder, place.url, f"http://127.0.0.1:{receiver.port}/", lifetime_s, LEASE_S
        )
        told = Told()
        workers = [Worker(orders, told) for _ in range(place.processes)]
        try:
            for worker in workers:
                await worker.start()
            quiet_doubled = await _quiet(workers, told, receiver)
            faults = _faults(place, workers, receiver, rng)
            await _storm(workers, told, faults, goal, rng)
            await _until(lambda: not Ends.has_pending(place.url), lifetime_s + HEAL_TIMEOUT_S)
            for worker in workers:
                await worker.finish()
        finally:
            for worker in workers:
                await worker.kill()
        await receiver.refuse()
        return _counts(told, receiver, faults, Ends.read(place.url), quiet_doubled, goal)


def _faults(
    place: Place, workers: list[Worker], receiver: FaultReceiver, rng: np.random.Generator
) -> Faults:
    if place.server is None:
        return FileFaults(workers, receiver, rng, place)
    return ServerFaults(workers, receiver, rng, place.server)


async def _quiet(workers: list[Worker], told: Told, receiver: FaultReceiver) -> int:
    """Decisions without a fault; how many of their commands came twice."""
    feeding = _feed(workers, lambda number: f"quiet-{number}", 0)
    await _until(lambda: len(told.committed) >= QUIET_DECISIONS, QUIET_TIMEOUT_S)
    await _end(feeding)
    await _until(lambda: all(one.unanswered == 0 for one in workers), QUIET_TIMEOUT_S)
    await _until(lambda: len(receiver.arrivals) >= len(told.committed), QUIET_TIMEOUT_S)
    return sum(len(found) - 1 for found in receiver.arrivals.values())


async def _storm(
    workers: list[Worker], told: Told, faults: Faults, goal: Goal, rng: np.random.Generator
) -> None:
    """One fault after the other while decisions are asked for, until the goal."""
    feeding = _feed(workers, lambda _: f"service-{rng.integers(SERVICES)}", 10**6)
    began_s = time.monotonic()
    while (passed_s := time.monotonic() - began_s) < goal.seconds:
        done = faults.done.total()
        if goal.is_reached(len(told.committed), done):
            break
        if done % PROGRESS_EVERY_FAULTS == 0:
            print(f"{passed_s:.0f} s: {done} faults, {len(told.committed)} decisions",
                  file=sys.stderr)  # fmt: skip
        await faults.next()
        for worker in workers:
            if worker.has_ended():
                faults.ended_by_themselves += 1
                await worker.start()
        faults.not_recovered_from += not await _decided(told, goal.decisions_per_fault)
    await _end(feeding)


async def _decided(told: Told, more: int) -> bool:
    """Wait for so many decisions; whether there was any."""
    before = len(told.committed)
    await _until(lambda: len(told.committed) >= before + more, RECOVER_TIMEOUT_S)
    return len(told.committed) > before


def _feed(
    workers: list[Worker], service_of: Callable[[int], str], first: int
) -> list[asyncio.Task[None]]:
    """Ask every process for decisions, numbered from ``first``, until the tasks are cancelled."""
    numbers = iter(range(first, 10**9))

    async def feed(worker: Worker) -> None:
        while True:
            if worker.unanswered < MAX_UNANSWERED and not worker.is_resting():
                number = next(numbers)
                worker.ask(number, service_of(number))
            await asyncio.sleep(0.005)

    return [asyncio.create_task(feed(worker)) for worker in workers]


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _until(condition: Callable[[], bool], timeout_s: float) -> None:
    """True or not: what is missing then shows in the counts."""
    end_s = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < end_s:  # noqa: ASYNC110 - any condition
        await asyncio.sleep(0.05)


def _counts(
    told: Told, receiver: FaultReceiver, faults: Faults, ends: Ends, quiet_doubled: int, goal: Goal
) -> dict[str, Any]:
    committed = set(told.committed.values())
    accepted = {
        arrival.decision_id
        for found in receiver.arrivals.values()
        for arrival in found
        if arrival.is_accepted
    }
    delivered = {name for name, state in ends.states.items() if state == "delivered"}
    dead = {name for name, state in ends.states.items() if state == "dead"}
    doubled = sum(len([a for a in f if a.is_accepted]) > 1 for f in receiver.arrivals.values())
    # A deployment is named after the number that was asked for.
    decided_numbers = {name.split("-")[1] for name in ends.deployments.values() if "-" in name}
    must_be_zero = {
        "lost": len(committed - set(ends.states)),
        "without_an_end": len(set(ends.states) - delivered - dead),
        "said_delivered_but_never_accepted": len(delivered - accepted),
        "dead_and_nobody_told": sum(ends.deployments[name] not in ends.told for name in dead),
        "decisions_without_a_row": len(set(ends.deployments) - set(ends.states)),
        "doubled_without_a_fault": quiet_doubled,
        **{
            name: receiver.wrong[name]
            for name in (
                "sent_after_expiry", "not_genuine", "other_bytes_under_an_id",
                "two_at_once_in_a_lane", "second_process_admitted",
            )
        },
        "faults_after_which_nobody_decided": faults.not_recovered_from,
        "process_ended_by_itself": faults.ended_by_themselves,
        "decisions_short_of_the_goal": max(goal.decisions - len(ends.states), 0),
        "faults_short_of_the_goal": max(goal.faults - faults.done.total(), 0),
    }  # fmt: skip
    return {
        "decisions": len(ends.states),
        "told_committed": len(committed),
        "refused": dict(told.refused),
        "refused_but_in_the_ledger": len(decided_numbers & told.refused_numbers),
        "delivered": len(delivered),
        "dead_lettered": len(dead),
        "dead_by_reason": dict(ends.reasons.most_common()),
        "accepted_twice_after_a_fault": doubled,
        "beside_a_paused_leaders_request": receiver.beside_a_paused,
        "faults": faults.done.total(),
        "faults_by_kind": dict(faults.done.most_common()),
        "faults_skipped": faults.skipped,
        "starts": told.starts,
        "terms_of_leaders": ends.terms,
        "must_be_zero": must_be_zero,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--decisions", type=int, default=0, help="faults end not before these")
    parser.add_argument("--faults", type=int, default=0, help="nor before these")
    parser.add_argument(
        "--seconds", type=float, help="of faults, at most; default 60, or 3600 with a goal"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lifetime-s", type=float, default=20.0, help="of a command")
    parser.add_argument("--folder", type=Path, help="kept; default: a temporary one")
    parser.add_argument("--quick", action="store_true", help="15 seconds")
    options = parser.parse_args()
    has_goal = options.decisions > 0 or options.faults > 0
    seconds = options.seconds or (3600.0 if has_goal else 60.0)
    goal = Goal(15.0 if options.quick else seconds, options.decisions, options.faults)
    print(f"{'seed':38}{options.seed:>7}", flush=True)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        counts = asyncio.run(run(folder, goal, options.seed, options.lifetime_s, options.database))
    for name, value in counts.items():
        if name == "must_be_zero":
            for what, count in value.items():
                print(f"  {what:36}{count:7}   must be 0")
        else:
            print(f"{name:38}{json.dumps(value):>7}")
    took_s = round(time.monotonic() - began_s, 1)
    print(json.dumps(
        {"database": options.database, "seed": options.seed, "took_s": took_s, **counts}
    ))  # fmt: skip
    return 1 if any(counts["must_be_zero"].values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
