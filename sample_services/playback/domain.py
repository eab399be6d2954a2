"""From an entitled viewer to a manifest. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sample_services.catalogue import BITRATES_MBPS, encoded_renditions
from sample_services.playback.builds import Build
from sample_services.routing import unit_interval

#: What each class of device can decode, best last.
LADDERS: Final[Mapping[str, Sequence[str]]] = {
    "tv": ("720p-avc", "1080p-hevc", "2160p-hevc"),
    "tv-legacy": ("480p-avc", "720p-avc", "1080p-avc"),
    "computer": ("480p-avc", "720p-avc", "1080p-avc"),
    "phone": ("480p-avc", "720p-avc"),
    "tablet": ("480p-avc", "720p-avc", "1080p-avc"),
}
DEFAULT_LADDER: Final = ("480p-avc", "720p-avc")
LEGACY_DEVICE: Final = "tv-legacy"
#: A codec this catalogue has not been encoded with.
UNENCODED_RENDITION: Final = "1080p-av1"
FIRST_SEGMENT_S: Final = 2.0
#: Share of all plays whose licence any release refuses: the licence servers' own rare trouble.
LICENCE_TROUBLE_RATIO: Final = 0.001


@dataclass(frozen=True, slots=True)
class Session:
    """One play as playback sees it."""

    play_id: str
    account: str
    device_class: str
    title: str


def licence_granted(session: Session, build: Build) -> bool:
    """Whether the licence server grants this play; decided per play, reproducibly."""
    refused_ratio = LICENCE_TROUBLE_RATIO
    if session.device_class == LEGACY_DEVICE:
        refused_ratio = max(refused_ratio, build.legacy_licence_refusal_ratio)
    return unit_interval("licence", session.play_id) >= refused_ratio


def renditions_for(device_class: str, title: str) -> list[str]:
    """What the device can decode and the delivery sites hold, lowest bit rate first."""
    held = encoded_renditions(title)
    return [name for name in LADDERS.get(device_class, DEFAULT_LADDER) if name in held]


def start_rendition(session: Session, build: Build) -> str:
    """The rendition the device is told to start with: the lowest of its ladder."""
    if unit_interval("start", session.title) < build.unencoded_start_ratio:
        return UNENCODED_RENDITION
    return renditions_for(session.device_class, session.title)[0]


def manifest_of(
    session: Session, build: Build, locations: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The manifest; ``locations`` are steering's ranked sites, best first."""
    start = start_rendition(session, build)
    renditions = renditions_for(session.device_class, session.title)
    bitrate_mbps = BITRATES_MBPS[renditions[0]]
    return {
        "play_id": session.play_id,
        "title": session.title,
        "licence": f"lic-{session.play_id}",
        "renditions": renditions,
        "start": {
            "rendition": start,
            "first_segment_megabits": round(
                bitrate_mbps * FIRST_SEGMENT_S * build.first_segment_factor, 3
            ),
        },
        "locations": list(locations),
    }
