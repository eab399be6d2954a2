"""The kill switch: a file. It works while the database, the API and the network are down.

``<state>/stop`` stops every command, ``<state>/stop.<service>`` those about one service. What
the file holds is shown as the reason. It is looked at before a command is committed and again
before every request that would carry it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_REASON_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """``path``: the file that stops everything."""

    path: Path

    def of_service(self, service: str) -> Path:
        """The file that stops commands about one service."""
        return self.path.with_name(f"{self.path.name}.{service}")

    def thrown(self, service: str) -> str | None:
        """Why commands about ``service`` are stopped; None when they are not. Never raises.

        What cannot be looked at counts as thrown.
        """
        for path in (self.path, self.of_service(service)):
            try:
                with path.open(errors="replace") as file:
                    text = " ".join(file.read(MAX_REASON_CHARS).split())
            except FileNotFoundError:
                continue
            except OSError as error:
                return f"{path} cannot be looked at ({error.strerror})"
            return text.rstrip(".") or f"{path} exists"
        return None
