"""What the edge decides: rows per device, stock rows, whose report belongs to which arm."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sample_services.catalogue import title_id
from sample_services.routing import RoutingTable

#: (rows, titles per row) by device class: a television shows much, a phone little.
HOME_SHAPE: Final[Mapping[str, tuple[int, int]]] = {
    "tv": (6, 8),
    "tv-legacy": (4, 6),
    "computer": (6, 8),
    "phone": (3, 4),
    "tablet": (4, 6),
}
SMALLEST_SHAPE: Final = (3, 4)


@dataclass(frozen=True, slots=True)
class Arm:
    """The canary arm of a play; both None = in no canary."""

    cohort: str | None
    deployment_id: str | None


NO_ARM: Final = Arm(None, None)


def arm_of(table: RoutingTable, account: str) -> Arm:
    """The account's sticky arm under ``table``."""
    cohort = table.arm_of(account)
    if cohort is None or table.split is None:
        return NO_ARM
    return Arm(cohort, table.split.deployment_id)


def fit_rows(rows: Sequence[Mapping[str, object]], device_class: str) -> list[dict[str, object]]:
    """At most as many rows and titles as the device shows."""
    row_count, title_count = HOME_SHAPE.get(device_class, SMALLEST_SHAPE)
    fitted = []
    for row in list(rows)[:row_count]:
        titles = row.get("titles")
        fitted.append(
            {
                "name": row.get("name"),
                "titles": list(titles)[:title_count] if isinstance(titles, Sequence) else [],
            }
        )
    return fitted


def stock_rows() -> list[dict[str, object]]:
    """The home page that needs nobody: the most watched titles, the same for everyone."""
    return [
        {"name": "Popular now", "titles": [title_id(index) for index in range(8)]},
        {"name": "Always good", "titles": [title_id(index) for index in range(8, 16)]},
        {"name": "Back again", "titles": [title_id(index) for index in range(16, 24)]},
    ]


class PlayMemory:
    """Which arm served a play and whether it was reported; the oldest are forgotten beyond
    ``limit``.

    A report may arrive after the routes changed; it belongs to the arm that was in force when the
    viewer pressed play. And it may arrive twice, when the device did not get our answer; a start
    has one outcome.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._plays: OrderedDict[str, tuple[Arm, bool]] = OrderedDict()

    def remember(self, play_id: str, arm: Arm) -> None:
        """Note the arm of a play."""
        self._note(play_id, arm, reported=False)

    def recall(self, play_id: str) -> Arm | None:
        """The arm of a play; None when it is not known here."""
        play = self._plays.get(play_id)
        return None if play is None else play[0]

    def report(self, play_id: str, arm: Arm) -> bool:
        """Note that the play of ``arm`` was reported; false when it had been already."""
        known = self._plays.get(play_id)
        if known is not None and known[1]:
            return False
        self._note(play_id, arm, reported=True)
        return True

    def _note(self, play_id: str, arm: Arm, *, reported: bool) -> None:
        self._plays[play_id] = (arm, reported)
        if len(self._plays) > self._limit:
            self._plays.popitem(last=False)
