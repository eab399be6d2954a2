"""Declares canaries until the file may not grow, three times more, then with room again."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from analysis.decisions.ledger import Ledger
from analysis.decisions.records import Arm, Declaration
from analysis.errors import LedgerUnavailableError
from telemetry.clock import SystemClock

#: Beyond what the empty ledger has: its tables are written to the log first.
ROOM_BYTES = 200_000


def declare(ledger: Ledger, number: int) -> bool:
    arm = Arm("1", "sha256:" + "a" * 64, tuple(f"instance-{i:05}" for i in range(1000)))
    name = f"d-{number}"
    try:
        ledger.declare(Declaration(name, "demo", "playback", arm, arm, 1, 2))
    except LedgerUnavailableError as error:
        print("refused", error, flush=True)
        return False
    print("committed", name, flush=True)
    return True


def main(url: str) -> None:
    ledger = Ledger.open(url, SystemClock())
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = Path(url.removeprefix("sqlite:///"))
    size = max(one.stat().st_size for one in path.parent.glob(f"{path.name}*"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + ROOM_BYTES, hard))
    number = refused = 0
    while refused < 3:
        refused += not declare(ledger, number)
        number += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert declare(ledger, number)
    ledger.close()


if __name__ == "__main__":
    main(sys.argv[1])
