"""The titles and what has been encoded of them. Pure, the same in every process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sample_services.routing import unit_interval

#: Rendition -> bit rate in Mbit/s.
BITRATES_MBPS: Final[Mapping[str, float]] = {
    "480p-avc": 1.2,
    "720p-avc": 2.4,
    "1080p-avc": 3.6,
    "1080p-hevc": 3.0,
    "2160p-hevc": 9.0,
}
#: Share of the titles that exist in ultra high definition.
UHD_SHARE_RATIO: Final = 0.4


def title_id(index: int) -> str:
    """``title-0042``; index 0 is the most watched."""
    return f"title-{index:04d}"


def encoded_renditions(title: str) -> frozenset[str]:
    """What the delivery sites hold of ``title``."""
    if unit_interval("uhd", title) < UHD_SHARE_RATIO:
        return frozenset(BITRATES_MBPS)
    return frozenset(BITRATES_MBPS) - {"2160p-hevc"}
