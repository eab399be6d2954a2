"""A canary of the past judged again from the telemetry that is stored, by any rule.

The same watch as in the running analysis looks at times of the past: at each it sees what had
happened by then. It sees more than the analysis saw in one respect: what came late is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from analysis.canary.config import CanaryConfig
from analysis.decisions.records import CanaryRecord, Declaration
from analysis.decisions.states import TERMINAL_CANARY_STATES, CanaryState
from analysis.reading.client import CollectorClient
from analysis.runner.canary_watch import CanaryWatch
from analysis.runner.config import RunnerConfig

#: Looks of one canary at most.
MAX_LOOKS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Rejudged:
    """What it came to; ``verdict`` is ``observing`` when the time was over before the judge was."""

    verdict: str
    reason: str
    summary: str
    elapsed_s: float
    looks: int

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {name: getattr(self, name) for name in self.__slots__}


async def rejudge(
    declaration: Declaration,
    rule: CanaryConfig,
    client: CollectorClient,
    config: RunnerConfig,
    *,
    every_ns: int,
    until_unix_nano: int,
    tell: Callable[[str], None],
) -> Rejudged:
    """Look every ``every_ns`` from the start to the end; ``tell`` hears each new summary.

    Raises nothing of reading: a look that cannot read holds, as it does live.
    """
    watch = CanaryWatch(_as_new(declaration), rule, client, config)
    now = declaration.started_unix_nano
    said = ""
    for count in range(1, MAX_LOOKS + 1):  # noqa: B007 - told afterwards
        now = min(now + every_ns, until_unix_nano)
        result = await watch.look(now)
        look = result.look
        if look.reason != said:
            said = look.reason
            tell(f"{look.elapsed_s:7.1f} s  {look.summary}")
        if result.next_state in TERMINAL_CANARY_STATES or now >= until_unix_nano:
            break
    verdict = "observing" if look.verdict is None else str(look.verdict.kind)
    return Rejudged(verdict, str(look.reason), look.summary, look.elapsed_s, count)


def _as_new(declaration: Declaration) -> CanaryRecord:
    return CanaryRecord(
        declaration=declaration,
        declared_unix_nano=declaration.started_unix_nano,
        state=CanaryState.DECLARED,
        reason="",
        summary="",
        looks=0,
        verdict=None,
        decision=None,
        config_text="",
        rule_digest="",
    )
