"""What the deployer did and when, one JSON object a line; made to be read by benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from telemetry.clock import Clock


class Journal:
    """Appends to ``path``; every line has ``unix_nano`` and ``what``."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def write(self, what: str, **detail: Any) -> int:
        """Append one line; returns its time in unix nanoseconds."""
        unix_nano = self._clock.wall_unix_nano()
        line = json.dumps({"unix_nano": unix_nano, "what": what, **detail})
        with self._path.open("a") as file:
            file.write(line + "\n")
        return unix_nano
