"""Which commands were accepted and which of them are done, on disk before anyone is told so.

One JSON object a line. A torn last line (the machine died while writing) was never answered with
202, so it is ignored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sample_services.controller.commands import Action, Command


@dataclass(frozen=True, slots=True)
class Admitted:
    """What is kept of an accepted command: enough to refuse it again and to report its end."""

    webhook_id: str
    decision_id: str
    #: ``<environment>/<service>``; sequences grow within it.
    subject: str
    sequence: int
    deployment_id: str
    action: Action
    confirm_url: str


class AdmissionLedger:
    """See the module."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: set[str] = set()
        self._sequences: dict[str, int] = {}
        self._unfinished: dict[str, Admitted] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if "finished" in entry:
                self._unfinished.pop(entry["finished"], None)
            else:
                self._note(Admitted(**entry))

    def seen(self, webhook_id: str) -> bool:
        """Whether this very message was accepted before."""
        return webhook_id in self._seen

    def last_sequence(self, subject: str) -> int:
        """The newest accepted sequence for ``<environment>/<service>``; -1 when none was."""
        return self._sequences.get(subject, -1)

    def unfinished(self) -> list[Admitted]:
        """Accepted commands whose end was not noted, oldest first."""
        return list(self._unfinished.values())

    def admit(self, command: Command) -> None:
        """Remember an accepted command; returns when it is on disk."""
        admitted = Admitted(
            webhook_id=command.webhook_id,
            decision_id=command.decision_id,
            subject=command.subject,
            sequence=command.sequence,
            deployment_id=command.deployment_id,
            action=command.action,
            confirm_url=command.confirm_url,
        )
        self._append(asdict(admitted))
        self._note(admitted)

    def finish(self, decision_id: str) -> None:
        """Note that nothing more will be done about a command; returns when it is on disk."""
        self._append({"finished": decision_id})
        self._unfinished.pop(decision_id, None)

    def _append(self, entry: Mapping[str, Any]) -> None:
        # The new line first ends a torn one, so that the two cannot merge.
        with self._path.open("a") as file:
            file.write(("\n" if self._ends_torn() else "") + json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _ends_torn(self) -> bool:
        data = self._path.read_bytes() if self._path.exists() else b""
        return bool(data) and not data.endswith(b"\n")

    def _note(self, admitted: Admitted) -> None:
        self._seen.add(admitted.webhook_id)
        last = self.last_sequence(admitted.subject)
        self._sequences[admitted.subject] = max(admitted.sequence, last)
        self._unfinished[admitted.decision_id] = admitted
