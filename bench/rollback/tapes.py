"""What the real judge said about synthetic canaries, recorded once and played many times.

The judge, its rule and its gates are the product's; the telemetry is made by
:mod:`bench.canary.streams`, whole or with evidence missing as in :mod:`bench.rollback.safety`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from analysis.canary.config import default_config_text, load_canary_config
from analysis.canary.evidence import Look, Reason, Verdict, VerdictKind
from bench.canary.streams import HEALTHY
from bench.rollback.safety import BAD, SCENARIOS, Scenario, looks_of

#: Of a canary that is held for a long time only so many looks are played, the last among them.
MAX_LOOKS: Final = 4


@dataclass(frozen=True, slots=True)
class Tape:
    """Looks in order; the last one is final."""

    name: str
    looks: tuple[Look, ...]
    has_evidence: bool


def record(seed: int, repeats: int, scenarios: int = len(SCENARIOS)) -> list[Tape]:
    """Bad and healthy canaries with whole evidence, and one of each scenario without, by turns."""
    rule = load_canary_config(default_config_text())
    tapes = []
    for repeat in range(repeats):
        whole = Scenario("whole")
        lacking = SCENARIOS[:scenarios]
        kinds = [
            (whole, BAD, True),
            (whole, HEALTHY, True),
            *((one, one.bad if repeat % 2 == 0 else HEALTHY, False) for one in lacking),
        ]
        for number, (scenario, release, has_evidence) in enumerate(kinds):
            one = seed * 1_000_003 + number * 1_009 + repeat
            looks = list(looks_of(rule, scenario, release, one))
            step = max(1, -(-len(looks) // MAX_LOOKS))
            kept = (*looks[:-1:step], looks[-1])
            name = f"{scenario.name}, {release.name}"
            tapes.append(Tape(name, kept, has_evidence))
    return tapes


def at(look: Look, index: int, now: int) -> Look:
    """A look of a tape, as the one that is taken now."""
    verdict = None if look.verdict is None else replace(look.verdict, unix_nano=now)
    return replace(look, index=index, unix_nano=now, verdict=verdict)


def dark(look: Look, now: int) -> Look:
    """Nothing can be read: a hold, and no progress."""
    text = "The collector cannot be read."
    why = Reason.NO_DATA
    verdict = Verdict(VerdictKind.INCONCLUSIVE, why, text, now, False, None, None)
    return replace(look, verdict=verdict, reason=why, summary=text)
