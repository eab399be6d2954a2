"""A canary judged again from what its judge was given: the same bytes, or where they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from analysis.canary.config import CanaryConfig
from analysis.canary.judge import CODE_VERSION, CanaryJudge
from analysis.canary.tape import TapeEntry


@dataclass(frozen=True, slots=True)
class StoredLook:
    """One look as the ledger has it: its JSON, the same text, and what was given to the judge."""

    index: int
    look: Mapping[str, Any]
    text: str
    entry: TapeEntry | None


@dataclass(frozen=True, slots=True)
class Replay:
    """``outcome``: ``same``, ``differs``, or ``incomplete`` when inputs are not kept."""

    outcome: str
    explanation: str
    looks: int
    looks_same: int
    looks_on_hold: int
    verdict: str
    first_difference: int | None
    code_version: str
    stored_code_version: str

    def to_json(self) -> dict[str, Any]:
        """For the API."""
        return {name: getattr(self, name) for name in self.__slots__}


def replay(
    rule: CanaryConfig,
    started_unix_nano: int,
    looks: Iterable[StoredLook],
    dumps: Callable[[Mapping[str, Any]], str],
) -> Replay:
    """Judge again, look by look; ``dumps`` is how the ledger writes a look.

    The judge uses no clock but the times of its looks, and draws only from seeds that its inputs
    give, so that another answer means other code or other inputs.
    """
    judge: CanaryJudge | None = None
    count = same = held = 0
    first_difference: int | None = None
    stored_code = verdict = ""
    for stored in looks:
        count += 1
        stored_code, verdict = str(stored.look["code_version"]), str(stored.look["verdict"])
        entry = stored.entry
        if entry is not None and entry.is_first:
            judge = CanaryJudge(rule, started_unix_nano)
        if entry is None or judge is None:
            why = f"what the judge was given at look {stored.index} is not kept"
            return Replay(
                "incomplete", why, count, same, held, verdict, None, CODE_VERSION, stored_code
            )
        judge.prime(entry.primers)
        if not entry.is_look:
            held += 1
            continue
        found = judge.look(entry.blocks, entry.unix_nano)
        # How its data came is told by the reader, not by the judge.
        traffic = {**found.traffic, "reading": stored.look["traffic"].get("reading", {})}
        again = dumps(replace(found, index=stored.index, traffic=traffic).to_json())
        if again == stored.text:
            same += 1
        elif first_difference is None:
            first_difference = stored.index
    outcome, why = _outcome(count, first_difference, stored_code)
    return Replay(
        outcome, why, count, same, held, verdict, first_difference, CODE_VERSION, stored_code
    )


def _outcome(count: int, first_difference: int | None, stored_code: str) -> tuple[str, str]:
    if not count:
        return "incomplete", "no look is kept"
    if first_difference is None:
        return "same", "every look the judge made comes out with the same bytes"
    why = f"from look {first_difference} on another answer comes out"
    if stored_code != CODE_VERSION:
        why += f": it was judged by {stored_code}, this is {CODE_VERSION}"
    return "differs", why
