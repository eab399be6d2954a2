"""Rows for an account: a stable shuffle of the catalogue, weighted to what is popular. Pure."""

from __future__ import annotations

from typing import Any, Final

from sample_services.catalogue import title_id
from sample_services.routing import unit_interval

ROW_NAMES: Final = (
    "Because you watched",
    "New this week",
    "Short evenings",
    "Series",
    "Films",
    "Again",
)
TITLES_PER_ROW: Final = 12


def rows_for(account: str, *, titles: int) -> list[dict[str, Any]]:
    """Six rows of titles out of a catalogue of ``titles``."""
    return [
        {
            "name": name,
            "titles": [
                # Squaring the position prefers low indices: the popular ones.
                title_id(int(unit_interval("row", account, name, str(place)) ** 2 * titles))
                for place in range(TITLES_PER_ROW)
            ],
        }
        for name in ROW_NAMES
    ]
