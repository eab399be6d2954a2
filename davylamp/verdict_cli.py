"""``davylamp verdict``: judge a canary again.

``replay`` asks the analysis to judge from the inputs it kept beside every look: the same bytes come
out, or it says where not. ``rejudge`` reads the telemetry again, from the store, and can judge it
by another rule: what would have been said, and when.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from analysis.canary.config import CanaryConfig, load_canary_config
from analysis.canary.errors import CanaryConfigError
from analysis.decisions.records import Declaration
from analysis.reading.client import CollectorClient
from analysis.runner.rejudge import Rejudged, rejudge
from collector.access.own import own_headers
from davylamp.asking import ask_analysis
from davylamp.config import Settings, access_config, analysis_config
from davylamp.errors import DavylampError

#: Seconds between looks of ``rejudge``; the judge's evidence holds at any.
EVERY_S: Final = 5.0
_NS_PER_S: Final = 1_000_000_000


class VerdictCommandError(DavylampError):
    """The command cannot be carried out; one sentence says why."""


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``verdict`` and what it can do to the program's commands."""
    verdict = subparsers.add_parser("verdict", help="judge a canary again")
    commands = verdict.add_subparsers(dest="verdict_command", required=True)
    replay = commands.add_parser("replay", help="from the inputs kept beside its looks")
    rejudge_parser = commands.add_parser("rejudge", help="from telemetry, also by another rule")
    for one in (replay, rejudge_parser):
        one.add_argument("deployment_id")
        one.add_argument("--json", action="store_true")
    rejudge_parser.add_argument("--rule", type=Path, help="default: the rule it was judged by")
    rejudge_parser.add_argument("--every-s", type=float, default=EVERY_S, help="between looks")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """0 = the same again, or judged; 1 = another answer, or inputs are gone."""
    if options.verdict_command == "replay":
        return _replay(options, settings)
    return _rejudge(options, settings)


def _replay(options: argparse.Namespace, settings: Settings) -> int:
    found = ask_analysis(settings, f"canaries/{options.deployment_id}/replay")
    if options.json:
        print(json.dumps(found))
    else:
        print(
            f"{found['outcome']}: {found['explanation']}. {found['looks_same']} of "
            f"{found['looks']} looks, {found['looks_on_hold']} on hold; verdict {found['verdict']}."
        )
    return 0 if found["outcome"] == "same" else 1


def _rejudge(options: argparse.Namespace, settings: Settings) -> int:
    if not 0 < options.every_s <= 3600:
        raise VerdictCommandError(f"--every-s {options.every_s:g}: above 0, at most 3600")
    canary = ask_analysis(settings, f"canaries/{options.deployment_id}")
    if canary["last_look"] is None:
        raise VerdictCommandError(f"{options.deployment_id} has no look yet")
    rule = _rule(options.rule, settings, options.deployment_id)
    config = analysis_config(settings)

    async def judged(tell: Callable[[str], None]) -> Rejudged:
        client = CollectorClient(
            config.collector_url,
            config.runner.reading,
            lambda: own_headers(access_config(settings)),
        )
        await client.open()
        try:
            return await rejudge(
                Declaration.from_json(canary),
                rule,
                client,
                config.runner,
                every_ns=round(options.every_s * _NS_PER_S),
                until_unix_nano=int(canary["last_look"]["unix_nano"]),
                tell=tell,
            )
        finally:
            await client.close()

    found = asyncio.run(judged((lambda _: None) if options.json else print))
    if options.json:
        print(json.dumps(found.to_json()))
    else:
        print(f"Then: {_told(canary['verdict'])}")
        print(f"Now:  {found.verdict} after {found.elapsed_s:.0f} s: {found.summary}")
    return 0


def _rule(path: Path | None, settings: Settings, deployment_id: str) -> CanaryConfig:
    try:
        if path is None:
            text = ask_analysis(settings, f"canaries/{deployment_id}/rule")["text"]
        else:
            text = path.read_text("utf-8")
        return load_canary_config(text)
    except (OSError, UnicodeDecodeError) as error:
        raise VerdictCommandError(f"{path} cannot be read: {error}") from None
    except CanaryConfigError as error:
        raise VerdictCommandError(f"{path or 'its rule'}: {error}") from None


def _told(verdict: Any) -> str:
    if not verdict:
        return "no verdict"
    return f"{verdict['kind']}: {verdict['summary']}"
