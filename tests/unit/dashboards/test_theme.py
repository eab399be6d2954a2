"""Colours: measured, not chosen by eye."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest

import dashboards
from dashboards.theme import DARK, LIGHT, SHAPES, Status, palette

# Machado, Oliveira, Fernandes (2009), severity 1.0, on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protan": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritan": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def linear(colour: str) -> np.ndarray:
    raw = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(raw <= 0.04045, raw / 12.92, ((raw + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    ratio = TO_XYZ @ np.clip(rgb, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def delta_e2000(one: np.ndarray, two: np.ndarray) -> float:
    """Sharma, Wu, Dalal (2005)."""
    mean_c = (math.hypot(*one[1:]) + math.hypot(*two[1:])) / 2
    g = 0.5 * (1 - math.sqrt(mean_c**7 / (mean_c**7 + 25**7)))
    (l1, a1, b1), (l2, a2, b2) = one, two
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = math.hypot(a1, b1), math.hypot(a2, b2)
    h1, h2 = (math.degrees(math.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    dh = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0.0
    dbig = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(dh) / 2)
    ml, mc = (l1 + l2) / 2, (c1 + c2) / 2
    mh = h1 + h2 if not c1 * c2 else (h1 + dh / 2) % 360
    t = (
        1
        - 0.17 * math.cos(math.radians(mh - 30))
        + 0.24 * math.cos(math.radians(2 * mh))
        + 0.32 * math.cos(math.radians(3 * mh + 6))
        - 0.20 * math.cos(math.radians(4 * mh - 63))
    )
    sl = 1 + 0.015 * (ml - 50) ** 2 / math.sqrt(20 + (ml - 50) ** 2)
    sc, sh = 1 + 0.045 * mc, 1 + 0.015 * mc * t
    rt = (
        -2
        * math.sqrt(mc**7 / (mc**7 + 25**7))
        * math.sin(math.radians(60 * math.exp(-(((mh - 275) / 25) ** 2))))
    )
    terms = ((l2 - l1) / sl, (c2 - c1) / sc, dbig / sh)
    return math.sqrt(sum(x * x for x in terms) + rt * terms[1] * terms[2])


def nearest(colours: list[str]) -> float:
    """Smallest difference of any two colours under any of the visions."""
    return min(
        delta_e2000(lab(matrix @ linear(a)), lab(matrix @ linear(b)))
        for matrix in VISIONS.values()
        for a, b in itertools.combinations(colours, 2)
    )


def contrast(one: str, two: str) -> float:
    """WCAG 2 contrast ratio."""
    light, dark = sorted((float(TO_XYZ[1] @ linear(c)) for c in (one, two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_colour_difference_is_the_published_one():
    """Pair 1 of Sharma's test data."""
    one, two = np.array([50.0, 2.6772, -79.7751]), np.array([50.0, 0.0, -82.7485])
    assert delta_e2000(one, two) == pytest.approx(2.0425, abs=1e-4)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_statuses_are_told_apart_by_everyone(colours):
    """All pairs differ by 20 or more under normal vision and three kinds of colour blindness."""
    assert nearest([colours.status(status) for status in Status]) >= 20
    assert nearest([colours.baseline, colours.canary]) >= 40
    assert nearest(list(colours.series)) >= 12


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_marks_stand_out(colours):
    """4.5:1 for text, 3:1 for lines and marks, against the panel they lie on."""
    texts = [colours.text, colours.muted, *(colours.status(status) for status in Status)]
    assert min(contrast(c, colours.panel) for c in texts) >= 4.5
    marks = [colours.baseline, colours.canary, colours.axis, *colours.series]
    assert min(contrast(c, colours.panel) for c in marks) >= 3.0


def test_every_status_has_its_own_shape():
    """A grey print still tells them apart."""
    assert len(set(SHAPES.values())) == len(Status)


def test_the_style_sheet_has_the_same_colours():
    """Figures and pages cannot drift apart."""
    css = (Path(dashboards.__file__).parent / "assets" / "davylamp.css").read_text()
    light, dark = re.findall(r"^:root[^{]*\{([^}]*)\}", css, re.MULTILINE)[:2]
    for block, colours in ((light, LIGHT), (dark, DARK)):
        written = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
        for name in [
            "background",
            "panel",
            "text",
            "muted",
            "grid",
            "axis",
            "ok",
            "warn",
            "bad",
            "unknown",
            "baseline",
            "canary",
        ]:
            assert written[name] == getattr(colours, name).lower(), name
        assert contrast(written["link"], colours.panel) >= 4.5
        assert contrast(written["canary-text"], colours.panel) >= 4.5
        assert contrast(written["focus"], colours.panel) >= 3.0


def test_the_palette_of_a_scheme():
    """Anything but dark is light."""
    assert palette("dark") is DARK
    assert palette(None) is LIGHT
