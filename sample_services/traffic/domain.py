"""The audience: who presses play, what they wait, whether they see a picture. Pure but for the rng.

All chance is drawn when a viewer arrives, in the order of arrival: the same seed brings the same
people with the same luck, whatever the services make of them.

Start-up time is composed, not slept: the measured wait for the manifest counts five times (a real
device makes several such round trips before its first frame), plus the time to fetch the first
segment at the device's throughput.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sample_services.catalogue import encoded_renditions, title_id
from sample_services.routing import unit_interval

#: Device classes and their shares of the plays.
DEVICES: Final = ("tv", "tv-legacy", "computer", "phone", "tablet")
DEVICE_SHARES: Final = (0.50, 0.20, 0.15, 0.10, 0.05)
ISPS: Final = ("aurora", "boreal", "cirrus", "other")
ISP_SHARES: Final = (0.40, 0.30, 0.20, 0.10)
#: Exponent of the popularity law over titles.
ZIPF_EXPONENT: Final = 0.8
REQUEST_WEIGHT: Final = 5.0
#: Seconds to fetch the first segment, per megabit of it relative to what the device can take.
FIRST_SEGMENT_MEDIAN_S: Final = 0.65
FIRST_SEGMENT_SIGMA: Final = 0.40
#: Lowest rendition's first segment in megabits, by device class: what the medians refer to.
NOMINAL_MEGABITS: Final[Mapping[str, float]] = {
    "tv": 4.8,
    "tv-legacy": 2.4,
    "computer": 2.4,
    "phone": 2.4,
    "tablet": 2.4,
}
#: Share of plays that fail on the device or on its way home whatever the services do.
DEVICE_TROUBLE_RATIO: Final = 0.005
DEVICE_TROUBLES: Final = ("network_timeout", "decoder_error", "segment_missing")
#: Viewers start to leave after two seconds, 5.8 % more of them per further second
#: (Krishnan and Sitaraman, IMC 2012).
PATIENCE_S: Final = 2.0
LEAVE_RATIO_PER_S: Final = 0.058


@dataclass(frozen=True, slots=True)
class Luck:
    """What no service decides about a start."""

    #: The device's own trouble, None for the many that have none.
    trouble: str | None
    #: Seconds the device takes to fetch a first segment of the nominal size.
    segment_s: float
    #: In [0, 1): leaves when the probability to leave is larger.
    patience: float


@dataclass(frozen=True, slots=True)
class Viewer:
    """One press of play (or one look at the home page)."""

    play_id: str
    account: str
    device_class: str
    isp: str
    title: str
    zone: str
    luck: Luck


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a start ended, in the words of the playback metrics."""

    outcome: str
    startup_s: float | None = None
    error_type: str | None = None
    cdn_site: str | None = None


class Audience:
    """Draws viewers. Device and provider belong to the account, so they are sticky too."""

    def __init__(self, rng: np.random.Generator, *, accounts: int, titles: int) -> None:
        self._rng = rng
        self._accounts = accounts
        weights = 1.0 / np.arange(1, titles + 1) ** ZIPF_EXPONENT
        self._popularity = np.cumsum(weights / weights.sum())

    def gap_s(self, rate_per_s: float) -> float:
        """Seconds to the next arrival of a Poisson stream."""
        return float(self._rng.exponential(1.0 / rate_per_s))

    def next_viewer(self) -> Viewer:
        """Somebody sits down."""
        account = f"acc-{int(self._rng.integers(self._accounts)):06d}"
        rank = int(np.searchsorted(self._popularity, self._rng.random(), side="right"))
        return Viewer(
            play_id=f"{int(self._rng.integers(2**63)):016x}",
            account=account,
            device_class=_by_share(DEVICES, DEVICE_SHARES, unit_interval("device", account)),
            isp=_by_share(ISPS, ISP_SHARES, unit_interval("isp", account)),
            title=title_id(min(rank, len(self._popularity) - 1)),
            zone="a" if unit_interval("zone", account) < 0.5 else "b",
            luck=self._next_luck(),
        )

    def _next_luck(self) -> Luck:
        kind = DEVICE_TROUBLES[int(self._rng.integers(len(DEVICE_TROUBLES)))]
        return Luck(
            trouble=kind if self._rng.random() < DEVICE_TROUBLE_RATIO else None,
            segment_s=float(
                self._rng.lognormal(math.log(FIRST_SEGMENT_MEDIAN_S), FIRST_SEGMENT_SIGMA)
            ),
            patience=float(self._rng.random()),
        )


def start_of(viewer: Viewer, *, status: int, body: Mapping[str, Any], request_s: float) -> Outcome:
    """What the device makes of the edge's answer; ``status`` 0 = no answer at all."""
    if status != 200:
        return refused(status, body)
    site = str(body["locations"][0]["site"])
    start = body["start"]
    if start["rendition"] not in encoded_renditions(viewer.title):
        return Outcome("failure_technical", error_type="segment_missing", cdn_site=site)
    if viewer.luck.trouble is not None:
        return Outcome("failure_technical", error_type=viewer.luck.trouble, cdn_site=site)
    size = float(start["first_segment_megabits"]) / NOMINAL_MEGABITS[viewer.device_class]
    startup_s = REQUEST_WEIGHT * request_s + viewer.luck.segment_s * size
    if viewer.luck.patience < LEAVE_RATIO_PER_S * (startup_s - PATIENCE_S):
        return Outcome("abandoned", cdn_site=site)
    return Outcome("success", startup_s=startup_s, cdn_site=site)


def refused(status: int, body: Mapping[str, Any]) -> Outcome:
    """An answer that is no manifest: 403 is business, everything else is technical."""
    error = body.get("error")
    kind = str(error.get("type", "")) if isinstance(error, Mapping) else ""
    if status == 403:
        return Outcome("failure_business", error_type=kind or "not_entitled")
    if status == 0:
        return Outcome("failure_technical", error_type="edge_unreachable")
    return Outcome("failure_technical", error_type=kind or f"http_{status}")


def _by_share(names: tuple[str, ...], shares: tuple[float, ...], position: float) -> str:
    passed = 0.0
    for name, share in zip(names, shares, strict=True):
        passed += share
        if position < passed:
            return name
    return names[-1]
