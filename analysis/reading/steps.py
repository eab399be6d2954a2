"""Which steps are complete, and a book of what was taken from each.

A step is handed on once, and closed when both arms were heard beyond it: the collector stores in
order what it acknowledged, so their older data is there. An arm that is not heard while the other
is delays a step only so long; waiting on would hide its silence. While nobody is heard nothing
closes: that is a collector that lags, and no silence of an arm. What arrives later still is not
lost silently: taken steps are counted again when they are old, and the difference has a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from analysis.reading.config import ReadingConfig
from analysis.reading.roster import ARM_NAMES, ArmName

SECOND_NS: Final = 1_000_000_000
#: Tiles waiting to be counted again; beyond it the oldest go uncounted, which is told.
MAX_TILES: Final = 200
#: Traffic is measured over this long before it may be called low.
PACE_S: Final = 30


def closed_until(
    taken_until_unix_nano: int,
    step_ns: int,
    *,
    newest_unix_nano: Mapping[ArmName, int],
    now_unix_nano: int,
    upto_unix_nano: int,
    config: ReadingConfig,
) -> int:
    """End of the last complete step at or before ``upto_unix_nano``.

    ``newest_unix_nano``: start of the newest step each arm was heard in since what was taken.
    """
    heard = [newest_unix_nano.get(arm, taken_until_unix_nano) for arm in ARM_NAMES]
    settled = now_unix_nano - round(config.settle_min_s * SECOND_NS)
    waited = now_unix_nano - round(config.settle_max_s * SECOND_NS)
    until = max(min(heard), min(max(heard), waited))
    return _whole(taken_until_unix_nano, min(until, settled, upto_unix_nano), step_ns)


def fleet_closed_until(
    taken_until_unix_nano: int,
    step_ns: int,
    *,
    newest_unix_nano: int | None,
    now_unix_nano: int,
    upto_unix_nano: int,
    patience_s: float,
) -> int:
    """The same for a fleet that has no arms: closed once anybody was heard beyond it.

    After ``patience_s`` a step closes unheard, so that its series can be said to have no data.
    """
    heard = taken_until_unix_nano if newest_unix_nano is None else newest_unix_nano
    waited = now_unix_nano - round(patience_s * SECOND_NS)
    return _whole(taken_until_unix_nano, min(max(heard, waited), upto_unix_nano), step_ns)


def _whole(taken_until: int, until: int, step_ns: int) -> int:
    return taken_until + max(until - taken_until, 0) // step_ns * step_ns


def aligned_up(unix_nano: int, step_ns: int) -> int:
    """The first multiple of the step at or after ``unix_nano``."""
    return -(-unix_nano // step_ns) * step_ns


@dataclass(frozen=True, slots=True)
class Tile:
    """Taken steps that are counted again together."""

    start_unix_nano: int
    end_unix_nano: int
    events: int


@dataclass(slots=True)
class StepBook:
    """What was taken from one source. ``late_events`` may be negative for a while: a late point of
    a running total moves events from the next step back to its own.
    """

    taken_until_unix_nano: int
    taken_events: dict[ArmName, int] = field(default_factory=lambda: dict.fromkeys(ARM_NAMES, 0))
    stray_events: int = 0
    late_events: int = 0
    tiles_unaudited: int = 0
    #: Start of what was ever taken; the first tile is cut there.
    first_unix_nano: int = 0
    _tiles: dict[int, int] = field(default_factory=dict)
    #: (end of step, events of the quieter arm), the last ``PACE_S`` of them.
    _pace: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def starting(cls, unix_nano: int) -> StepBook:
        """An empty book whose first step starts at ``unix_nano``."""
        return cls(unix_nano, first_unix_nano=unix_nano)

    def take(
        self, start_unix_nano: int, end_unix_nano: int, events: Mapping[ArmName, int], tile_ns: int
    ) -> None:
        """Note one step. Steps come in order and touch each other; anything else is a bug."""
        assert start_unix_nano == self.taken_until_unix_nano < end_unix_nano
        self.taken_until_unix_nano = end_unix_nano
        self._pace.append((end_unix_nano, min(events.get(arm, 0) for arm in ARM_NAMES)))
        oldest = end_unix_nano - PACE_S * SECOND_NS
        self._pace = [one for one in self._pace if one[0] > oldest]
        tile = start_unix_nano // tile_ns * tile_ns
        self._tiles[tile] = self._tiles.get(tile, 0) + sum(events.values())
        for arm, count in events.items():
            self.taken_events[arm] += count
        while len(self._tiles) > MAX_TILES:
            del self._tiles[next(iter(self._tiles))]
            self.tiles_unaudited += 1

    def step_s(self, config: ReadingConfig, longest_s: float) -> int:
        """Width of the next step: wider while the quieter arm has hardly any events.

        Chosen from totals only, never from outcomes, so it cannot favour a verdict. ``longest_s``:
        no step may take longer than what already counts as silence.
        """
        low_s = config.low_traffic_step_s
        is_known = self.taken_until_unix_nano - self.first_unix_nano >= PACE_S * SECOND_NS
        events = sum(count for _, count in self._pace)
        is_low = is_known and events < config.low_traffic_events_per_s * PACE_S
        is_aligned = self.taken_until_unix_nano % (low_s * SECOND_NS) == 0
        return low_s if is_low and is_aligned and low_s <= longest_s else config.step_s

    def due_tile(self, now_unix_nano: int, config: ReadingConfig) -> Tile | None:
        """The oldest tile that is wholly taken and old enough to be counted again."""
        tile_ns = config.audit_tile_s * SECOND_NS
        start = next(iter(self._tiles), None)
        if start is None:
            return None
        end = start + tile_ns
        is_taken = end <= self.taken_until_unix_nano
        if not is_taken or end > now_unix_nano - config.audit_age_s * SECOND_NS:
            return None
        return Tile(max(start, self.first_unix_nano), end, self._tiles[start])

    def audited(self, tile: Tile, events_now: int, tile_ns: int) -> int:
        """Close a tile; returns how many events more than were taken are there now."""
        del self._tiles[tile.start_unix_nano // tile_ns * tile_ns]
        late = events_now - tile.events
        self.late_events += late
        return late

    def to_state(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "taken_until_unix_nano": self.taken_until_unix_nano,
            "taken_events": dict(self.taken_events),
            "stray_events": self.stray_events,
            "late_events": self.late_events,
            "tiles_unaudited": self.tiles_unaudited,
            "first_unix_nano": self.first_unix_nano,
            "pace": [list(one) for one in self._pace],
            "tiles": [[start, events] for start, events in self._tiles.items()],
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> StepBook:
        """Go on where :meth:`to_state` stopped."""
        book = cls(int(state["taken_until_unix_nano"]))
        book.taken_events = {arm: int(state["taken_events"][arm]) for arm in ARM_NAMES}
        book.stray_events = int(state["stray_events"])
        book.late_events = int(state["late_events"])
        book.tiles_unaudited = int(state["tiles_unaudited"])
        book.first_unix_nano = int(state["first_unix_nano"])
        book._pace = [(int(end), int(count)) for end, count in state["pace"]]
        book._tiles = {int(start): int(events) for start, events in state["tiles"]}
        return book
