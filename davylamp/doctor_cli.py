"""``davylamp doctor``: plain sentences, 0 if nothing is bad (warnings allowed), else 1."""

from __future__ import annotations

from collections import Counter

from davylamp.config import Settings, collector_config
from davylamp.doctor import Level, examine


def run(settings: Settings) -> int:
    """Print every answer; returns the exit code. Raises ConfigError for settings that are wrong."""
    levels: Counter[Level] = Counter()
    for answer in examine(settings, collector_config(settings)):
        levels[answer.level] += 1
        print(f"{answer.level:7} {answer.text}")
    bad, warnings = levels[Level.BAD], levels[Level.WARNING]
    print(f"{bad} bad, {warnings} warnings, {levels[Level.OK]} ok")
    return int(bad > 0)
