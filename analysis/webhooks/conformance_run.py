"""Sending the checks to somebody's receiver, one after the other, as commands are sent.

The same client, limits and time-outs as for commands: redirects are not followed, 16 KiB of an
answer are read, proxies of the environment are not asked. Unlike a command's, the address was
named by the person who waits for the answer, so private networks, loopback and http:// are theirs
to choose.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from analysis.config import EndpointConfig
from analysis.webhooks import attempt
from analysis.webhooks.conformance import Check
from analysis.webhooks.events import CONTENT_TYPE
from analysis.webhooks.targets import parse_target
from telemetry.clock import Clock

_EVERYWHERE: Final = ("0.0.0.0/0", "::/0")
_NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What came back. ``status`` is None without an answer; ``said``: the answer's beginning."""

    check: Check
    status: int | None
    said: str

    @property
    def passed(self) -> bool:
        """Whether the answer is one that was expected."""
        return self.check.expected.holds(self.status)


async def run_checks(
    url: str, checks: Sequence[Check], clock: Clock
) -> AsyncGenerator[Finding, None]:
    """One finding for each check, as it is made. Raises TargetError if the URL is none.

    It ends early when the first one gets no answer: nobody is there to be judged.
    """
    endpoint = EndpointConfig("", url, Path(), _EVERYWHERE, plain_http=True)
    rules = attempt.rules_of(endpoint)
    parse_target(url, rules)
    async with attempt.new_session(rules) as session:
        for check in checks:
            answers = await asyncio.gather(
                *(_send(session, endpoint, check, clock) for _ in range(check.copies))
            )
            right = [one for one in answers if check.expected.holds(one.status)]
            answer = (right or answers)[0]
            yield Finding(check, answer.status, answer.error or "")
            if answer.status is None and check is checks[0]:
                return


async def _send(
    session: aiohttp.ClientSession, endpoint: EndpointConfig, check: Check, clock: Clock
) -> attempt.Answer:
    now_unix_nano = clock.wall_unix_nano()
    return await attempt.post(
        session,
        endpoint,
        check.body,
        {**check.headers(now_unix_nano // _NS_PER_S), "content-type": CONTENT_TYPE},
        now_unix_nano=now_unix_nano,
        total_s=attempt.TOTAL_TIMEOUT_S,
    )
