"""What the deployer did and when, one JSON object a line; made to be read by benchmarks."""

from __future__ import annotations

import json
import os
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


class AdmissionLedger:
    """Which commands were accepted, on disk before anyone is told so.

    One JSON object a line: webhook_id, decision_id, subject, sequence. A torn last line (the
    machine died while writing) was never answered with 202, so it is ignored.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: set[str] = set()
        self._sequences: dict[str, int] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            self._note(entry["webhook_id"], entry["subject"], entry["sequence"])

    def seen(self, webhook_id: str) -> bool:
        """Whether this very message was accepted before."""
        return webhook_id in self._seen

    def last_sequence(self, subject: str) -> int:
        """The newest accepted sequence for ``<environment>/<service>``; -1 when none was."""
        return self._sequences.get(subject, -1)

    def admit(self, webhook_id: str, decision_id: str, subject: str, sequence: int) -> None:
        """Remember an accepted command; returns when it is on disk."""
        line = json.dumps(
            {
                "webhook_id": webhook_id,
                "decision_id": decision_id,
                "subject": subject,
                "sequence": sequence,
            }
        )
        # The new line first ends a torn one, so that the two cannot merge.
        with self._path.open("a") as file:
            file.write(("\n" if self._ends_torn() else "") + line + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._note(webhook_id, subject, sequence)

    def _ends_torn(self) -> bool:
        data = self._path.read_bytes() if self._path.exists() else b""
        return bool(data) and not data.endswith(b"\n")

    def _note(self, webhook_id: str, subject: str, sequence: int) -> None:
        self._seen.add(webhook_id)
        self._sequences[subject] = max(sequence, self.last_sequence(subject))
