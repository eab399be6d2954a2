"""Colours and type, measured for colour-blind readers; two palettes, because one fails on dark.

Status colours keep at least 22 (light) and 24 (dark) CIEDE2000 apart under simulated protanopia,
deuteranopia and tritanopia, and 4.5:1 against their background. A status is never colour alone:
shape and word come with it. Baseline is always blue and solid, canary always orange and dashed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """How bad it is, for everything that has a status."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"


#: One shape per status, filled or not, so that a grey print still tells them apart.
SHAPES: Final[Mapping[Status, str]] = {
    Status.OK: "●",
    Status.WARN: "▲",
    Status.BAD: "■",
    Status.UNKNOWN: "◇",
}


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one scheme, as CSS hex."""

    name: str
    background: str
    panel: str
    text: str
    muted: str  # 4.5:1 on panel
    grid: str
    axis: str
    ok: str
    warn: str
    bad: str
    unknown: str
    baseline: str
    canary: str
    series: tuple[str, ...]
    marker: str

    def status(self, status: Status) -> str:
        return {
            Status.OK: self.ok,
            Status.WARN: self.warn,
            Status.BAD: self.bad,
            Status.UNKNOWN: self.unknown,
        }[status]

    def faint(self, colour: str, share: float = 0.16) -> str:
        """The colour as rgba with the given opacity."""
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return f"rgba({red},{green},{blue},{share:g})"


LIGHT: Final = Palette(
    name="light",
    background="#F4F6F9",
    panel="#FFFFFF",
    text="#1B2430",
    muted="#56606E",
    grid="#E3E8EF",
    axis="#8A94A3",
    ok="#2871AF",
    warn="#9E6D00",
    bad="#760000",
    unknown="#373240",
    baseline="#0072B2",
    canary="#D55E00",
    series=("#2A63D3", "#D45000", "#0C9459", "#A0417F", "#3A5849", "#1F98FF"),
    marker="#56606E",
)
DARK: Final = Palette(
    name="dark",
    background="#121316",
    panel="#1A1B1E",
    text="#E7EAF0",
    muted="#A3ACBA",
    grid="#2C2F36",
    axis="#6F7887",
    ok="#A5D8FF",
    warn="#FFDF6B",
    bad="#D85B4C",
    unknown="#828291",
    baseline="#56B4E9",
    canary="#F58A42",
    series=("#7CB5FA", "#E49E14", "#347C46", "#FFF1FF", "#DAFFC0", "#7848E8"),
    marker="#A3ACBA",
)


def palette(name: str | None) -> Palette:
    """The palette of a colour scheme's name; light unless it says dark."""
    return DARK if name == "dark" else LIGHT
